//! The sandbox bank: everything that the OpenID conformance suite needs beside a server, and that a real bank has too. It uses the calls of
//! deploy/bank.md and nothing else.
//!
//! [`directory`] says who somebody is and asks them, [`phone`] decides for them, [`accounts`] and [`consents`] are its APIs.

mod accounts;
mod caller;
mod consents;
mod directory;
mod open;
mod phone;
mod proof;
mod users;

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use countersign::clock::{Clock, System};
use countersign::current::Current;
use countersign::http::serve::{Counted, Limits, Listener, run};
use countersign::http::tls::{self, Certificates, Gaze, config};
use countersign::jose::keyring::SigningKey;
use countersign::outbound::{VERSIONS, provider};
use countersign::secret::Digest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::bank::consents::Consents;
use crate::bank::open::Open;
use crate::bank::proof::Shown;
use crate::fault::Fault;

/// The largest body.
const LARGEST: usize = 64 * 1024;
/// Where the phone is told what to decide, as the suite wants its `automated_ciba_approval_url`.
pub(crate) const APPROVAL: &str = "/approve?id={auth_req_id}&do={action}";
/// The protected resource of the plain plans.
pub(crate) const ACCOUNTS: &str = "/accounts";
/// What everything of Open Banking UK lies below: account requests, and accounts.
pub(crate) const OPEN_BANKING: &str = "/open-banking/";
/// The same in later versions of the Read/Write API, which name the request a consent.
const WITH_CONSENTS: [&str; 2] = ["/open-banking/v3.1/aisp/", "/open-banking/v4.0/aisp/"];

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

/// Whom the bank works with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The issuer of the server.
    pub(crate) issuer: String,
    /// The server's decision interface.
    pub(crate) decision: String,
    /// The folder that `countersign certs dev` made.
    pub(crate) certs: PathBuf,
    /// What every approval reports.
    pub(crate) acr: String,
}

/// The bank, as its doors know it.
struct Bank {
    settings: Settings,
    http: reqwest::Client,
    api_key: SigningKey,
    /// What the server shows when it asks.
    server: Digest,
    clock: System,
    open: Open,
    consents: Consents,
    shown: Shown,
    /// Where it is.
    url: String,
}

impl Bank {
    fn now(&self) -> countersign::clock::Timestamp {
        self.clock.now()
    }
}

/// Serves until the process ends.
///
/// # Errors
/// It is not to listen on loopback, a file cannot be read, or the port not be had.
pub(crate) async fn serve(options: Options) -> Result<(), Fault> {
    if !options.listen.ip().is_loopback() {
        return Err("the sandbox bank approves whatever it is told to: it listens on loopback alone".into());
    }
    certificates(&options.certs, "ca")?;
    let tcp = TcpListener::bind(options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    writeln!(io::stdout(), "the sandbox bank: https://localhost:{}", tcp.local_addr()?.port())?;
    let Options { issuer, decision, certs, acr, .. } = options;
    // Nobody says stop: it serves until the process ends.
    let (_stop, stopped) = watch::channel(false);
    serve_on(tcp, Settings { issuer, decision, certs, acr }, stopped).await
}

/// Serves on `tcp` until `stopped` says so.
///
/// # Errors
/// A file cannot be read, or is not what it should be.
pub(crate) async fn serve_on(
    tcp: TcpListener,
    settings: Settings,
    stopped: watch::Receiver<bool>,
) -> Result<(), Fault> {
    let certs = settings.certs.clone();
    let chain = |name: &str| -> Result<_, Fault> { Ok((certificates(&certs, name)?, key(&certs, name)?)) };
    let (p256, rsa) = (tls::p256(chain("server-p256")?)?, tls::rsa(chain("server-rsa")?)?);
    let tls = config(Certificates { p256, rsa })?;
    let api_key = PrivatePkcs8KeyDer::from_pem_file(certs.join("accounts-api-es256.key"))?;
    let bank = Bank {
        http: client(&certs, chain("bank")?)?,
        api_key: SigningKey::from_pkcs8(api_key.secret_pkcs8_der())?,
        server: certificates(&certs, "countersign")?
            .first()
            .map(|shown| Digest::of(shown))
            .ok_or("countersign.pem is empty")?,
        settings,
        clock: System,
        open: Open::default(),
        consents: Consents::default(),
        shown: Shown::default(),
        url: format!("https://localhost:{}", tcp.local_addr()?.port()),
    };
    let gaze = Gaze { authorities: Current::new(None), clock: Arc::new(System) };
    // Everybody comes from loopback.
    let limits = Limits { connections_per_address: 1024, ..Limits::default() };
    let tls = Current::of(tls);
    run(Listener { tcp, tls, gaze, router: router(Arc::new(bank)), limits, counted: Counted::default() }, stopped)
        .await;
    Ok(())
}

fn router(bank: Arc<Bank>) -> Router {
    let mut router = Router::new()
        .route("/identify", post(directory::identify))
        .route("/prompt", post(directory::prompt))
        .route_layer(from_fn_with_state(bank.clone(), directory::from_the_server))
        .route("/", get(phone::screen))
        .route("/approve", post(phone::approve))
        .route(ACCOUNTS, get(accounts::plain))
        .route(&format!("{OPEN_BANKING}account-requests"), post(consents::request))
        .route(&format!("{OPEN_BANKING}account-requests/{{id}}"), get(consents::read).delete(consents::delete))
        .route(&format!("{OPEN_BANKING}accounts"), get(accounts::open_banking));
    for base in WITH_CONSENTS {
        router = router
            .route(&format!("{base}account-access-consents"), post(consents::consent))
            .route(&format!("{base}account-access-consents/{{id}}"), get(consents::read).delete(consents::delete))
            .route(&format!("{base}accounts"), get(accounts::open_banking));
    }
    router.layer(DefaultBodyLimit::max(LARGEST)).layer(from_fn(caller::interaction)).with_state(bank)
}

fn client(certs: &Path, (chain, key): tls::Chain) -> Result<reqwest::Client, Fault> {
    let mut trust = RootCertStore::empty();
    trust.add_parsable_certificates(certificates(certs, "ca")?);
    let tls = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_root_certificates(trust)
        .with_client_auth_cert(chain, key)?;
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().timeout(caller::PATIENCE).build()?)
}

fn certificates(folder: &Path, name: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let path = folder.join(format!("{name}.pem"));
    let pem =
        fs::read(&path).map_err(|error| format!("{}: {error}; `countersign certs dev` makes it", path.display()))?;
    Ok(CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>()?)
}

fn key(folder: &Path, name: &str) -> Result<PrivateKeyDer<'static>, Fault> {
    let path = folder.join(format!("{name}.key"));
    Ok(PrivateKeyDer::from_pem_file(&path).map_err(|error| format!("{}: {error}", path.display()))?)
}
