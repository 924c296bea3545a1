//! `examples/bank.py`, the bank of docs/integrate.md: it is asked, it asks, and it brings what was said. And `examples/till.py`, the till of docs/getting-started.md, which has it do so.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use countersign::profile::FAPI_CIBA_ID1;
use countersign::secret::Digest;
use reqwest::StatusCode;
use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::bank::{certificates, client, pki, tls};
use crate::process::{Process, Webhook, redis};
use crate::server::free_port;
use crate::till::Till;

/// The bank, as somebody at its terminal sees it.
struct Phone {
    child: Child,
    said: Receiver<String>,
}

impl Phone {
    /// Starts it, and waits until it says where it is.
    fn open(port: u16, internal: u16) -> Self {
        let mut child = Command::new("python3")
            .arg(example("bank.py"))
            .arg("--certs")
            .arg(pki())
            .args(["--listen", &port.to_string(), "--decision", &format!("https://localhost:{internal}/decision")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (says, said) = channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| says.send(line)));
        let mut phone = Self { child, said };
        phone.shows("the bank is at");
        phone
    }

    /// Shows what is asked for, and says `answer`.
    #[track_caller]
    fn answers(&mut self, answer: &str) {
        self.shows("asks for: openid accounts");
        self.shows("Does it show the same words?  Till 7: 42.90");
        self.types(answer);
    }

    /// Reads on to a line with `words` in it.
    #[track_caller]
    fn shows(&mut self, words: &str) {
        let mut said = String::new();
        // All the time that a busy machine may need.
        while let Ok(line) = self.said.recv_timeout(Duration::from_mins(1)) {
            if line.contains(words) {
                return;
            }
            said = said + &line + "\n";
        }
        panic!("it does not say {words:?}: {said}");
    }

