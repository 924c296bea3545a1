//! [`Serving`]: `countersign serve` in a process of its own, which ends with the test.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::Duration;

use crate::deployment::Deployment;

/// How often to look whether something has come about, twenty times a second.
const PATIENCE: u32 = 400;

/// A server that is ready.
pub(crate) struct Serving {
    child: Child,
    /// Where the world comes in.
    pub(crate) port: u16,
    /// Where the bank comes in.
    pub(crate) internal: u16,
    log: Arc<Mutex<String>>,
}

impl Serving {
    /// Starts it and waits until it says that it is ready. It has to log as JSON.
    pub(crate) fn start(deployment: &Deployment) -> Self {
        Self::at(&deployment.config())
    }

    /// The same, from the configuration at `path`.
    pub(crate) fn at(path: &Path) -> Self {
        Self::of(serve(path))
    }

    /// The same, by a command of one's own.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let (port, internal) = loop {
            let line = lines.next().expect("it says that it is ready").expect("readable");
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            note(&log, &line);
            if event["message"] == "ready" {
                let port = |key: &str| event[key].as_str().and_then(|at| at.rsplit(':').next()?.parse().ok());
                break port("listen").zip(port("internal_listen")).expect("two ports");
            }
        };
        let rest = log.clone();
        spawn(move || lines.map_while(Result::ok).for_each(|line| note(&rest, &line)));
        Self { child, port, internal, log }
    }

    /// Starts one that ends by itself, and says how, and what it said.
    pub(crate) fn refuses(path: &Path) -> (ExitStatus, String) {
        let mut child = serve(path).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut said = child.stderr.take().expect("piped");
        let log = Arc::default();
        let mut ending = Self { child, port: 0, internal: 0, log };
        let status = sooner_or_later("it ends by itself", || ending.child.try_wait().expect("a child"));
        let mut text = String::new();
        said.read_to_string(&mut text).expect("UTF-8");
        (status, text)
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("unpoisoned").clone()
    }

    /// Sends it a signal.
    pub(crate) fn signalled(&self, signal: &str) {
        let told = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(told.expect("kill is there").success());
    }

    /// Sends it a signal, and waits for its end.
    pub(crate) fn told(&mut self, signal: &str) -> ExitStatus {
        self.signalled(signal);
        sooner_or_later("it ends", || self.child.try_wait().expect("a child"))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn serve(path: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(["serve", "--config"]).arg(path);
    command
}

fn note(log: &Mutex<String>, line: &str) {
    let mut log = log.lock().expect("unpoisoned");
    log.push_str(line);
    log.push('\n');
}

/// What `found` finds, as soon as it finds anything.
#[track_caller]
pub(crate) fn sooner_or_later<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    for _ in 0..PATIENCE {
        if let Some(found) = found() {
            return found;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("it did not come about: {what}");
}
