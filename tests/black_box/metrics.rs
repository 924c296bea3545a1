//! What is counted and measured, and that callers cannot make it more: `GET /metrics` on the internal listener.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep};

use crate::bank::{Bank, client};
use crate::heard::Heard;
use crate::ping::{TOKEN, listening};
use crate::raw::in_time;
use crate::teller::response;
use crate::tpp::Tpp;
use crate::wired::{metadata, till9, till10, wired};

/// The series at the moment, and their values.
struct Seen(BTreeMap<String, f64>);

impl Seen {
    async fn at(bank: &Bank) -> Self {
        let answer = client(None)
            .get(format!("https://localhost:{}/metrics", bank.internal.port()))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let text = answer.text().await.expect("text");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(
            lines
                .filter_map(|line| line.rsplit_once(' '))
                .map(|(series, value)| (series.to_owned(), value.parse().expect("a number")))
                .collect(),
        )
    }

    #[track_caller]
    fn of(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or_else(|| panic!("{series} is not among {:#?}", self.0.keys()))
    }

    #[track_caller]
    fn has(&self, counts: &[(&str, f64)]) {
        for (series, value) in counts {
            assert!((self.of(series) - value).abs() < f64::EPSILON, "{series} is {}, not {value}", self.of(series));
        }
    }

