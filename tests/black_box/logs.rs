//! The log: one line for each request, with what was refused and why, and nothing that anyone could use or should not read.

use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use countersign::wire::bank::Identified;
use http::Method;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::bank::{Bank, client, key};
use crate::heard::Heard;
use crate::raw::in_time;
use crate::token::Draft;
use crate::tpp::{Call, Tpp};

/// What this thread logs, line by line.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Listens to a server that is like any other.
    async fn listen() -> (Self, Bank, DefaultGuard) {
        Self::listen_to(Bank::open()).await
    }

    /// Listens on this thread, which is the server's too: everything of ours, and of others as much as any configuration would log.
    pub(crate) async fn listen_to(opening: impl Future<Output = Bank>) -> (Self, Bank, DefaultGuard) {
        Self::beside();
        let log = Self::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false);
        let lines = lines.with_span_list(false).with_writer(move || writer.clone());
        let filter = Targets::new().with_default(LevelFilter::DEBUG).with_target("countersign", LevelFilter::TRACE);
        let listening =
            tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.with_filter(filter)));
        let bank = opening.await;
        tracing::callsite::rebuild_interest_cache();
        (log, bank, listening)
    }

    /// While there is but one dispatcher, tracing asks the thread that meets an event first whether anyone wants it, and keeps to that
    /// answer: a test beside this one, which does not listen, would answer for us. With two it asks both.
    pub(crate) fn beside() {
        static BESIDE: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));
        LazyLock::force(&BESIDE);
    }

    /// The first line with this message, which has come or will.
    pub(crate) async fn line(&self, message: &str) -> Value {
        let parsed = |line: &str| serde_json::from_str::<Value>(line).expect("a line is JSON");
        let found = async {
            loop {
                match self.text().lines().map(parsed).find(|line| line["message"] == message) {
                    Some(line) => return line,
                    None => tokio::task::yield_now().await,
                }
            }
        };
        in_time(found).await
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).expect("UTF-8")
    }

    /// The lines about requests, in order.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
        lines.filter(|line| line["message"] == "request").collect()
    }
}

/// What must not be in the log.
#[derive(Default)]
pub(crate) struct Canaries(Vec<String>);

impl Canaries {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn keep(&mut self, canary: impl Into<String>) -> String {
        let canary = canary.into();
        assert!(canary.len() >= 8, "too short to be found by its own right: {canary}");
        self.0.push(canary.clone());
        canary
    }

    /// Keeps a JWT: as a whole, and each of its parts.
    pub(crate) fn token(&mut self, token: String) -> String {
        for part in token.split('.') {
            self.keep(part);
        }
        self.keep(token)
    }

    pub(crate) fn are_not_in(&self, log: &Log) {
        self.are_not_among(&log.text());
    }

    /// None of them is in `text`.
    pub(crate) fn are_not_among(&self, text: &str) {
        for canary in &self.0 {
            let line = text.lines().find(|line| line.contains(canary.as_str()));
            assert_eq!(line, None, "{canary}");
        }
    }
}

/// Till 7 behind a certificate whose subject says so.
fn till_with_subject<'a>(bank: &'a Bank, subject: &str) -> Tpp<'a> {
    let folder = tempfile::tempdir().expect("a folder");
    let own = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, subject);
    let path = folder.path().join("till");
    std::fs::write(path.with_extension("pem"), params.self_signed(&own).expect("signed").pem()).expect("written");
    std::fs::write(path.with_extension("key"), own.serialize_pem()).expect("written");
    Tpp::new(bank, "till-7", (key("till-es256.key"), key("till-ps256.key")), path.to_str())
}

/// The same call with its assertion made, and known to `canaries`.
fn signed(call: Call, canaries: &mut Canaries) -> Call {
    let jti = canaries.keep(format!("canary-jti-{}", canaries.0.len()));
    let call = call.assertion(|assertion| assertion.with("jti", jti));
    let assertion = canaries.token(call.assertion.finish());
    call.set("client_assertion", &assertion)
}

