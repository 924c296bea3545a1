//! [`Tpp`]: a registered client that does everything right, except for the one thing a test breaks.

use std::sync::atomic::{AtomicU64, Ordering};

use countersign::jose::keyring::SigningKey;
use futures_util::FutureExt as _;
use reqwest::{Request, RequestBuilder};
use serde_json::{Value, json};

use crate::bank::{Bank, client};
use crate::heard::Heard;
use crate::token::Draft;

/// The CIBA grant.
pub(crate) const CIBA: &str = "urn:openid:params:grant-type:ciba";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client.
pub(crate) struct Tpp<'a> {
    bank: &'a Bank,
    /// Its id.
    pub(crate) client_id: String,
    /// What it signs assertions with.
    pub(crate) assertion_key: SigningKey,
    /// What it signs request objects with.
    pub(crate) request_key: SigningKey,
    http: reqwest::Client,
    bare: reqwest::Client,
    /// Whether it authenticates by its certificate, and so sends its id in place of an assertion.
    pub(crate) by_certificate: bool,
    /// What its requests have beside the rest.
    pub(crate) extra: Vec<(&'static str, Value)>,
}

/// A form in the making: what it sends, each part of which a test may break.
pub(crate) struct Call {
    /// The client assertion.
    pub(crate) assertion: Draft,
    /// The request object, at the backchannel endpoint.
    pub(crate) request: Draft,
    /// Parameters as they will be sent; a test may change, drop or double them.
    pub(crate) form: Vec<(String, String)>,
    /// Without the client certificate.
    pub(crate) bare: bool,
    /// The last touch.
    pub(crate) edit: fn(RequestBuilder) -> RequestBuilder,
}

impl Call {
    /// With this parameter, beside whatever is there.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.form.push((name.into(), value.into()));
        self
    }

    /// Without this parameter.
    pub(crate) fn drop(mut self, name: &str) -> Self {
        self.form.retain(|(known, _)| known != name);
        self
    }

    /// With this parameter in place of what is there.
    pub(crate) fn set(self, name: &str, value: &str) -> Self {
        self.drop(name).and(name, value)
    }

    /// With what is there of this parameter sent twice.
    pub(crate) fn twice(mut self, name: &str) -> Self {
        let there: Vec<_> = self.form.iter().filter(|(known, _)| known == name).cloned().collect();
        self.form.extend(there);
        self
    }

    /// With another assertion.
    pub(crate) fn assertion(mut self, change: impl FnOnce(Draft) -> Draft) -> Self {
        self.assertion = change(self.assertion);
        self
    }

    /// With another request object.
    pub(crate) fn request(mut self, change: impl FnOnce(Draft) -> Draft) -> Self {
        self.request = change(self.request);
        self
    }

    /// Without a client certificate.
    pub(crate) fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// With the HTTP request changed.
    pub(crate) fn edit(mut self, edit: fn(RequestBuilder) -> RequestBuilder) -> Self {
        self.edit = edit;
        self
    }

    /// The body as it will be sent.
    pub(crate) fn body(&self) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.form {
            let value = match value.as_str() {
                "$assertion" => self.assertion.finish(),
                "$request" => self.request.finish(),
                other => other.to_owned(),
            };
            form.append_pair(name, &value);
        }
        form.finish()
    }
}

impl<'a> Tpp<'a> {
    /// The client `client_id`, with its assertion key and its request key.
    pub(crate) fn new(
        bank: &'a Bank,
        client_id: impl Into<String>,
        keys: (SigningKey, SigningKey),
        certificate: Option<&str>,
    ) -> Self {
        let (assertion_key, request_key) = keys;
        let client_id = client_id.into();
        Self {
            bank,
            client_id,
            assertion_key,
            request_key,
            http: client(certificate),
            bare: client(None),
            by_certificate: false,
            extra: Vec::new(),
        }
    }

