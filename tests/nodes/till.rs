//! [`Till`]: till 8 and its bank as they call any of several servers, over connections that they keep.

use std::sync::atomic::{AtomicU64, Ordering};

use countersign::clock::{Clock, System};
use reqwest::{Client, RequestBuilder};
use serde_json::json;

use crate::bank::{client, key, tls};
use crate::heard::Heard;
use crate::process::{ALICE, ISSUER, Ports};
use crate::token::Draft;
use crate::tpp::CIBA;

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The till, the bank's side of a decision, and the bank's API.
#[derive(Clone)]
pub(crate) struct Till {
    http: Client,
    bank: Client,
}

impl Till {
    /// Till 8.
    pub(crate) fn new() -> Self {
        Self { http: client(Some("till8")), bank: client(Some("bank")) }
    }

    /// The same, over a new connection for each call.
    pub(crate) fn hasty() -> Self {
        let hasty = |certificate| {
            let http = Client::builder().tls_backend_preconfigured(tls(Some(certificate))).no_proxy();
            http.pool_max_idle_per_host(0).build().expect("a client")
        };
        Self { http: hasty("till8"), bank: hasty("bank") }
    }

    /// Asks for alice's yes.
    pub(crate) async fn ask(&self, at: &Ports) -> Heard {
        self.ask_for(at, "alice").await
    }

    /// Asks for somebody's.
    pub(crate) async fn ask_for(&self, at: &Ports, login_hint: &str) -> Heard {
        let now = System.now().seconds();
        let claims = json!({
            "iss": "till-8", "aud": ISSUER, "jti": fresh(), "iat": now, "nbf": now, "exp": now + 300,
            "scope": "openid accounts", "login_hint": login_hint, "binding_message": "1234",
        });
        let request = Draft::new(claims, key("till8.key")).finish();
        Heard::of(self.call(at, "/bc-authorize", "till-8", &[("request", &request)])).await
    }

    /// Polls.
    pub(crate) async fn poll(&self, at: &Ports, auth_req_id: &str) -> Heard {
        Heard::of(self.poll_http(at, auth_req_id)).await
    }

    /// A poll that was not sent yet.
    pub(crate) fn poll_http(&self, at: &Ports, auth_req_id: &str) -> RequestBuilder {
        self.call(at, "/token", "till-8", &[("grant_type", CIBA), ("auth_req_id", auth_req_id)])
    }

    /// What the accounts API hears of a token.
    pub(crate) async fn introspect(&self, at: &Ports, token: &str) -> Heard {
        Heard::of(self.call(at, "/introspect", "accounts-api", &[("token", token)])).await
    }

    /// Alice says yes.
    pub(crate) async fn approve(&self, at: &Ports, auth_req_id: &str) -> Heard {
        let body = json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": ALICE}).to_string();
        let url = format!("https://localhost:{}/decision", at.internal);
        Heard::of(self.bank.post(url).header("content-type", "application/json").body(body)).await
    }

    /// The published keys.
    pub(crate) async fn jwks(&self, at: &Ports) -> Heard {
        Heard::of(self.http.get(format!("https://localhost:{}/jwks", at.public))).await
    }

    /// Whether `at` can be relied on.
    pub(crate) async fn ready(&self, at: &Ports) -> Heard {
        Heard::of(self.bank.get(format!("https://localhost:{}/readyz", at.internal))).await
    }

    fn call(&self, at: &Ports, path: &str, client_id: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let now = System.now().seconds();
        let claims = json!({"iss": client_id, "sub": client_id, "aud": ISSUER, "jti": fresh(), "iat": now, "nbf": now, "exp": now + 60});
        let file = if client_id == "till-8" { "till8.key" } else { "accounts-api-es256.key" };
        let assertion = Draft::new(claims, key(file)).finish();
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form)
            .append_pair("client_assertion_type", ASSERTION)
            .append_pair("client_assertion", &assertion);
        let request = self.http.post(format!("https://localhost:{}{path}", at.public));
        request.header("content-type", "application/x-www-form-urlencoded").body(body.finish())
    }
}

/// A jti that nobody has used.
fn fresh() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("node-{}", NEXT.fetch_add(1, Ordering::SeqCst))
}
