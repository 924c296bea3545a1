//! [`Bank`]: a server of its own for each test, with a scripted bank behind it, a manual clock and seeded chance.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use countersign::cli::{certs, serve};
use countersign::clock::{Clock, Manual, System};
use countersign::config::Config;
use countersign::endpoint::Server;
use countersign::http::serve::Limits;
use countersign::jose::keyring::SigningKey;
use countersign::outbound::provider;
use countersign::outbound::scripted::Scripted;
use countersign::profile::FAPI_CIBA_ID1;
use countersign::secret::Seeded;
use countersign::store::memory::Memory;
use countersign::wire::bank::Identified;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::heard::Heard;
use crate::tpp::Tpp;

/// A server, the bank behind it, and the clock they share.
pub(crate) struct Bank {
    /// The server's clock.
    pub(crate) clock: Arc<Manual>,
    /// Who the bank knows, and what it was asked to show.
    pub(crate) phone: Arc<Scripted>,
    /// The issuer, which other servers may be too.
    pub(crate) issuer: String,
    /// Where the world comes in.
    pub(crate) public: SocketAddr,
    /// Where decisions come in.
    pub(crate) internal: SocketAddr,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
}

impl Bank {
    /// A server with the limits it ships with.
    pub(crate) async fn open() -> Self {
        Self::with(Limits::default(), str::to_owned).await
    }

    /// A server with `limits`, after `edit` had its way with the configuration.
    pub(crate) async fn with(limits: Limits, edit: impl FnOnce(&str) -> String) -> Self {
        Self::of(limits, edit, |config, clock| {
            config.server_on(Arc::new(Memory::new(10_000, clock.clone())), (clock, Arc::new(Seeded::default())))
        })
        .await
    }

    /// The server that `make` makes of the configuration, and of the clock it has to go by.
    pub(crate) async fn of(
        limits: Limits,
        edit: impl FnOnce(&str) -> String,
        make: impl FnOnce(&Config, Arc<Manual>) -> Arc<Server>,
    ) -> Self {
        Self::at(Arc::new(Manual::at(System.now())), (limits, edit), make).await
    }

    /// The same by a clock that others may go by too.
    pub(crate) async fn at(
        clock: Arc<Manual>,
        (limits, edit): (Limits, impl FnOnce(&str) -> String),
        make: impl FnOnce(&Config, Arc<Manual>) -> Arc<Server>,
    ) -> Self {
        let bind = async || TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (public, internal) = (bind().await, bind().await);
        let (public_at, internal_at) = (public.local_addr().expect("bound"), internal.local_addr().expect("bound"));
        let issuer = format!("https://localhost:{}", public_at.port());
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("server.toml");
        fs::write(&path, edit(&configuration(&issuer))).expect("written");
        let mut config = Config::load(&path).unwrap_or_else(|faults| panic!("{faults:#?}"));
        let phone = Arc::new(Scripted::default());
        phone.knows("alice", Identified::Known { sub: "alice-248289761001".into() });
        phone.knows("bob", Identified::Refused {});
        config.authenticator = phone.clone();
        config.limits = limits;
        let issuer = config.profile.issuer().issuer.clone();
        let server = make(&config, clock.clone());
        let (stop, stopped) = watch::channel(false);
        let served = tokio::spawn(async move { serve::both(&server, (public, internal), (&config, stopped)).await });
        Self { clock, phone, issuer, public: public_at, internal: internal_at, stop, served }
    }

    /// Where `path` is at this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.public.port())
    }

    /// Tells the server to stop, as SIGTERM does.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the server has ended.
    pub(crate) async fn ended(&mut self) {
        (&mut self.served).await.expect("it does not panic");
    }

    /// A server under a copy of the shipped profile in which `to` stands for `from`.
    pub(crate) async fn under(from: &str, to: &str) -> Self {
        let tighter = FAPI_CIBA_ID1.replace(from, to);
        assert_ne!(tighter, FAPI_CIBA_ID1, "{from}");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("profile.toml");
        fs::write(&path, tighter).expect("written");
        let name = |path: &str| format!("profile = \"{path}\"");
        Self::with(Limits::default(), |shipped| {
            shipped.replace(&name("fapi-ciba-id1"), &name(path.to_str().expect("UTF-8")))
        })
        .await
    }

    /// Till 7: ES256 assertions, PS256 request objects, PS256 ID tokens, a certificate.
    pub(crate) fn tpp(&self) -> Tpp<'_> {
        Tpp::new(self, "till-7", (key("till-es256.key"), key("till-ps256.key")), Some("till"))
    }

    /// Till 8: a second client with keys and a certificate of its own, ES256 throughout.
    pub(crate) fn other_tpp(&self) -> Tpp<'_> {
        Tpp::new(self, "till-8", (key("till8.key"), key("till8.key")), Some("till8"))
    }

    /// The accounts API: it asks about tokens with `accounts` in them.
    pub(crate) fn accounts_api(&self) -> Tpp<'_> {
        Tpp::new(self, "accounts-api", (key("accounts-api-es256.key"), key("accounts-api-es256.key")), None)
    }

    /// The payments API: it asks about tokens with `payments` in them.
    pub(crate) fn payments_api(&self) -> Tpp<'_> {
        Tpp::new(self, "payments-api", (key("payments-api.key"), key("payments-api.key")), None)
    }

    /// The server's time, in seconds.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().seconds()
    }

    /// Alice says yes.
    pub(crate) async fn approve(&self, auth_req_id: &str) -> Heard {
        self.decide(&json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": "alice-248289761001"})).await
    }

    /// Alice says no.
    pub(crate) async fn deny(&self, auth_req_id: &str) -> Heard {
        self.decide(&json!({"auth_req_id": auth_req_id, "decision": "deny"})).await
    }

    /// The bank brings `decision`.
    pub(crate) async fn decide(&self, decision: &Value) -> Heard {
        self.decide_as(Some("bank"), decision.to_string()).await
    }

    /// Whoever holds `certificate` posts `body` to the decision interface.
    pub(crate) async fn decide_as(&self, certificate: Option<&str>, body: String) -> Heard {
        let url = format!("https://localhost:{}/decision", self.internal.port());
        Heard::of(client(certificate).post(url).header("content-type", "application/json").body(body)).await
    }
}