    fn types(&mut self, text: &str) {
        writeln!(self.child.stdin.as_mut().expect("piped"), "{text}").expect("it is read");
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// The till, as it is started for a server on `port`.
fn till(port: u16, arguments: &[&str]) -> Child {
    let mut command = Command::new("python3");
    command.arg(example("till.py")).args(["--issuer", &format!("https://localhost:{port}"), "--certs"]).arg(pki());
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python3 is there")
}

/// How the till ends, and what it has said: on standard output, and on standard error.
fn ended(till: Child) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = till.wait_with_output().expect("it ends");
    let text = |said| String::from_utf8(said).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn the_till_in_python_asks_and_is_given_tokens_or_hears_no() {
    let (public, port, redis) = (free_port(), free_port(), redis(&[]));
    let server = Process::found(public, (redis.port, &Webhook::elsewhere(port)), str::to_owned);
    let (code, said, _) = ended(till(public, &[]));
    assert!(code == Some(1) && said.contains("no tokens: temporarily_unavailable (nobody was asked"), "{said}");
    let mut phone = Phone::open(port, server.internal);

    let asking = till(public, &[]);
    phone.answers("y");
    let (code, said, wrong) = ended(asking);
    assert_eq!((code, wrong.as_str()), (Some(0), ""), "{said}");
    assert!(said.contains("\nThe till shows: Till 7: 42.90\n"), "{said}");
    assert!(said.contains("alice said yes, and is customer-204117"), "{said}");
    let thumbprint = Digest::of(&certificates("till")[0]).to_string();
    assert!(said.contains(&format!("{{x5t#S256: {}…}}", &thumbprint[..12])), "{said}");
    let whole = |word: &str| word.len() > 40 && !word.contains(':');
    assert!(!said.split_whitespace().any(whole), "a secret is shown whole: {said}");

    let asking = till(public, &[]);
    phone.answers("n");
    let (code, said, _) = ended(asking);
    assert!(code == Some(1) && said.ends_with("\nno tokens: access_denied\n"), "{said}");
    let (code, said, _) = ended(till(public, &["--user", "mallory"]));
    assert!(code == Some(1) && said.contains("no tokens: unknown_user_id (the bank knows nobody"), "{said}");
}

#[test]
fn the_till_in_python_proves_its_key_with_the_nonces_that_it_is_given() {
    let (public, port, redis) = (free_port(), free_port(), redis(&[]));
    let folder = tempfile::tempdir().expect("a folder");
    let profile = folder.path().join("profile.toml");
    let line = FAPI_CIBA_ID1.lines().find(|line| line.starts_with("dpop_nonce = ")).expect("it is there");
    fs::write(&profile, FAPI_CIBA_ID1.replace(line, "dpop_nonce = \"required\"")).expect("written");
    let server = Process::found(public, (redis.port, &Webhook::elsewhere(port)), |text| {
        text.replace("# dpop_bound_access_tokens = true", "dpop_bound_access_tokens = true")
            .replace("\nprofile = \"fapi-ciba-id1\"", &format!("\nprofile = \"{}\"", profile.display()))
    });
    let mut phone = Phone::open(port, server.internal);

    let asking = till(public, &["--dpop"]);
    phone.answers("y");
    let (code, said, wrong) = ended(asking);
    assert_eq!((code, wrong.as_str()), (Some(0), ""), "{said}");
    assert_eq!(said.matches("error             use_dpop_nonce").count(), 2, "at /token and at /userinfo: {said}");
    assert!(said.contains("token_type        DPoP") && said.contains("{jkt: "), "{said}");
    assert!(!said.contains("TLS certificate"), "{said}");

    let (code, said, _) = ended(till(public, &[]));
    assert!(code == Some(1) && said.contains("no tokens: invalid_dpop_proof") && said.contains("say --dpop"), "{said}");
}

#[test]
fn the_till_in_python_says_in_a_line_why_it_cannot_ask() {
    let (public, redis) = (free_port(), redis(&[]));
    let server = Process::found(public, (redis.port, &Webhook::elsewhere(free_port())), str::to_owned);
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let made = Command::new(env!("CARGO_BIN_EXE_countersign")).args(["certs", "dev", "--out", &at("other")]).output();
    assert!(made.expect("it runs").status.success());
    let unable = |till: Child, words: &str| {
        let (code, said, wrong) = ended(till);
        assert_eq!(code, Some(2), "{said}{wrong}");
        let line = wrong.lines().last().expect("a line");
        assert!(line.starts_with("till.py: ") && line.contains(words), "{wrong}");
        assert!(!wrong.contains("Traceback"), "{wrong}");
    };
    unable(till(free_port(), &[]), "takes no connections: is `countersign serve` running");
    unable(till(server.internal, &[]), "does not call itself that");
    unable(till(public, &["--certs", &at("nowhere")]), "countersign certs dev` makes it");
    unable(till(public, &["--certs", &at("other")]), "does not vouch for");
    unable(till(public, &["--issuer", "http://localhost"]), "--issuer has to begin with https://");
    unable(till(public, &["--surprise"]), "--surprise");
    // pyenv's python3, for one, is a script, which needs a PATH itself.
    let python = Command::new("python3").args(["-c", "import sys; print(sys.executable, end='')"]).output();
    let python = String::from_utf8(python.expect("python3 is there").stdout).expect("UTF-8");
    let mut without = Command::new(python);
    without.arg(example("till.py")).args(["--issuer", &format!("https://localhost:{public}"), "--certs"]).arg(pki());
    without.env("PATH", folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    unable(without.spawn().expect("it runs"), "there is no program `openssl`");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bank_in_python_is_one() {
    let port = free_port();
    let (redis, webhook, till) = (redis(&[]), Webhook::elsewhere(port), Till::new());
    let at = Process::start(redis.port, &webhook);
    // As long as it is down, nobody is asked.
    till.ask(&at).await.refused(503, "temporarily_unavailable");
    let mut phone = Phone::open(port, at.internal);

    let auth_req_id = till.ask(&at).await.text("auth_req_id");
    phone.shows("asks for: openid accounts");
    phone.shows("1234");
    phone.types("y");
    phone.shows("approve: countersign has it");
    let token = till.poll(&at, &auth_req_id).await.text("access_token");
    assert_eq!(till.introspect(&at, &token).await.ok()["sub"], "customer-204117");

    let auth_req_id = till.ask(&at).await.text("auth_req_id");
    phone.types("n");
    phone.shows("deny: countersign has it");
    till.poll(&at, &auth_req_id).await.refused(400, "access_denied");
    till.ask_for(&at, "mallory").await.refused(400, "unknown_user_id");

    let ask = async |who: Option<&str>, path: &str, body: String| {
        let call = client(who).post(format!("https://localhost:{port}{path}")).body(body).send().await;
        call.map(|answer| answer.status())
    };
    let question = || json!({"hint_type": "login_hint", "hint": "alice", "client_id": "till-8"}).to_string();
    let countersign = Some("countersign");
    assert_eq!(ask(countersign, "/identify", question()).await.expect("an answer"), StatusCode::OK);
    assert_eq!(ask(Some("bank"), "/identify", question()).await.expect("an answer"), StatusCode::FORBIDDEN);
    assert!(ask(None, "/identify", question()).await.is_err(), "without a certificate there is no connection");
    for bad in ["", "[]", "{}", "{\"hint_type\":\"login_hint\",\"hint\":{}}"] {
        assert_eq!(
            ask(countersign, "/identify", bad.into()).await.expect("an answer"),
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
    assert_eq!(ask(countersign, "/else", question()).await.expect("an answer"), StatusCode::NOT_FOUND);

    // More digits than Python makes a number of.
    for length in ["65537".to_owned(), "9".repeat(5_000)] {
        let head = format!("POST /identify HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
        let name = ServerName::try_from("localhost").expect("a name");
        let mut stream = TlsConnector::from(Arc::new(tls(countersign))).connect(name, tcp).await.expect("TLS");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 400");
    }
}

#[test]
fn the_bank_in_python_says_what_makes_its_certificates() {
    let bank = Command::new("python3").arg(example("bank.py")).args(["--certs", "/nowhere"]).output();
    let Output { status, stderr, .. } = bank.expect("python3 is there");
    let said = String::from_utf8(stderr).expect("UTF-8");
    assert_eq!(status.code(), Some(1), "{said}");
    assert_eq!(said, "bank.py: there is no /nowhere/ca.pem; `./target/release/countersign certs dev` makes it\n");
}
