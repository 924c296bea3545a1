//! [`Served`]: `conformance serve` in a process of its own, which ends with the test; and a Redis for it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

#[path = "../../../tests/redis/server.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod server;

use self::server::RedisServer;

/// What is up, and where it says it is.
pub(crate) struct Served {
    child: Child,
    pub(crate) line: Value,
    folder: PathBuf,
    _own: TempDir,
}

impl Served {
    /// Starts it with `--json` and waits for the line.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let own = tempfile::tempdir().expect("a folder");
        let named = arguments.iter().position(|argument| *argument == "--folder").map(|at| arguments[at + 1]);
        let folder = named.map_or_else(|| own.path().to_owned(), PathBuf::from);
        let at = folder.to_str().expect("UTF-8").to_owned();
        let more = if named.is_none() { vec!["--json", "--folder", &at] } else { vec!["--json"] };
        let (child, mut out) = spawn(&[arguments, &more].concat());
        let mut served = Self { child, line: Value::Null, folder, _own: own };
        let mut line = String::new();
        out.read_line(&mut line).expect("readable");
        served.line = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no line of JSON: {line}"));
        served
    }

    /// What it prints without `--json`, and the JSON in its first line, if that is JSON.
    pub(crate) fn table(arguments: &[&str]) -> (String, Value) {
        let (mut child, out) = spawn(arguments);
        let mut table = String::new();
        for line in out.lines() {
            let line = line.expect("readable");
            table.extend([line.as_str(), "\n"]);
            if line.contains("Ctrl-C") {
                break;
            }
        }
        let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
        assert!(told.success() && child.wait().expect("it ends").success(), "Ctrl-C is how it ends");
        let first = table.lines().next().unwrap_or_default();
        let json = serde_json::from_str(first).unwrap_or(Value::Null);
        (table, json)
    }

    /// A member of the line.
    pub(crate) fn says(&self, member: &str) -> &str {
        self.line[member].as_str().expect("a text")
    }

    /// The log of a server.
    pub(crate) fn log(&self, at: usize) -> String {
        fs::read_to_string(self.folder.join(format!("server-{at}.log"))).expect("it logs")
    }

    /// The authority of its certificates.
    pub(crate) fn ca(&self) -> Vec<u8> {
        fs::read(Path::new(self.says("ca"))).expect("it is there")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let ended = told.is_ok_and(|told| told.success()) && self.child.wait().is_ok();
        assert!(ended || std::thread::panicking(), "it does not end");
    }
}

fn spawn(arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
    let command = command.arg("serve").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let out = child.stdout.take().expect("piped");
    let mut said = child.stderr.take().expect("piped");
    // What it says beside it is of no interest here, and must not stop it.
    std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
    (child, BufReader::new(out))
}

/// A Redis of the test's own.
pub(crate) struct Redis(RedisServer);

pub(crate) fn redis() -> Redis {
    Redis(RedisServer::start())
}

impl Redis {
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.0.address())
    }
}
