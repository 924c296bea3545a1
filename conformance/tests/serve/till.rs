//! [`Till`]: a client that registers itself, asks, polls and uses what it is given.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::clock::{Clock, System};
use countersign::jose::keyring::SigningKey;
use countersign::outbound::{VERSIONS, provider};
use countersign::secret::{self, Digest, Secret};
use josekit::jws::JwsSigner;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use reqwest::{Method, RequestBuilder};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

use crate::served::Served;

const CIBA: &str = "urn:openid:params:grant-type:ciba";

/// A client of the server that is up.
pub(crate) struct Till<'a> {
    served: &'a Served,
    http: reqwest::Client,
    key: SigningKey,
    client_id: String,
    /// What its tokens are bound to, in place of a certificate.
    dpop: Option<SigningKey>,
}

impl<'a> Till<'a> {
    /// RFC 7591, with the token that the server's operator gave out.
    pub(crate) async fn register(served: &'a Served) -> Self {
        Self::register_for(served, &[CIBA], None).await
    }

    /// The same, with tokens that are bound by DPoP (RFC 9449 §5.2).
    pub(crate) async fn register_for_dpop(served: &'a Served) -> Self {
        Self::register_for(served, &[CIBA], Some(fresh())).await
    }

    /// The same, for the grants of Open Banking UK.
    pub(crate) async fn register_in_the_uk(served: &'a Served) -> Self {
        Self::register_for(served, &[CIBA, "client_credentials"], None).await
    }

    async fn register_for(served: &'a Served, grants: &[&str], dpop: Option<SigningKey>) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let key = SigningKey::from_pkcs8(&pair.serialize_der()).expect("a key");
        let http = client(served, &pair);
        let mut public = key.public().clone();
        public.insert("alg".into(), "ES256".into());
        let metadata = json!({
            "client_name": "till",
            "jwks": {"keys": [public]},
            "grant_types": grants,
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": "ES256",
            "backchannel_authentication_request_signing_alg": "ES256",
            "backchannel_token_delivery_mode": "poll",
            "id_token_signed_response_alg": "ES256",
            "dpop_bound_access_tokens": dpop.is_some(),
        });
        let request = http.post(format!("{}/register", served.says("issuer"))).body(metadata.to_string());
        let request = request
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", served.says("initial_access_token")));
        let (status, registered) = answer(request).await;
        assert_eq!(status, 201, "{registered}");
        let client_id = registered["client_id"].as_str().expect("an id").to_owned();
        Self { served, http, key, client_id, dpop }
    }

    /// CIBA §7.1.
    pub(crate) async fn ask(&self, user: &str) -> String {
        let (status, asked) = self.backchannel(user).await;
        assert_eq!(status, 200, "{asked}");
        asked["auth_req_id"].as_str().expect("an id").to_owned()
    }

    /// The same, whatever comes of it.
    pub(crate) async fn backchannel(&self, user: &str) -> (u16, Value) {
        let claims = json!({"scope": "openid accounts", "login_hint": user, "binding_message": "Till 7: 42.90"});
        let request = self.signed("oauth-authz-req+jwt", claims);
        self.post("/bc-authorize", &format!("request={}", request.reveal())).await
    }

    /// From asking to the token.
    pub(crate) async fn approved(&self, user: &str) -> String {
        let auth_req_id = self.ask(user).await;
        assert_eq!(self.phone(&auth_req_id, "allow").await, 204);
        let (status, tokens) = self.token(&auth_req_id).await;
        assert_eq!(status, 200, "{tokens}");
        tokens["access_token"].as_str().expect("a token").to_owned()
    }

    /// RFC 6749 §4.4: a token in its own name.
    pub(crate) async fn own(&self) -> String {
        let (status, tokens) = self.post("/token", "grant_type=client_credentials&scope=accounts").await;
        assert_eq!(status, 200, "{tokens}");
        tokens["access_token"].as_str().expect("a token").to_owned()
    }

