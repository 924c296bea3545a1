//! `countersign serve`: starts, answers, stops, and says why when it cannot.

use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::deployment::{Deployment, countersign, err};

#[test]
fn serve_refuses_a_faulty_configuration_as_check_does() {
    let deployment = Deployment::new();
    deployment.edit("kind = \"memory\"", "kind = \"paper\"");
    let served = countersign(&["serve", "--config", deployment.config().to_str().expect("UTF-8")]);
    assert_eq!(served.status.code(), Some(2));
    assert_eq!(err(&served), err(&deployment.check()));
    assert!(err(&served).contains("store.kind: "), "{}", err(&served));
}

#[test]
fn serve_says_which_port_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    for (key, other) in [("listen", "internal_listen"), ("internal_listen", "listen")] {
        let deployment = Deployment::new();
        deployment.listen((key, port), (other, 0));
        let served = countersign(&["serve", "--config", deployment.config().to_str().expect("UTF-8")]);
        assert_eq!(served.status.code(), Some(1));
        let said = err(&served);
        assert!(said.contains(&format!("server.{key} = \"127.0.0.1:{port}\": ")), "{said}");
    }
}

#[test]
fn serve_answers_until_it_is_told_to_stop() {
    for signal in ["TERM", "INT"] {
        let deployment = Deployment::new();
        deployment.listen(("listen", 0), ("internal_listen", 0));
        deployment.edit("format = \"pretty\"", "format = \"json\"");
        let mut serving = Serving::start(&deployment);
        let (status, body) = deployment.discovery(serving.port);
        assert_eq!((status, &body["issuer"]), (200, &"https://localhost:9443".into()));
        let told = Command::new("kill").args([&format!("-{signal}"), &serving.child.id().to_string()]).status();
        assert!(told.expect("kill is there").success());
        assert_eq!(serving.ended().code(), Some(0), "SIG{signal}");
    }
}

/// A server in a process of its own, which ends with the test.
struct Serving {
    child: Child,
    /// Where the world comes in.
    port: u16,
    /// Held open, as a terminal would be.
    _log: Lines<BufReader<ChildStderr>>,
}

impl Serving {
    /// Starts it and waits until it says that it is ready.
    fn start(deployment: &Deployment) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        let command = command.args(["serve", "--config"]).arg(deployment.config()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut log = BufReader::new(child.stderr.take().expect("piped")).lines();
        let port = loop {
            let line = log.next().expect("it says that it is ready").expect("readable");
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            if event["message"] == "ready" {
                break event["listen"].as_str().and_then(|at| at.rsplit(':').next()?.parse().ok()).expect("a port");
            }
        };
        Self { child, port, _log: log }
    }

    fn ended(&mut self) -> ExitStatus {
        for _ in 0..400 {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("it did not end");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
