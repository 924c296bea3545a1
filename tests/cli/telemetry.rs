//! `countersign serve` and the collector it tells: one that is not there, one that comes late, one that never answers; and what `check` says of `[telemetry]`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::deployment::{Deployment, IN_PRODUCTION, err};
use crate::server::free_port;
use crate::serving::{Serving, sooner_or_later};

/// A deployment that tells the collector at `port` of everything.
fn telling(port: u16) -> Deployment {
    let deployment = Deployment::new();
    deployment.listen(("listen", 0), ("internal_listen", 0));
    deployment.edit("format = \"pretty\"", "format = \"json\"");
    let collector = format!(
        "[telemetry]\notlp = \"http://127.0.0.1:{port}\"\nprotocol = \"http\"\ntraced_percent = 100\nmetrics_seconds = 1\n\n[log]"
    );
    deployment.edit("[log]", &collector);
    deployment
}

/// Takes whatever is sent to `port`, and says where it was sent to.
fn take(port: u16) -> Arc<Mutex<Vec<String>>> {
    let taken = Arc::<Mutex<Vec<String>>>::default();
    let tcp = TcpListener::bind(("127.0.0.1", port)).expect("it is free");
    let seen = taken.clone();
    thread::spawn(move || {
        for stream in tcp.incoming().map_while(Result::ok) {
            let seen = seen.clone();
            thread::spawn(move || answer(&stream, &seen));
        }
    });
    taken
}

/// Answers every request on `stream` with 200.
fn answer(stream: &TcpStream, seen: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut path, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let line = line.trim_end().to_lowercase();
            path = path.or_else(|| line.split(' ').nth(1).map(str::to_owned));
            length = line.strip_prefix("content-length: ").map_or(length, |length| length.parse().expect("a number"));
            if line.is_empty() {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        let mut writer: &TcpStream = stream;
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
        seen.lock().expect("unpoisoned").extend(path);
    }
}

/// How often the log has this.
fn said(serving: &Serving, what: &str) -> usize {
    serving.log().lines().filter(|line| line.contains(what)).count()
}

const LOST: &str = "the collector does not take what it is sent";
const AGAIN: &str = "the collector takes what it is sent again";

#[test]
fn a_collector_that_is_not_there_costs_nothing_but_what_it_does_not_take() {
    let port = free_port();
    let deployment = telling(port);
    let mut serving = Serving::start(&deployment);
    sooner_or_later("both are lost", || {
        assert_eq!(deployment.discovery(serving.port).0, 200);
        (said(&serving, LOST) == 2).then_some(())
    });
    let taken = take(port);
    sooner_or_later("both are taken", || {
        assert_eq!(deployment.discovery(serving.port).0, 200);
        (said(&serving, AGAIN) == 2).then_some(())
    });
    let paths = taken.lock().expect("unpoisoned").clone();
    assert!(paths.contains(&"/v1/traces".to_owned()) && paths.contains(&"/v1/metrics".to_owned()), "{paths:?}");
    assert_eq!(said(&serving, LOST), 2, "it is said when it begins, and not each time");
    let before = taken.lock().expect("unpoisoned").len();
    assert_eq!(deployment.discovery(serving.port).0, 200);
    assert_eq!(serving.told("TERM").code(), Some(0));
    assert!(taken.lock().expect("unpoisoned").len() > before, "what was left to tell was told before the end");
}

#[test]
fn a_collector_that_never_answers_holds_up_neither_requests_nor_the_end() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let deployment = telling(tcp.local_addr().expect("bound").port());
    let mut serving = Serving::start(&deployment);
    let held: Vec<TcpStream> = (0..2).map(|_| tcp.accept().expect("a connection").0).collect();
    for _ in 0..50 {
        assert_eq!(deployment.discovery(serving.port).0, 200);
    }
    assert_eq!(serving.told("TERM").code(), Some(0));
    drop(held);
}

