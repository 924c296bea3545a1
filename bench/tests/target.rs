//! `--target`: a server that somebody else started is loaded as it is, and what is wrong with what was said of it is said.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use countersign::cli::certs;
use countersign::clock;
use rustix::thread::{CpuSet, sched_getaffinity};
use serde_json::Value;
use tempfile::TempDir;
use toml::Table;

/// A server that knows the clients of the bench, in a process that ends with this.
struct Target {
    server: Child,
    issuer: String,
    internal: u16,
    keys: PathBuf,
    _folder: TempDir,
}

impl Target {
    /// A command for the shell that has `user` say yes to each `auth_req_id` that it reads.
    fn approves(&self, user: &str) -> String {
        let Self { internal, keys, .. } = self;
        let keys = keys.display();
        let tls = format!("--cacert {keys}/ca.pem --cert {keys}/bank.pem --key {keys}/bank.key");
        let body = format!(r#"{{\"auth_req_id\": \"$id\", \"decision\": \"approve\", \"sub\": \"{user}\"}}"#);
        let post = format!("curl -sSf {tls} --json \"{body}\" https://localhost:{internal}/decision");
        format!("while read -r id; do {post} || exit 1; done")
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.server.kill().expect("it can be ended");
        self.server.wait().expect("it ends");
    }
}

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench")).args(arguments).output().expect("it is built")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// Two ports that are free now.
fn free_ports() -> [u16; 2] {
    let held = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    held.map(|tcp| tcp.local_addr().expect("bound").port())
}

/// The clients that `bench clients` prints, as docs/performance.md says to register them.
fn clients(keys: &Path) -> Vec<toml::Value> {
    let printed = bench(&["clients", "--keys", keys.to_str().expect("UTF-8")]);
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    let clients: Vec<Value> = serde_json::from_slice(&printed.stdout).expect("a JSON array");
    let one = |mut client: Value| {
        assert!(client["jwks"]["keys"].is_array(), "{client}");
        client["jwks"] = keys.join("till.jwks.json").to_str().expect("UTF-8").into();
        toml::Value::try_from(client).expect("TOML has all of it")
    };
    clients.into_iter().map(one).collect()
}

fn start() -> Target {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("certs");
    certs::dev(&keys, "localhost", &clock::System).expect("certificates");
    let [public, internal] = free_ports();
    let config = [("{public}", public), ("{internal}", internal), ("{bank}", 1)]
        .iter()
        .fold(include_str!("../src/server.toml").to_owned(), |text, (name, port)| {
            text.replace(name, &port.to_string())
        });
    let rest = "[store]\nkind = \"memory\"\ncapacity = 10000\n[log]\nformat = \"pretty\"\nlevel = \"warn\"\n";
    let mut settings: Table = (config + rest).parse().expect("TOML");
    settings.insert("clients".to_owned(), clients(&keys).into());
    let file = folder.path().join("server.toml");
    fs::write(&file, settings.to_string()).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    let ours = sched_getaffinity(None).expect("Linux says");
    let core = (0..CpuSet::MAX_CPU).find(|core| ours.is_set(*core)).expect("one at least");
    command.arg("server").arg("--config").arg(&file).args(["--core", &core.to_string(), "--bank-within"]);
    let server = command.stdin(Stdio::null()).spawn().expect("it starts");
    let issuer = format!("https://localhost:{public}");
    let mut target = Target { server, issuer, internal, keys, _folder: folder };
    while TcpStream::connect((Ipv4Addr::LOCALHOST, public)).is_err() {
        assert!(target.server.try_wait().expect("a child").is_none(), "it ended");
        sleep(Duration::from_millis(10));
    }
    target
}

#[test]
fn a_server_that_runs_is_loaded_as_each_of_its_clients() {
    let target = start();
    let (keys, pid) = (target.keys.to_str().expect("UTF-8"), target.server.id().to_string());
    let load = |more: &[&str]| {
        bench(&[&["--target", &target.issuer, "--keys", keys, "--requests", "10", "--quick", "--json"], more].concat())
    };
    let ran = load(&["--pid", &pid]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let rows: Vec<Value> = text(&ran.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let names: Vec<&str> = rows.iter().map(|row| row["workload"].as_str().expect("a name")).collect();
    let kinds = ["es256", "ps256", "mtls", "dpop"];
    assert_eq!(names, kinds.map(|kind| [format!("bc-authorize-{kind}"), format!("poll-{kind}")]).concat());
    assert!(rows.iter().all(|row| row["share"].as_f64().is_some_and(|share| share > 0.0)), "{rows:?}");

    let ran = load(&["--as", "es256", "--hint", "alice", "--approve", &target.approves("alice")]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(text(&ran.stdout).contains("\"issue-es256\""), "{}", text(&ran.stdout));

    let elsewhere = target.issuer.replace("localhost", "LOCALHOST");
    let ran = bench(&["--target", &elsewhere, "--keys", keys]);
    assert_eq!(ran.status.code(), Some(1));
    let says = format!("{elsewhere} says that it is {}", target.issuer);
    assert!(text(&ran.stderr).contains(&says), "{}", text(&ran.stderr));

    for (more, says) in [
        (&["--as", "es256", "--approve", "exit 3"][..], "exit status: 3"),
        (&["--as", "es256", "--approve", "cat > /dev/null"], "/token was answered with 400"),
        (&["--pid", "0"], "--pid 0: there is no such process"),
        (&["--trust", "/dev/null"], "/dev/null has no certificate"),
    ] {
        let ran = load(more);
        assert_eq!(ran.status.code(), Some(1), "{more:?}");
        assert!(text(&ran.stderr).contains(says), "{more:?}: {}", text(&ran.stderr));
    }
}

#[test]
fn what_is_said_of_a_target_has_to_fit() {
    for (arguments, code, says) in [
        (&["--target", "https://localhost:1"][..], 2, "--keys"),
        (&["--as", "es256"], 2, "--target"),
        (&["--target", "http://localhost:1", "--keys", "/nowhere"], 1, "/nowhere/ca.pem"),
        (&["clients", "--keys", "/nowhere"], 1, "/nowhere/till.jwks.json"),
        (&["--only", "idle", "--plot", "/nowhere/x.svg"], 1, "--plot /nowhere/x.svg"),
    ] {
        let ran = bench(arguments);
        assert_eq!(ran.status.code(), Some(code), "{arguments:?}");
        assert!(text(&ran.stderr).contains(says), "{arguments:?}: {}", text(&ran.stderr));
    }
}

#[test]
fn what_cannot_be_printed_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("certs");
    certs::dev(&keys, "localhost", &clock::System).expect("certificates");
    let full = fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    let ran = command.args(["clients", "--keys"]).arg(&keys).stdout(full).output().expect("it is built");
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stderr).starts_with("bench: "), "{}", text(&ran.stderr));
}
