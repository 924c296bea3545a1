//! [`Till`]: it makes calls, signed, and holds each answer against the one that is right.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use countersign::clock::{self, Clock};
use countersign::jose::keyring::SigningKey;
use countersign::outbound::{VERSIONS, provider};
use countersign::secret::{self, Digest, Secret};
use countersign::store::backend::{Family, Key};
use http::header::CONTENT_TYPE;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::Told;

const ISSUER: &str = "https://localhost:9443";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const GRANT: &str = "urn:openid:params:grant-type:ciba";

/// How long what is signed and what is asked for is good, in seconds: as long as may be.
const LIFETIME: u32 = 600;

/// The client that polls, and the one that is told.
pub(crate) const POLL: &str = "poll";
pub(crate) const PING: &str = "ping";

/// Whoever calls: both clients, and the bank with its decisions.
#[derive(Clone)]
pub(crate) struct Till {
    till: reqwest::Client,
    bank: reqwest::Client,
    key: SigningKey,
    public: String,
    internal: String,
}

/// A call that can be sent once.
pub(crate) struct Call {
    bank: bool,
    url: String,
    content_type: &'static str,
    body: String,
    /// The status, and the words one of which is the error where there has to be one.
    right: Right,
}

type Right = (u16, &'static [&'static str]);

impl Till {
    /// Opens certificates and key of the folder `certs`, for a server at these ports.
    pub(crate) fn open(certs: &Path, (public, internal): (u16, u16)) -> Told<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_file(certs.join("till-es256.key"))?;
        let url = |port| format!("https://localhost:{port}");
        Ok(Self {
            till: client(certs, "till")?,
            bank: client(certs, "bank")?,
            key: SigningKey::from_pkcs8(der.secret_pkcs8_der())?,
            public: url(public),
            internal: url(internal),
        })
    }

    /// `/bc-authorize`, as `client_id`, for a user of the number `user`.
    pub(crate) fn authorize(&self, client_id: &str, user: u32) -> Told<Call> {
        let mut claims = json!({
            "scope": "openid accounts", "login_hint": sub(user), "binding_message": "Till 7: 42.90", "requested_expiry": LIFETIME,
        });
        if client_id == PING {
            claims["client_notification_token"] = Secret::draw(&secret::System).reveal().into();
        }
        let request = self.sign("oauth-authz-req+jwt", client_id, claims)?;
        self.form("/bc-authorize", client_id, (&[("request", request.reveal())], (200, &[])))
    }

    /// A poll for what nobody has decided.
    pub(crate) fn poll(&self, auth_req_id: &str) -> Told<Call> {
        self.token(auth_req_id, (400, &["authorization_pending", "slow_down"]))
    }

    /// The poll that finds an approval.
    pub(crate) fn redeem(&self, auth_req_id: &str) -> Told<Call> {
        self.token(auth_req_id, (200, &[]))
    }

    /// `/decision`: yes, by the user of the number `user`.
    pub(crate) fn decide(&self, auth_req_id: &str, user: u32) -> Call {
        let body = json!({ "auth_req_id": auth_req_id, "decision": "approve", "sub": sub(user) }).to_string();
        let url = format!("{}/decision", self.internal);
        Call { bank: true, url, content_type: "application/json", body, right: (204, &[]) }
    }

    /// Sends `call`, and says what was answered, where that was right.
    pub(crate) async fn make(&self, call: Call) -> Told<Value> {
        let http = if call.bank { &self.bank } else { &self.till };
        let response = http.post(&call.url).header(CONTENT_TYPE, call.content_type).body(call.body).send().await?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await?;
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
        let (right, errors) = call.right;
        let fine = status == right && (errors.is_empty() || errors.iter().any(|error| body["error"] == *error));
        if fine { Ok(body) } else { Err(format!("{} was answered with {status} {}", call.url, body["error"]).into()) }
    }

    /// Has a request made, and says its id.
    pub(crate) async fn auth_req_id(&self, client_id: &str, user: u32) -> Told<String> {
        let answer = self.make(self.authorize(client_id, user)?).await?;
        Ok(answer["auth_req_id"].as_str().ok_or("the answer has no auth_req_id")?.to_owned())
    }

    fn token(&self, auth_req_id: &str, right: Right) -> Told<Call> {
        self.form("/token", POLL, (&[("grant_type", GRANT), ("auth_req_id", auth_req_id)], right))
    }

    fn form(&self, path: &str, client_id: &str, (form, right): (&[(&str, &str)], Right)) -> Told<Call> {
        let assertion = self.sign("client-authentication+jwt", client_id, json!({ "sub": client_id }))?;
        let asserted = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.reveal())];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(asserted).extend_pairs(form).finish();
        let (url, content_type) = (format!("{}{path}", self.public), "application/x-www-form-urlencoded");
        Ok(Call { bank: false, url, content_type, body, right })
    }

    fn sign(&self, typ: &str, client_id: &str, mut claims: Value) -> Told<Secret> {
        let now = clock::System.now();
        claims["iss"] = client_id.into();
        claims["aud"] = ISSUER.into();
        claims["jti"] = Secret::draw(&secret::System).reveal().into();
        claims["iat"] = now.seconds().into();
        claims["nbf"] = now.seconds().into();
        claims["exp"] = now.plus(LIFETIME).seconds().into();
        Ok(self.key.sign(typ, &claims)?)
    }
}

/// Where the record of a request lies, and where that of its polls, as the store lays them.
pub(crate) fn keys(auth_req_id: &str) -> [Key; 2] {
    let grant = Key { family: Family::Grant, digest: Digest::of(auth_req_id.as_bytes()) };
    [grant, Key { family: Family::Pace, digest: Digest::of_parts(&["pace", auth_req_id, POLL]) }]
}

/// As long as the names that a bank gives.
fn sub(user: u32) -> String {
    format!("alice-{user:012}")
}

/// Connections are kept, and given up before the server does.
fn client(certs: &Path, name: &str) -> Told<reqwest::Client> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(certs.join(format!("{name}.pem")))?.collect::<Result<_, _>>()?;
    let mut authorities = RootCertStore::empty();
    authorities.add(CertificateDer::from_pem_file(certs.join("ca.pem"))?)?;
    let tls = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_root_certificates(authorities)
        .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(certs.join(format!("{name}.key")))?)?;
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .resolve("localhost", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(30))
        .build()?)
}