    /// The client `client_id`, over a connection of its own.
    pub(crate) fn over(bank: &'a Bank, client_id: impl Into<String>, key: SigningKey, http: reqwest::Client) -> Self {
        let client_id = client_id.into();
        Self {
            bank,
            client_id,
            assertion_key: key.clone(),
            request_key: key,
            http,
            bare: client(None),
            by_certificate: false,
            extra: Vec::new(),
        }
    }

    /// A client assertion: RFC 7523 §3, addressed to the issuer.
    pub(crate) fn assertion(&self) -> Draft {
        let now = self.bank.now();
        let claims = json!({"iss": self.client_id, "sub": self.client_id, "aud": self.bank.issuer, "jti": fresh(), "iat": now, "nbf": now, "exp": now + 60});
        Draft::new(claims, self.assertion_key.clone())
    }

    /// A request object: CIBA §7.1.1, for alice.
    pub(crate) fn request(&self) -> Draft {
        let now = self.bank.now();
        let claims = json!({
            "iss": self.client_id, "aud": self.bank.issuer, "jti": fresh(), "iat": now, "nbf": now, "exp": now + 300,
            "scope": "openid accounts", "login_hint": "alice", "binding_message": "1234",
        });
        let draft = Draft::new(claims, self.request_key.clone());
        self.extra.iter().fold(draft, |draft, (name, value)| draft.with(name, value.clone()))
    }

    fn call(&self, form: &[(&str, &str)]) -> Call {
        let form = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let asserted = [("client_assertion_type", ASSERTION), ("client_assertion", "$assertion")];
        let named = [("client_id", self.client_id.as_str())];
        let auth: &[(&str, &str)] = if self.by_certificate { &named } else { &asserted };
        let auth = auth.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (assertion, request) = (self.assertion(), self.request());
        Call { assertion, request, form: form.chain(auth).collect(), bare: false, edit: |request| request }
    }

    fn unsent(&self, path: &str, call: &Call) -> RequestBuilder {
        let http = if call.bare { &self.bare } else { &self.http };
        let request = http.post(self.bank.url(path));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(call.body());
        (call.edit)(request)
    }

    async fn send(&self, path: &str, call: Call) -> Heard {
        Heard::of(self.unsent(path, &call)).await
    }

    /// A good request for authentication, not sent yet, with the HTTP changed.
    pub(crate) fn backchannel_http(&self, change: impl FnOnce(&mut Request)) -> RequestBuilder {
        altered(self.unsent("/bc-authorize", &self.call(&[("request", "$request")])), change)
    }

    /// A good poll, not sent yet, with the HTTP changed.
    pub(crate) fn poll_http(&self, auth_req_id: &str, change: impl FnOnce(&mut Request)) -> RequestBuilder {
        altered(self.unsent("/token", &self.call(&[("grant_type", CIBA), ("auth_req_id", auth_req_id)])), change)
    }

    /// A good question about a token, not sent yet, with the HTTP changed.
    pub(crate) fn introspect_http(&self, token: &str, change: impl FnOnce(&mut Request)) -> RequestBuilder {
        altered(self.unsent("/introspect", &self.call(&[("token", token)])), change)
    }

    /// Asks for authentication, with the request object changed.
    pub(crate) async fn backchannel(&self, change: impl FnOnce(Draft) -> Draft) -> Heard {
        self.backchannel_call(|call| call.request(change)).await
    }

    /// Asks for authentication, with the whole call changed.
    pub(crate) async fn backchannel_call(&self, change: impl FnOnce(Call) -> Call) -> Heard {
        self.send("/bc-authorize", change(self.call(&[("request", "$request")]))).await
    }