/// Asks for the user behind `hint`.
async fn ask(till: &Tpp<'_>, canaries: &mut Canaries, hint: &str) -> Heard {
    let message = canaries.keep("canary-binding-message");
    till.backchannel_call(|call| {
        let call = call.request(|request| request.with("login_hint", hint).with("binding_message", message));
        let request = canaries.token(call.request.finish());
        signed(call.set("request", &request), canaries)
    })
    .await
}

async fn poll(till: &Tpp<'_>, canaries: &mut Canaries, auth_req_id: &str) -> Heard {
    till.poll_call(auth_req_id, |call| signed(call, canaries)).await
}

async fn introspect(who: &Tpp<'_>, canaries: &mut Canaries, token: &str) -> Heard {
    who.introspect_call(token, |call| signed(call, canaries)).await
}

/// The line is about this request and its outcome.
#[track_caller]
fn says(line: &Value, (method, route, status): (&str, &str, u16), refusal: Option<(&str, &str)>) {
    assert_eq!((&line["method"], &line["route"], &line["status"]), (&json!(method), &json!(route), &json!(status)));
    let told = (line.get("error"), line.get("clause"));
    let (error, clause) = refusal.map(|(error, clause)| (json!(error), json!(clause))).unzip();
    assert_eq!(told, (error.as_ref(), clause.as_ref()), "{line:#}");
    let members = [
        "method",
        "route",
        "status",
        "micros",
        "interaction",
        "address",
        "client",
        "error",
        "clause",
        "cause",
        "message",
    ];
    let others = ["timestamp", "level", "target"];
    for name in line.as_object().expect("an object").keys() {
        assert!(members.contains(&name.as_str()) || others.contains(&name.as_str()), "{name}");
    }
}

const HINT: &str = "canary-hint@example.com";
const SUB: &str = "canary-sub-31415926";
const SUBJECT: &str = "Canary Subject of a Certificate";

#[tokio::test]
async fn a_panic_ends_one_request_with_a_500_and_a_line_and_no_word_about_why() {
    let (log, bank, _listening) = Log::listen().await;
    bank.phone.broken();
    let answer = bank.tpp().backchannel(|request| request).await;
    assert!(!format!("{answer:?}").contains("to panic"), "{answer:#?}");
    answer.refused(500, "server_error");
    let line = log.line("request").await;
    assert_eq!((&line["status"], &line["cause"]), (&json!(500), &json!("a handler panicked")), "{line}");
    let panicked = log.line("a handler panicked").await;
    assert_eq!((&panicked["level"], &panicked["interaction"]), (&json!("ERROR"), &line["interaction"]), "{panicked}");
    bank.tpp().poll(&"A".repeat(43)).await.refused(400, "invalid_grant");
}

/// The bank is slow, the till hangs up: there is a line about it all the same.
#[tokio::test]
async fn a_request_whose_caller_hangs_up_has_its_line() {
    let (log, bank, _listening) = Log::listen().await;
    let asking = bank.phone.slow();
    bank.tpp().hangs_up().await;
    asking.notify_one();
    assert_eq!(log.line("request").await["status"], 200);
}

#[tokio::test]
async fn c_26_a_success_leaves_one_line_for_each_request_and_no_secret() {
    let (log, bank, _listening) = Log::listen().await;
    let mut canaries = Canaries::default();
    bank.phone.knows(HINT, Identified::Known { sub: canaries.keep(SUB) });
    let till = till_with_subject(&bank, &canaries.keep(SUBJECT));
    let hint = canaries.keep(HINT);

    let asked = ask(&till, &mut canaries, &hint).await;
    let auth_req_id = canaries.keep(asked.text("auth_req_id"));
    poll(&till, &mut canaries, &auth_req_id).await.refused(400, "authorization_pending");
    let decision = json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": SUB});
    assert_eq!(bank.decide(&decision).await.status, 204);
    let tokens = poll(&till, &mut canaries, &auth_req_id).await;
    let access_token = canaries.keep(tokens.text("access_token"));
    canaries.token(tokens.text("id_token"));
    let live = introspect(&bank.accounts_api(), &mut canaries, &access_token).await;
    canaries.keep(live.ok()["cnf"]["x5t#S256"].as_str().expect("a string"));
    Heard::of(client(None).get(format!("{}/jwks", bank.issuer))).await.published();

    let lines = log.requests();
    assert_eq!(lines.len(), 6, "{}", log.text());
    says(&lines[0], ("POST", "/bc-authorize", 200), None);
    says(&lines[1], ("POST", "/token", 400), Some(("authorization_pending", "CIBA-11-1")));
    assert_eq!(lines[1]["client"], "till-7");
    says(&lines[2], ("POST", "/decision", 204), None);
    says(&lines[3], ("POST", "/token", 200), None);
    says(&lines[4], ("POST", "/introspect", 200), None);
    says(&lines[5], ("GET", "/jwks", 200), None);
    assert_eq!(lines[0]["target"], "countersign::http::line");
    assert!(lines.iter().all(|line| line["address"] == "127.0.0.1"), "{}", log.text());
    canaries.are_not_in(&log);
}

