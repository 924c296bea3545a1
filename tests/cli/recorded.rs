//! Where what happens is kept, besides a file: on standard output, or in the system's log.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::deployment::{Deployment, countersign, err, out};

/// A deployment in which what happens is kept where `audit` says.
fn kept(audit: &str) -> Deployment {
    let deployment = Deployment::new();
    deployment.listen(("listen", 0), ("internal_listen", 0));
    deployment.edit("mode = \"development\"", &format!("mode = \"development\"\n[audit]\n{audit}\n"));
    deployment
}

/// A server that ends with the test.
struct Running(Child);

impl Running {
    fn of(deployment: &Deployment) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        let command = command.args(["serve", "--config"]).arg(deployment.config());
        Self(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The line says that a server was started, and nothing else.
#[track_caller]
fn says_started(line: &str) {
    let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    assert_eq!((&line["event"], &line["version"]), (&"started".into(), &env!("CARGO_PKG_VERSION").into()));
    assert!(line["at"].is_i64() && line.as_object().expect("an object").len() == 3, "{line}");
}

#[test]
fn what_happens_is_kept_on_standard_output_where_that_is_said_and_the_log_is_not() {
    let deployment = kept("stdout = true");
    let mut running = Running::of(&deployment);
    let mut said = BufReader::new(running.0.stdout.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("readable");
    says_started(&line);
}

#[test]
fn what_a_command_does_is_kept_on_standard_error_where_a_server_has_standard_output() {
    let deployment = kept("stdout = true");
    let config = deployment.config();
    let config = config.to_str().expect("UTF-8");
    let made = countersign(&["keys", "generate", "--alg", "ES256", "--json", "--config", config]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    let answer: Value = serde_json::from_str(&out(&made)).expect("JSON alone");
    assert!(answer["changed"].is_array(), "{answer:#}");
    let recorded: Value = serde_json::from_str(err(&made).lines().next().expect("a line")).expect("JSON");
    assert_eq!(recorded["event"], "keys_changed");
}

#[test]
fn what_happens_is_kept_in_the_systems_log_where_that_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log");
    let log = UnixDatagram::bind(&path).expect("bound");
    let deployment = kept(&format!("syslog = \"{}\"", path.display()));
    let running = Running::of(&deployment);
    let mut buffer = [0; 512];
    let length = log.recv(&mut buffer).expect("a message");
    let message = String::from_utf8_lossy(&buffer[..length]);
    let line = message.strip_prefix(&format!("<86>countersign[{}]: ", running.0.id())).expect("who says it");
    says_started(line);
}

#[test]
fn a_server_whose_systems_log_is_not_there_does_not_start() {
    let deployment = kept("syslog = \"/nowhere/log\"");
    let refused = countersign(&["serve", "--config", deployment.config().to_str().expect("UTF-8")]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("what happens cannot be recorded"), "{}", err(&refused));
}

#[test]
fn check_wants_one_place_for_what_happens() {
    for good in ["stdout = true", "syslog = \"/dev/log\"", "file = \"audit.jsonl\""] {
        let checked = kept(good).check();
        assert_eq!((checked.status.code(), err(&checked).as_str()), (Some(0), ""), "{good}");
    }
    for bad in ["", "file = \"audit.jsonl\"\nstdout = true", "syslog = \"/dev/log\"\nstdout = true"] {
        kept(bad).has_faults(&[("audit", "has to name one place")]);
    }
    kept("stdout = false").has_faults(&[("audit.stdout", "is true, or left out")]);
}