    /// Asks for authentication, and hangs up as soon as the bank is asked who is meant.
    pub(crate) async fn hangs_up(&self) {
        let asked = self.bank.phone.asked();
        // Whoever asked before is not meant.
        asked.notified().now_or_never();
        tokio::select! {
            heard = self.backchannel(|request| request) => panic!("it did not wait for the bank: {heard:?}"),
            () = asked.notified() => {}
        }
        // The server has to hear of it.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }

    /// Asks for authentication, and gets an id.
    pub(crate) async fn auth_req_id(&self) -> String {
        self.backchannel(|request| request).await.text("auth_req_id")
    }

    /// Polls.
    pub(crate) async fn poll(&self, auth_req_id: &str) -> Heard {
        self.poll_call(auth_req_id, |call| call).await
    }

    /// Polls, with the whole call changed.
    pub(crate) async fn poll_call(&self, auth_req_id: &str, change: impl FnOnce(Call) -> Call) -> Heard {
        self.send("/token", change(self.call(&[("grant_type", CIBA), ("auth_req_id", auth_req_id)]))).await
    }

    /// Refreshes.
    pub(crate) async fn refresh(&self, refresh_token: &str) -> Heard {
        self.refresh_call(refresh_token, |call| call).await
    }

    /// Refreshes, with the whole call changed.
    pub(crate) async fn refresh_call(&self, refresh_token: &str, change: impl FnOnce(Call) -> Call) -> Heard {
        self.send("/token", change(self.call(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])))
            .await
    }

    /// Refreshes, with a DPoP proof.
    pub(crate) async fn refresh_with(&self, refresh_token: &str, proof: &str) -> Heard {
        let call = self.call(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]);
        Heard::of(self.unsent("/token", &call).header("dpop", proof)).await
    }

    /// Asks for a token in its own name, with a DPoP proof.
    pub(crate) async fn own_with(&self, proof: &str) -> Heard {
        let call = self.call(&[("grant_type", "client_credentials")]);
        Heard::of(self.unsent("/token", &call).header("dpop", proof)).await
    }

    /// Asks for a token in its own name.
    pub(crate) async fn own(&self) -> Heard {
        self.own_call(|call| call).await
    }

    /// Asks for a token in its own name, with the whole call changed.
    pub(crate) async fn own_call(&self, change: impl FnOnce(Call) -> Call) -> Heard {
        self.send("/token", change(self.call(&[("grant_type", "client_credentials")]))).await
    }

    /// Gives a token back.
    pub(crate) async fn revoke(&self, token: &str) -> Heard {
        self.revoke_call(token, |call| call).await
    }

    /// Gives a token back, with the whole call changed.
    pub(crate) async fn revoke_call(&self, token: &str, change: impl FnOnce(Call) -> Call) -> Heard {
        self.send("/revoke", change(self.call(&[("token", token)]))).await
    }

    /// Asks who the user is, over this client's connection.
    pub(crate) async fn userinfo(&self, token: &str) -> Heard {
        Heard::of(self.http.get(self.bank.url("/userinfo")).bearer_auth(token)).await
    }

    /// Asks about a token.
    pub(crate) async fn introspect(&self, token: &str) -> Heard {
        self.introspect_call(token, |call| call).await
    }

    /// Asks about a token, with the whole call changed.
    pub(crate) async fn introspect_call(&self, token: &str, change: impl FnOnce(Call) -> Call) -> Heard {
        self.send("/introspect", change(self.call(&[("token", token)]))).await
    }

    /// Asks, has alice approve, and collects the tokens.
    pub(crate) async fn tokens(&self) -> Heard {
        let auth_req_id = self.auth_req_id().await;
        assert_eq!(self.bank.approve(&auth_req_id).await.status, 204);
        self.poll(&auth_req_id).await
    }
}

/// The same request, with its HTTP changed.
pub(crate) fn altered(request: RequestBuilder, change: impl FnOnce(&mut Request)) -> RequestBuilder {
    let (client, request) = request.build_split();
    let mut request = request.expect("a request");
    change(&mut request);
    RequestBuilder::from_parts(client, request)
}

/// A jti that no other test uses.
fn fresh() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("jti-{}", NEXT.fetch_add(1, Ordering::SeqCst))
}