    fn names(&self) -> BTreeSet<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// Waits until this series has come to `value`.
async fn comes_to(bank: &Bank, series: &str, value: f64) -> Seen {
    let found = async {
        loop {
            let seen = Seen::at(bank).await;
            if seen.0.get(series).is_some_and(|there| (there - value).abs() < f64::EPSILON) {
                return seen;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    in_time(found).await
}

#[tokio::test]
async fn what_becomes_of_requests_is_counted_by_route_class_and_outcome() {
    let bank = wired("https://localhost:1/ping").await;
    let (till, teller) = (till9(&bank), bank.accounts_api());
    let asked = till.auth_req_id().await;
    till.poll(&asked).await.refused(400, "authorization_pending");
    till.poll(&asked).await.refused(400, "slow_down");
    assert_eq!(bank.approve(&asked).await.status, 204);
    let token = till.poll(&asked).await.text("access_token");
    let denied = till.auth_req_id().await;
    assert_eq!(bank.deny(&denied).await.status, 204);
    till.poll(&denied).await.refused(400, "access_denied");
    teller.introspect(&token).await.ok();
    till.backchannel(|request| request.with("login_hint", "nobody")).await.refused(400, "unknown_user_id");
    Heard::of(client(None).get(bank.url("/nowhere"))).await.refused(404, "not_found");
    let seen = Seen::at(&bank).await;
    let requests = |class: &str, route: &str, outcome: &str| {
        format!("countersign_requests_total{{client_class=\"{class}\",http_route=\"{route}\",outcome=\"{outcome}\"}}")
    };
    seen.has(&[
        (&requests("poll", "/bc-authorize", "ok"), 2.0),
        (&requests("poll", "/bc-authorize", "unknown_user_id"), 1.0),
        (&requests("poll", "/token", "authorization_pending"), 1.0),
        (&requests("poll", "/token", "slow_down"), 1.0),
        (&requests("poll", "/token", "ok"), 1.0),
        (&requests("poll", "/token", "access_denied"), 1.0),
        (&requests("resource_server", "/introspect", "ok"), 1.0),
        (&requests("none", "/decision", "ok"), 2.0),
        (&requests("none", "none", "not_found"), 1.0),
        ("countersign_events_total{event=\"requested\"}", 2.0),
        ("countersign_events_total{event=\"approved\"}", 1.0),
        ("countersign_events_total{event=\"denied\"}", 1.0),
        ("countersign_events_total{event=\"issued\"}", 1.0),
        ("countersign_audit_duration_seconds_count{outcome=\"ok\"}", 5.0),
        ("countersign_call_duration_seconds_count{call=\"identify\",outcome=\"ok\"}", 3.0),
        ("countersign_call_duration_seconds_count{call=\"prompt\",outcome=\"ok\"}", 2.0),
        ("http_server_request_duration_seconds_count{http_request_method=\"POST\",http_response_status_code=\"200\",http_route=\"/introspect\",url_scheme=\"https\"}", 1.0),
        ("countersign_configuration_stale", 0.0),
    ]);
    assert!(seen.of("db_client_operation_duration_seconds_count{db_system_name=\"memory\"}") >= 12.0);
    bank.phone.silent(true);
    till.backchannel(|request| request).await.refused(503, "temporarily_unavailable");
    Seen::at(&bank)
        .await
        .has(&[("countersign_call_duration_seconds_count{call=\"identify\",outcome=\"failed\"}", 1.0)]);
}

#[tokio::test]
async fn what_becomes_of_a_ping_is_counted() {
    let teller = listening(response("503 Service Unavailable", "", "")).await;
    teller.then(response("204 No Content", "", ""));
    let bank = wired(&teller.url).await;
    let asked = till10(&bank).backchannel(|request| request.with("client_notification_token", TOKEN)).await;
    assert_eq!(bank.deny(&asked.text("auth_req_id")).await.status, 204);
    let seen = comes_to(&bank, "countersign_notifications_total{outcome=\"sent\"}", 1.0).await;
    seen.has(&[
        ("countersign_notifications_total{outcome=\"retried\"}", 1.0),
        ("countersign_call_duration_seconds_count{call=\"ping\",outcome=\"failed\"}", 1.0),
        ("countersign_call_duration_seconds_count{call=\"ping\",outcome=\"ok\"}", 1.0),
        ("countersign_requests_total{client_class=\"ping\",http_route=\"/bc-authorize\",outcome=\"ok\"}", 1.0),
    ]);
}

#[tokio::test]
async fn what_a_handshake_came_to_is_counted() {
    let bank = Bank::open().await;
    let mut plain = TcpStream::connect(bank.public).await.expect("a connection");
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    comes_to(&bank, "countersign_handshakes_total{listener=\"public\",outcome=\"malformed\"}", 1.0).await;
    drop(TcpStream::connect(bank.public).await.expect("a connection"));
    comes_to(&bank, "countersign_handshakes_total{listener=\"public\",outcome=\"broke_off\"}", 1.0).await;
    let distrusting =
        reqwest::Client::builder().tls_backend_preconfigured(crate::bank::distrusting()).build().expect("a client");
    distrusting.get(bank.url("/jwks")).send().await.expect_err("nobody vouches for the server");
    comes_to(&bank, "countersign_handshakes_total{listener=\"public\",outcome=\"alert\"}", 1.0).await;
    Heard::of(client(None).get(bank.url("/jwks"))).await.published();
    let seen = Seen::at(&bank).await;
    seen.has(&[("countersign_handshakes_total{listener=\"public\",outcome=\"tls_1.3\"}", 1.0)]);
    assert!(seen.of("countersign_connections{listener=\"internal\"}") >= 1.0);
}

/// A bit of everything that a caller can do, with words of its own.
async fn mill_about(bank: &Bank, word: &str) {
    let url = |path: &str| format!("{}{path}", bank.issuer);
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", &word.to_uppercase()] {
        let method = Method::from_bytes(method.as_bytes()).expect("a token");
        for path in [
            "/token",
            "/bc-authorize",
            "/introspect",
            "/revoke",
            "/userinfo",
            "/jwks",
            "/authorize",
            &format!("/{word}"),
            &format!("/register/{word}"),
        ] {
            let call = client(None).request(method.clone(), url(path)).body(format!("client_id={word}&{word}=1"));
            let call =
                call.header("content-type", "application/x-www-form-urlencoded").header("x-fapi-interaction-id", word);
            call.bearer_auth(word).send().await.expect("an answer");
        }
    }
    let stranger = Tpp::new(bank, word, (crate::bank::key("till8.key"), crate::bank::key("till8.key")), None);
    stranger.backchannel(|request| request).await.refused(401, "invalid_client");
    let mut registered = metadata();
    registered["client_name"] = word.into();
    let registered = Heard::of(
        client(None).post(url("/register")).header("content-type", "application/json").body(registered.to_string()),
    )
    .await;
    let client_id = registered.body["client_id"].as_str().expect("an id").to_owned();
    let new = Tpp::new(bank, client_id, (crate::bank::key("till8.key"), crate::bank::key("till8.key")), Some("till8"));
    let scope: Value = json!("openid accounts");
    let asked = new.backchannel(|request| request.with("scope", scope)).await.text("auth_req_id");
    new.poll(&asked).await.refused(400, "authorization_pending");
    assert_eq!(bank.approve(&asked).await.status, 204);
    new.poll(&asked).await.ok();
    bank.clock.advance(20);
}

#[tokio::test]
async fn callers_cannot_make_more_series() {
    let bank = wired("https://localhost:1/ping").await;
    mill_about(&bank, "first").await;
    // What the second look finds of the first.
    Seen::at(&bank).await;
    let before = Seen::at(&bank).await;
    for word in ["second", "third", "fourth"] {
        mill_about(&bank, word).await;
    }
    let after = Seen::at(&bank).await;
    assert_eq!(before.names(), after.names());
    assert!(after.names().len() < 2_000, "{}", after.names().len());
    assert!(after.names().iter().all(|series| !series.contains("till-") && !series.contains("first")));
}
