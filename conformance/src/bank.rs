//! The bank itself: webhook, phone and API on one listener.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Extension, Path as Segments, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use countersign::clock::{Clock, System};
use countersign::http::serve::{Limits, Listener, run};
use countersign::http::tls::{self, Certificates, Gaze, config};
use countersign::jose::keyring::SigningKey;
use countersign::outbound::{VERSIONS, provider};
use countersign::secret::{self, Secret};
use countersign::wire::inbound::PeerCertificate;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::Fault;

type Fallible<T> = Result<T, Fault>;

/// Where the bank is, and whom it works with.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9445")]
    listen: SocketAddr,
    /// The issuer of the server
    #[arg(long, value_name = "URL", default_value = "https://localhost:9443")]
    issuer: String,
    /// The server's decision interface
    #[arg(long, value_name = "URL", default_value = "https://localhost:9444/decision")]
    decision: String,
    /// The folder that `countersign certs dev` made
    #[arg(long, value_name = "FOLDER", default_value = "certs/dev")]
    certs: PathBuf,
    /// The acr that every approval reports
    #[arg(long, value_name = "ACR", default_value = "urn:bank:acr:app-pin")]
    acr: String,
}

struct Bank {
    options: Options,
    http: reqwest::Client,
    api_key: SigningKey,
    /// Who was asked in which request.
    asked: Mutex<HashMap<String, String>>,
}

/// Serves until the process ends.
pub(crate) async fn serve(options: Options) -> Fallible<()> {
    if !options.listen.ip().is_loopback() {
        return Err("the sandbox bank approves whatever it is told to: it listens on loopback alone".into());
    }
    let certs = options.certs.clone();
    let chain = |name: &str| -> Fallible<_> { Ok((certificates(&certs, name)?, key(&certs, name)?)) };
    let (p256, rsa) = (tls::p256(chain("server-p256")?)?, tls::rsa(chain("server-rsa")?)?);
    let tls = config(Certificates { p256, rsa })?;
    let api_key = PrivatePkcs8KeyDer::from_pem_file(certs.join("accounts-api-es256.key"))?;
    let tcp = TcpListener::bind(options.listen).await?;
    println!("the sandbox bank listens on {}", tcp.local_addr()?);
    // Nobody says stop: it serves until the process ends.
    let (_stop, stopped) = watch::channel(false);
    let http = client(&certs, chain("bank")?)?;
    let api_key = SigningKey::from_pkcs8(api_key.secret_pkcs8_der())?;
    let bank = Arc::new(Bank { options, http, api_key, asked: Mutex::default() });
    let router = Router::new()
        .route("/identify", post(identify))
        .route("/prompt", post(prompt))
        .route("/phone/{auth_req_id}/{action}", post(phone))
        .route("/accounts", get(accounts))
        .with_state(bank);
    let gaze = Gaze { authorities: None, clock: Arc::new(System) };
    run(Listener { tcp, tls, gaze, router, limits: Limits::default() }, stopped).await;
    Ok(())
}

fn client(certs: &Path, (chain, key): tls::Chain) -> Fallible<reqwest::Client> {
    let mut trust = RootCertStore::empty();
    trust.add_parsable_certificates(certificates(certs, "ca")?);
    let tls = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_root_certificates(trust)
        .with_client_auth_cert(chain, key)?;
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build()?)
}

fn certificates(folder: &Path, name: &str) -> Fallible<Vec<CertificateDer<'static>>> {
    Ok(CertificateDer::pem_slice_iter(&fs::read(folder.join(format!("{name}.pem")))?).collect::<Result<_, _>>()?)
}

fn key(folder: &Path, name: &str) -> Fallible<PrivateKeyDer<'static>> {
    Ok(PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key")))?)
}

/// Every hint names a user of that name.
async fn identify(Json(question): Json<Value>) -> Json<Value> {
    Json(json!({"status": "known", "sub": question["hint"]}))
}

async fn prompt(State(bank): State<Arc<Bank>>, Json(prompt): Json<Value>) {
    let text = |member: &str| prompt[member].as_str().unwrap_or_default().to_owned();
    bank.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(text("auth_req_id"), text("sub"));
}

/// The phone: whoever calls this is alice.
async fn phone(State(bank): State<Arc<Bank>>, Segments((auth_req_id, action)): Segments<(String, String)>) -> Response {
    let sub = bank.asked.lock().unwrap_or_else(PoisonError::into_inner).get(&auth_req_id).cloned();
    let decision = match action.as_str() {
        "allow" => json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": sub, "acr": bank.options.acr}),
        "deny" => json!({"auth_req_id": auth_req_id, "decision": "deny"}),
        _ => return (axum::http::StatusCode::NOT_FOUND, "allow or deny\n").into_response(),
    };
    println!("the phone of {} says {action}", sub.as_deref().unwrap_or("nobody"));
    let sent =
        bank.http.post(&bank.options.decision).header("content-type", "application/json").body(decision.to_string());
    match sent.send().await {
        Ok(answer) => answer.status().into_response(),
        Err(_) => axum::http::StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// FAPI 1.0 part 1 §6.2.1: the token in the header alone, live, with the scope, bound to the caller's certificate; the interaction id echoed or made.
async fn accounts(
    State(bank): State<Arc<Bank>>,
    peer: Option<Extension<PeerCertificate>>,
    request: Request,
) -> Response {
    let (head, _) = request.into_parts();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let interaction = header("x-fapi-interaction-id").map_or_else(interaction_id, str::to_owned);
    let token = header("authorization")
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let thumbprint = peer.map(|Extension(peer)| peer.thumbprint.to_string());
    let live = match token {
        Some((_, token)) if head.uri.query().is_none() => bank.introspect(token).await.unwrap_or_default(),
        _ => Value::Null,
    };
    let answer = if live["active"] == true
        && thumbprint.is_some()
        && live["cnf"]["x5t#S256"].as_str() == thumbprint.as_deref()
    {
        Json(json!({"accounts": [{"id": "1", "owner": live["sub"], "balance": "1204.11"}]})).into_response()
    } else {
        let refusal = [("www-authenticate", "Bearer error=\"invalid_token\"")];
        (axum::http::StatusCode::UNAUTHORIZED, refusal, Json(json!({"error": "invalid_token"}))).into_response()
    };
    ([("x-fapi-interaction-id", interaction)], answer).into_response()
}

impl Bank {
    async fn introspect(&self, token: &str) -> Fallible<Value> {
        let now = System.now().seconds();
        let jti = Secret::draw(&secret::System);
        let claims = json!({"iss": "accounts-api", "sub": "accounts-api", "aud": self.options.issuer, "jti": jti.reveal(), "iat": now, "exp": now + 60});
        let assertion = self.api_key.sign("client-authentication+jwt", &claims)?;
        let form = format!(
            "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion={}&token={token}",
            assertion.reveal()
        );
        let request = self.http.post(format!("{}/introspect", self.options.issuer));
        let answer = request.header("content-type", "application/x-www-form-urlencoded").body(form).send().await?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }
}

/// RFC 9562 §5.4, from 16 of the 32 bytes of a digest.
fn interaction_id() -> String {
    let drawn = Secret::draw(&secret::System).digest();
    let half = drawn.bytes().first_chunk().copied().expect("a digest has 32 bytes");
    let bits = (u128::from_be_bytes(half) & !(0xf << 76) & !(0b11 << 62)) | (0x4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