#[tokio::test]
async fn c_26_refusals_and_a_denial_say_which_clause_and_no_secret() {
    let (log, bank, _listening) = Log::listen().await;
    let mut canaries = Canaries::default();
    bank.phone.knows(HINT, Identified::Known { sub: canaries.keep(SUB) });
    let till = till_with_subject(&bank, &canaries.keep(SUBJECT));
    let hint = canaries.keep(HINT);

    let stranger = canaries.keep("canary-stranger@example.com");
    ask(&till, &mut canaries, &stranger).await.refused(400, "unknown_user_id");
    let asked = ask(&till, &mut canaries, &hint).await;
    let auth_req_id = canaries.keep(asked.text("auth_req_id"));
    let impostor = canaries.keep("canary-impostor");
    let theft = json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": impostor});
    bank.decide(&theft).await.refused(403, "access_denied");
    assert_eq!(bank.deny(&auth_req_id).await.status, 204);
    poll(&till, &mut canaries, &auth_req_id).await.refused(400, "access_denied");
    let guess = canaries.keep("canary-auth-req-id");
    poll(&till, &mut canaries, &guess).await.refused(400, "invalid_grant");
    let token = canaries.keep("canary-access-token");
    introspect(&till, &mut canaries, &token).await.refused(400, "unauthorized_client");

    let lines = log.requests();
    assert_eq!(lines.len(), 7, "{}", log.text());
    says(&lines[0], ("POST", "/bc-authorize", 400), Some(("unknown_user_id", "CIBA-7.1-27")));
    says(&lines[1], ("POST", "/bc-authorize", 200), None);
    assert_eq!(lines[1]["client"], "till-7");
    says(&lines[2], ("POST", "/decision", 403), Some(("access_denied", "CIBA-10.1-12")));
    says(&lines[3], ("POST", "/decision", 204), None);
    says(&lines[4], ("POST", "/token", 400), Some(("access_denied", "CIBA-11-4")));
    says(&lines[5], ("POST", "/token", 400), Some(("invalid_grant", "CIBA-11-5")));
    says(&lines[6], ("POST", "/introspect", 400), Some(("unauthorized_client", "INTRO-2-2")));
    for at in [0, 4, 5, 6] {
        assert_eq!(lines[at]["client"], "till-7", "{:#}", lines[at]);
    }
    canaries.are_not_in(&log);
}