/// What nobody reads of the log is lost; requests are answered, and the server ends when it is told to.
#[test]
fn whoever_does_not_read_the_log_holds_up_neither_requests_nor_the_end() {
    let deployment = Deployment::new();
    let (public, internal) = (free_port(), free_port());
    deployment.listen(("listen", public), ("internal_listen", internal));
    deployment.edit("format = \"pretty\"", "format = \"json\"");
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let command = command.args(["serve", "--config"]).arg(deployment.config()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    sooner_or_later("it answers", || deployment.heard(public, "/jwks"));
    // Far more than a pipe takes.
    for _ in 0..600 {
        assert_eq!(deployment.heard(public, "/jwks").expect("an answer").0, 200);
    }
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(told.expect("kill is there").success());
    let end = sooner_or_later("it ends", || child.try_wait().expect("a child"));
    assert_eq!(end.code(), Some(0));
}

#[test]
fn check_says_what_is_wrong_with_telemetry() {
    let deployment = Deployment::new();
    let telling = |lines: &str| {
        deployment.again().edit("[log]", &format!("[telemetry]\n{lines}\n\n[log]"));
        &deployment
    };
    let fine = |lines: &str| {
        let checked = telling(lines).check();
        assert_eq!((checked.status.code(), err(&checked).as_str()), (Some(0), ""), "{lines}");
    };
    let rest = "protocol = \"grpc\"\ntraced_percent = 10";
    fine(&format!("otlp = \"http://localhost:4317\"\n{rest}"));
    let ca = "trust = \"../certs/dev/ca.pem\"";
    fine(&format!("otlp = \"https://collector.example:4317\"\n{rest}\n{ca}"));
    let identity = "certificate = \"../certs/dev/countersign.pem\"\nkey = \"../certs/dev/countersign.key\"";
    fine(&format!("otlp = \"https://collector.example:4317\"\n{rest}\n{ca}\n{identity}\nmetrics_seconds = 0"));
    deployment.write("headers", "api-key: 0123\n\nX-Other: a b: c\n");
    deployment.expose("headers", 0o600);
    let headers = "headers = \"../certs/dev/headers\"";
    fine(&format!("otlp = \"http://localhost:4317\"\n{rest}\n{headers}"));

    telling("").has_faults(&[
        ("telemetry.otlp", "is missing"),
        ("telemetry.protocol", "one of: http, grpc"),
        ("telemetry.traced_percent", "from 0 to 100"),
    ]);
    for bad in [
        "http://localhost:4317/",
        "https://localhost/v1/traces",
        "localhost:4317",
        "ftp://localhost",
        "HTTPS://localhost:4317",
        "http://a@b",
        "http://b?c",
    ] {
        let lines = format!("otlp = \"{bad}\"\n{rest}");
        let without_path = ("telemetry.otlp", "has to be a URL without a path");
        telling(&format!("{lines}\n{ca}")).has_faults(&[without_path]);
    }
    telling(&format!("otlp = \"https://localhost:4317\"\n{rest}")).has_faults(&[("telemetry.trust", "is missing")]);
    telling(&format!("otlp = \"http://localhost:4317\"\n{rest}\n{ca}"))
        .has_faults(&[("telemetry.trust", "is for https")]);
    telling(&format!("otlp = \"http://localhost:4317\"\n{rest}\n{identity}"))
        .has_faults(&[("telemetry.certificate", "is for https"), ("telemetry.key", "is for https")]);
    let production = |otlp: &str| {
        telling(&format!("otlp = \"{otlp}\"\n{rest}")).edit("mode = \"development\"", IN_PRODUCTION);
        err(&deployment.check()).contains("telemetry.otlp: is http, which anybody on the way can read")
    };
    assert!(production("http://collector.example:4317") && production("http://10.0.0.7:4317"));
    assert!(
        !production("http://localhost:4317")
            && !production("http://127.0.0.1:4317")
            && !production("http://[::1]:4317")
    );
    deployment.expose("headers", 0o644);
    let with_headers = format!("otlp = \"http://localhost:4317\"\n{rest}\n{headers}");
    telling(&with_headers).has_faults(&[("telemetry.headers", "can be read by others")]);
    for bad in ["no colon", "key-bin: x", "na me: x", "name: \u{fc}", ": x"] {
        deployment.write("headers", bad);
        deployment.expose("headers", 0o600);
        telling(&with_headers).has_faults(&[("telemetry.headers", "a header a line")]);
    }
}