    /// Polls until there is an answer, within ten seconds, as slowly as the server wants it.
    pub(crate) async fn decided(&self, auth_req_id: &str) -> (u16, Value) {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_secs(5)).await;
            let (status, answer) = self.token(auth_req_id).await;
            if answer["error"] != "authorization_pending" {
                return (status, answer);
            }
        }
        panic!("nobody decides");
    }

    /// CIBA §10.1.
    pub(crate) async fn token(&self, auth_req_id: &str) -> (u16, Value) {
        self.post("/token", &format!("grant_type={CIBA}&auth_req_id={auth_req_id}")).await
    }

    /// The same, for whoever wants to know why there is none.
    pub(crate) async fn poll(&self, auth_req_id: &str) -> (u16, Value) {
        let (status, answer) = self.token(auth_req_id).await;
        (status, answer["error"].clone())
    }

    /// The approval URL, filled in as the suite does it, by somebody without a certificate.
    pub(crate) async fn phone(&self, auth_req_id: &str, action: &str) -> u16 {
        let url = self.served.says("approval_url").replace("{auth_req_id}", auth_req_id).replace("{action}", action);
        self.http.post(url).send().await.expect("an answer").status().as_u16()
    }

    /// The resource.
    pub(crate) async fn accounts(&self, access_token: &str) -> (u16, Value) {
        self.bank(Method::GET, (self.served.says("resource_url"), access_token), None).await
    }

    /// Something of the bank, with a token.
    pub(crate) async fn bank(
        &self,
        method: Method,
        (url, access_token): (&str, &str),
        body: Option<&str>,
    ) -> (u16, Value) {
        let request = self.http.request(method.clone(), url);
        let request = match &self.dpop {
            None => request.header("authorization", format!("Bearer {access_token}")),
            Some(key) => request
                .header("authorization", format!("DPoP {access_token}"))
                .header("dpop", proof(key, (method.as_str(), url), Some(access_token))),
        };
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_owned()),
            None => request,
        };
        answer(request).await
    }

    /// What its tokens are bound to.
    pub(crate) fn dpop_key(&self) -> &SigningKey {
        self.dpop.as_ref().expect("it is registered for DPoP")
    }

    /// What it calls with.
    pub(crate) const fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// RFC 9449 §8: once more where a nonce is wanted.
    async fn post(&self, path: &str, form: &str) -> (u16, Value) {
        let (nonce, first) = self.post_with(path, form, None).await;
        if first.1["error"] == "use_dpop_nonce" { self.post_with(path, form, nonce).await.1 } else { first }
    }

    async fn post_with(&self, path: &str, form: &str, nonce: Option<String>) -> (Option<String>, (u16, Value)) {
        let assertion = self.signed("client-authentication+jwt", json!({"sub": self.client_id}));
        let form = format!(
            "{form}&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion={}",
            assertion.reveal()
        );
        let url = format!("{}{path}", self.served.says("issuer"));
        let request = self.http.post(&url).body(form);
        let request = match &self.dpop {
            Some(key) if path == "/token" => {
                let mut claims = claims(("POST", &url), None);
                claims
                    .as_object_mut()
                    .expect("an object")
                    .extend(nonce.map(|nonce| ("nonce".to_owned(), json!(nonce))));
                request.header("dpop", prove(key, &claims))
            }
            _ => request,
        };
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.send().await.expect("an answer");
        let nonce = answer.headers().get("dpop-nonce").map(|nonce| nonce.to_str().expect("ASCII").to_owned());
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (nonce, (status, serde_json::from_str(&text).expect("JSON")))
    }

    fn signed(&self, typ: &str, mut claims: Value) -> Secret {
        let now = System.now().seconds();
        let jti = Secret::draw(&secret::System);
        let common = json!({"iss": self.client_id, "aud": self.served.says("issuer"), "iat": now, "nbf": now, "exp": now + 60, "jti": jti.reveal()});
        let (claims, common) = (claims.as_object_mut().expect("an object"), common.as_object().expect("an object"));
        claims.extend(common.clone());
        self.key.sign(typ, &Value::Object(claims.clone())).expect("it signs")
    }
}

/// A key that nobody has had before.
fn fresh() -> SigningKey {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    SigningKey::from_pkcs8(&pair.serialize_der()).expect("a key")
}

/// RFC 9449 §4.2: that `key` is held by who makes this call, perhaps with a token.
pub(crate) fn proof(key: &SigningKey, call: (&str, &str), token: Option<&str>) -> String {
    prove(key, &claims(call, token))
}

fn claims((method, url): (&str, &str), token: Option<&str>) -> Value {
    let jti = Secret::draw(&secret::System);
    let mut claims = json!({"jti": jti.reveal(), "htm": method, "htu": url, "iat": System.now().seconds()});
    if let Some(token) = token {
        claims["ath"] = Digest::of(token.as_bytes()).to_string().into();
    }
    claims
}

fn prove(key: &SigningKey, claims: &Value) -> String {
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": key.public()});
    let parts = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = parts.join(".");
    let signature = JwsSigner::sign(key, message.as_bytes()).expect("it signs");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Somebody who shows a certificate of `pair`.
pub(crate) fn client(served: &Served, pair: &KeyPair) -> reqwest::Client {
    let mut trust = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(&served.ca()).expect("a certificate");
    trust.add(authority).expect("an authority");
    let certificate = CertificateParams::default().self_signed(pair).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(pair.serialize_pem().as_bytes()).expect("a key");
    let tls = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .expect("versions")
        .with_root_certificates(trust)
        .with_client_auth_cert(vec![certificate.der().clone()], key)
        .expect("it fits");
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().expect("a client")
}

/// What comes back: the status, and the body if it is JSON.
pub(crate) async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.bytes().await.expect("a body");
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}