#[tokio::test]
async fn c_26_what_comes_from_strangers_is_not_written_down() {
    let (log, bank, _listening) = Log::listen().await;
    let mut canaries = Canaries::default();
    let url = |path: &str| format!("{}{path}", bank.issuer);
    let canary = canaries.keep("canary-everywhere");

    let nowhere =
        client(None).get(url(&format!("/{canary}?{canary}={canary}"))).header("x-fapi-interaction-id", &canary);
    Heard::of(nowhere.header("authorization", &canary)).await.refused(404, "not_found");
    let posted = |path: &str, body: String| {
        client(None).post(url(path)).header("content-type", "application/x-www-form-urlencoded").body(body)
    };
    let header = posted("/token", String::new()).header("authorization", format!("Basic {canary}"));
    Heard::of(header).await.refused(401, "invalid_client");
    let garbage = format!("client_assertion_type={canary}&client_assertion={canary}&{canary}={canary}");
    Heard::of(posted("/introspect", garbage)).await.refused(401, "invalid_client");
    Heard::of(posted("/token", format!("{canary}=%zz"))).await.refused(400, "invalid_request");
    bank.decide_as(None, canary).await.refused(401, "invalid_client");
    let put = client(None).put(url("/token"));
    Heard::of(put).await.refused(405, "invalid_request");
    let method = Method::from_bytes(canaries.keep("CANARY-METHOD").as_bytes()).expect("a token");
    Heard::of(client(None).request(method, url("/token"))).await.refused(405, "invalid_request");

    let lines = log.requests();
    assert_eq!(lines.len(), 7, "{}", log.text());
    says(&lines[6], ("_OTHER", "/token", 405), Some(("invalid_request", "CIBA-7.1-1")));
    says(&lines[0], ("GET", "none", 404), Some(("not_found", "HTTP")));
    says(&lines[1], ("POST", "/token", 401), Some(("invalid_client", "CA-16")));
    says(&lines[2], ("POST", "/introspect", 401), Some(("invalid_client", "CA-1")));
    says(&lines[3], ("POST", "/token", 400), Some(("invalid_request", "OAUTH-1")));
    says(&lines[4], ("POST", "/decision", 401), Some(("invalid_client", "CIBA-8-1")));
    says(&lines[5], ("PUT", "/token", 405), Some(("invalid_request", "CIBA-7.1-1")));
    canaries.are_not_in(&log);
}

/// One change for the worse.
type Breaking = fn(Draft) -> Draft;

#[tokio::test]
async fn each_refusal_is_logged_under_the_clause_that_was_broken() {
    let (log, bank, _listening) = Log::listen().await;
    let till = bank.tpp();
    let broken: [(&str, &str, Breaking); 11] = [
        ("CIBA-7.1-9", "invalid_request", |request| request.without("scope")),
        ("CIBA-7.1-11", "invalid_scope", |request| request.with("scope", "openid  accounts")),
        ("CIBA-7.1-10", "invalid_scope", |request| request.with("scope", "accounts")),
        ("CIBA-7.1-12", "invalid_scope", |request| request.with("scope", "openid other")),
        ("CIBA-7.1-18", "invalid_request", |request| request.with("acr_values", "1 2 3 4 5 6 7 8 9")),
        ("CIBA-7.1-19", "invalid_request", |request| request.with("login_hint_token", "x")),
        ("CIBA-7.1-26", "invalid_request", |request| request.without("login_hint").with("login_hint_token", "x")),
        ("FAPICIBA-5.2.2-2", "invalid_request", |request| request.without("binding_message")),
        ("CIBA-7.1-29", "invalid_binding_message", |request| request.with("binding_message", "\u{202e}")),
        ("CIBA-7.1-31", "invalid_request", |request| request.with("user_code", "1")),
        ("CIBA-7.1.1-14", "invalid_request", |request| request.with("requested_expiry", 0)),
    ];
    for (_, error, breaking) in broken {
        till.backchannel(breaking).await.refused(400, error);
    }
    bank.phone.silent(true);
    till.backchannel(|request| request).await.refused(503, "temporarily_unavailable");
    let lines = log.requests();
    assert_eq!(lines.len(), broken.len() + 1, "{}", log.text());
    says(&lines[broken.len()], ("POST", "/bc-authorize", 503), Some(("temporarily_unavailable", "CIBA-7.2-4")));
    for (line, (clause, error, _)) in lines.iter().zip(broken) {
        says(line, ("POST", "/bc-authorize", 400), Some((error, clause)));
    }
}

#[tokio::test]
async fn how_long_a_request_took_is_a_number() {
    let (log, bank, _listening) = Log::listen().await;
    Heard::of(client(None).get(format!("{}/jwks", bank.issuer))).await.published();
    assert!(log.requests()[0]["micros"].is_u64(), "{}", log.text());
}
