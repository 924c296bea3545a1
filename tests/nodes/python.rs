//! `examples/bank.py`, the bank of docs/integrate.md: it is asked, it asks, and it brings what was said.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use reqwest::StatusCode;
use serde_json::json;

use crate::bank::{client, pki};
use crate::process::{Process, Webhook, redis};
use crate::till::Till;

/// The bank, as somebody at its terminal sees it.
struct Phone {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Phone {
    /// Starts it, and waits until it says where it is.
    fn open(port: u16, internal: u16) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/bank.py");
        let mut child = Command::new("python3")
            .arg(script)
            .arg("--certs")
            .arg(pki())
            .args(["--listen", &port.to_string(), "--decision", &format!("https://localhost:{internal}/decision")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there");
        let said = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut phone = Self { child, said };
        phone.shows("the bank is at");
        phone
    }

    /// Reads on to a line with `words` in it.
    #[track_caller]
    fn shows(&mut self, words: &str) {
        let mut said = String::new();
        for line in &mut self.said {
            let line = line.expect("readable");
            if line.contains(words) {
                return;
            }
            said = said + &line + "\n";
        }
        panic!("it has ended without {words:?}: {said}");
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

#[tokio::test(flavor = "multi_thread")]
async fn the_bank_in_python_is_one() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port();
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
}