/// An HTTP client that trusts the server and shows the certificate called `certificate`.
pub(crate) fn client(certificate: Option<&str>) -> reqwest::Client {
    over(tls(certificate))
}

/// An HTTP client that trusts the server and shows `chain`.
pub(crate) fn client_with(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> reqwest::Client {
    over(trusting().with_client_auth_cert(chain, key).expect("they fit"))
}

fn over(tls: ClientConfig) -> reqwest::Client {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client")
}

/// The TLS side of [`client`].
pub(crate) fn tls(certificate: Option<&str>) -> ClientConfig {
    match certificate {
        None => trusting().with_no_client_auth(),
        Some(name) => {
            let private = PrivateKeyDer::from_pem_file(pki().join(format!("{name}.key"))).expect("a key");
            trusting().with_client_auth_cert(certificates(name), private).expect("they fit")
        }
    }
}

/// The TLS of somebody who trusts nobody.
pub(crate) fn distrusting() -> ClientConfig {
    let nobody =
        ClientConfig::builder_with_provider(provider()).with_protocol_versions(countersign::outbound::VERSIONS);
    nobody.expect("versions and suites fit").with_root_certificates(RootCertStore::empty()).with_no_client_auth()
}

fn trusting() -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut trust = RootCertStore::empty();
    trust.add_parsable_certificates(certificates("ca"));
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(countersign::outbound::VERSIONS)
        .expect("versions and suites fit")
        .with_root_certificates(trust)
}

/// The certificates in `{name}.pem`.
pub(crate) fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    let path = pki().join(format!("{name}.pem"));
    CertificateDer::pem_file_iter(path).expect("readable").collect::<Result<_, _>>().expect("PEM")
}

/// The PKCS#8 key in `file`.
pub(crate) fn pkcs8(file: &str) -> PrivatePkcs8KeyDer<'static> {
    PrivatePkcs8KeyDer::from_pem_file(pki().join(file)).expect("a key")
}

/// The signing key in `file`.
pub(crate) fn key(file: &str) -> SigningKey {
    SigningKey::from_pkcs8(pkcs8(file).secret_pkcs8_der()).expect("usable")
}

/// What the tests sign and connect with: made once and kept for later runs, since RSA keys take a while.
pub(crate) fn pki() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let week = System.now().seconds() / (7 * 24 * 3600);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pki-2-{week}"));
        if !folder.exists() {
            let made = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
            certs::dev(made.path(), "localhost", &System).expect("made");
            more(made.path());
            // Another process may have been faster; its files serve as well.
            fs::rename(made.path(), &folder).ok();
        }
        folder
    });
    &FOLDER
}

/// A second till with a self-signed certificate, a second API, and an RSA key that signs RS256.
fn more(folder: &Path) {
    let public = |key: &KeyPair| SigningKey::from_pkcs8(&key.serialize_der()).expect("usable").public().clone();
    let write = |name: &str, content: String| fs::write(folder.join(name), content).expect("written");
    for name in ["till8", "payments-api"] {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        write(&format!("{name}.key"), key.serialize_pem());
        write(&format!("{name}.jwks.json"), json!({ "keys": [public(&key)] }).to_string());
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        write(&format!("{name}.pem"), params.self_signed(&key).expect("signed").pem());
    }
    // A directory that issues hint tokens and software statements, and what the pseudonyms hang on.
    let directory = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    write("directory.key", directory.serialize_pem());
    write("directory.jwks.json", json!({ "keys": [public(&directory)] }).to_string());
    for name in ["pairwise.key", "initial.tokens"] {
        write(name, format!("{name}-{}\n", "0123456789abcdef".repeat(3)));
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600)).expect("its own");
    }
    let stranger = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
    write("stranger.key", stranger.serialize_pem());
}

/// The example that ships, on this test's ports and files, with the second till and the second API.
pub(crate) fn configuration(issuer: &str) -> String {
    let shipped =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/server.toml")).expect("it ships");
    let here =
        shipped.replace("../certs/dev", pki().to_str().expect("UTF-8")).replace("https://localhost:9443", issuer);
    let till8 = r#"
[[clients]]
client_id = "till-8"
client_name = "Corner Shop, till 8"
jwks = "PKI/till8.jwks.json"
token_endpoint_auth_method = "private_key_jwt"
token_endpoint_auth_signing_alg = "ES256"
backchannel_authentication_request_signing_alg = "ES256"
id_token_signed_response_alg = "ES256"
backchannel_token_delivery_mode = "poll"
scope = "openid accounts"

[[resource_servers]]
client_id = "payments-api"
client_name = "The bank's payments API"
jwks = "PKI/payments-api.jwks.json"
token_endpoint_auth_method = "private_key_jwt"
token_endpoint_auth_signing_alg = "ES256"
scope = "payments"
"#;
    here + &till8.replace("PKI", pki().to_str().expect("UTF-8"))
}
