//! [`Config`]: the deployment file as values. Unknown keys are refused, nothing that matters has a silent default, and every fault is reported
//! at once, with the key and what to do about it. Secrets come from files alone.

mod clients;
mod files;
mod issuer;
pub mod look;
mod outward;
pub mod reader;
pub mod store;
mod telemetry;
mod trust;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use tracing_subscriber::filter::LevelFilter;

use crate::audit::Audit;
use crate::clock::{Clock, Timestamp};
use crate::config::files::Files;
use crate::config::issuer::Served;
use crate::config::look::Look;
use crate::config::reader::{Fault, Faults, Noted, Section};
use crate::config::store::Storage;
use crate::current::Current;
use crate::endpoint::{Parts, Server};
use crate::http::serve::Limits;
use crate::http::tls::{self, Authorities, Certificates};
use crate::jose::alg::Alg;
use crate::jose::keyring::Keyring;
use crate::keys::folder::Folder;
use crate::outbound::Failed;
use crate::outbound::authenticator::Authenticator;
use crate::profile::client::Client;
use crate::profile::enrolled::Registrars;
use crate::profile::floor::Undercut;
use crate::profile::gate::Trust;
use crate::profile::issuer::{Issuer, Offer};
use crate::profile::nonce::Source;
use crate::profile::{BoundBy, DpopNonce, FAPI_CIBA_ID1, Profile};
use crate::secret::Entropy;
use crate::store::Store;
use crate::store::backend::Backend;
use crate::store::measured::Measured;
use crate::store::memory::Memory;
use crate::store::redis::Redis;
use crate::store::redis::place::Place;
use crate::telemetry::collector::Collector;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{Format, Log};

/// Whether weak wiring is tolerated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// For trying things out.
    Development,
    /// For a bank. Refuses a store that forgets, a Redis without a user of its own, no audit file, clients at loopback, and registration open to all.
    Production,
}

/// Everything `serve` needs, checked.
pub struct Config {
    /// Where the world comes in.
    pub listen: SocketAddr,
    /// Where the bank comes in.
    pub internal_listen: SocketAddr,
    /// The TLS of both.
    pub tls: Current<rustls::ServerConfig>,
    /// Who vouches for clients' certificates.
    pub authorities: Current<Option<Authorities>>,
    /// The limits of both.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: Log,
    /// Where spans and metrics go, if they go anywhere.
    pub collector: Option<Collector>,
    /// The rules.
    pub profile: Arc<Profile>,
    /// Who is registered.
    pub clients: Vec<Client>,
    /// Who would be, but is out of service.
    pub disabled: Vec<Client>,
    /// The bank.
    pub authenticator: Arc<dyn Authenticator>,
    /// Whose word counts, and what this server signs with.
    pub trust: Trust,
    /// Where everything is kept.
    pub storage: Storage,
    /// Where what happens is recorded; without it, in the log.
    pub audit: Option<PathBuf>,
    /// The folder of the keys.
    pub keys: Folder,
    /// Every file and folder that was read for it, itself among them.
    pub files: Vec<Look>,
    /// Every certificate in them, by its path there, and when it ends.
    pub certificates: Current<Vec<(String, Timestamp)>>,
    /// Whether weak wiring is tolerated.
    pub mode: Mode,
}

impl Config {
    /// Reads the file at `path`. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// Every [`Fault`] there is.
    pub fn load(path: &Path) -> Result<Self, Vec<Fault>> {
        let own = Look::at(String::new(), path);
        let (table, faults) = (table(path)?, Faults::default());
        let files = Files::beside(path);
        let config = read(Section::root(table, &faults), &files);
        let found = faults.found();
        match config {
            Some(config) if found.is_empty() => {
                let read = std::iter::once(own).chain(files.read()).collect();
                Ok(Self { files: read, certificates: Current::new(files.ends()), ..config })
            }
            _ => Err(found),
        }
    }

    /// The memory this configures. To be called within a tokio runtime.
    pub async fn backend(&self, clock: Arc<dyn Clock>) -> Arc<dyn Backend> {
        match &self.storage {
            Storage::Memory(capacity) => Arc::new(Memory::new(*capacity, clock)),
            Storage::Redis(place, _) => {
                Arc::new(Redis::at(Place::clone(place), clock, self.mode == Mode::Production).await)
            }
        }
    }

    /// The server this configures, on a memory that others may share.
    pub fn server_on(
        &self,
        backend: Arc<dyn Backend>,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Arc<Server> {
        self.server_with(backend, (Audit::Log, Arc::default()), (clock, entropy))
    }

    /// The same, with what happens recorded, counted and measured.
    pub fn server_with(
        &self,
        backend: Arc<dyn Backend>,
        (audit, metrics): (Audit, Arc<Metrics>),
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Arc<Server> {
        let (system, vault) = match &self.storage {
            Storage::Redis(_, vault) => ("redis", vault.clone()),
            Storage::Memory(_) => ("memory", None),
        };
        let backend = Arc::new(Measured::new(backend, system, metrics.clone()));
        let store =
            Arc::new(Store::new((backend, vault), self.clients.clone(), (self.profile.clone(), entropy.clone())));
        let (profile, authenticator) = (self.profile.clone(), self.authenticator.clone());
        let trust = self.trust.clone();
        Arc::new(Server::new(Parts { profile, store, audit, authenticator, trust, clock, entropy, metrics }))
    }
}

fn table(path: &Path) -> Result<toml::Table, Vec<Fault>> {
    let fault = |says: String| vec![Fault { key: path.display().to_string(), says }];
    let text = files::whole(path).map_err(|why| fault(format!("cannot be read: {why}")))?;
    text.parse().map_err(|error: toml::de::Error| fault(format!("is not TOML: {error}")))
}

/// What it takes to look after the keys, whatever else is wrong with a configuration.
pub struct OfKeys {
    /// Where they are.
    pub folder: Folder,
    /// Where what is done is recorded.
    pub audit: Option<PathBuf>,
}

impl OfKeys {
    /// Reads what there is of it in the file at `path`.
    ///
    /// # Errors
    /// Every [`Fault`] in that.
    pub fn load(path: &Path) -> Result<Self, Vec<Fault>> {
        let (table, faults) = (table(path)?, Faults::default());
        let files = Files::beside(path);
        let mut root = Section::root(table, &faults);
        let folder = root.section("keys").and_then(|mut section| trust::folder(&mut section, &files));
        let audit = read_audit(root.optional_section("audit"), &files).ok();
        match (folder, audit, faults.found()) {
            (Some(folder), Some(audit), found) if found.is_empty() => Ok(Self { folder, audit }),
            (.., found) => Err(found),
        }
    }
}

/// Reads every section before giving up on any, so that every fault is found. `None` only when a fault was noted.
fn read(mut root: Section<'_>, files: &Files) -> Option<Config> {
    let mode = root.choice("mode", &[("development", Mode::Development), ("production", Mode::Production)]);
    let server = root.section("server").map(|section| issuer::read(section, files)).unwrap_or_default();
    let tls = root.section("tls").and_then(|section| read_tls(section, files));
    let authorities = root.optional_section("client_certificates").and_then(|section| read_authorities(section, files));
    let limits = read_limits(root.optional_section("limits"));
    let keys = root.section("keys").and_then(|section| trust::keys(section, files));
    let (keyring, keys) = keys.unzip();
    let bank = root.section("bank").map(|section| outward::bank(section, files)).unwrap_or_default();
    let calls = root.optional_section("client_endpoints").map(|section| outward::clients(section, files, mode));
    let registrars = root.optional_section("registration").map(|section| trust::registrars(section, files, mode));
    let hint_issuers = trust::issuers(root.sections("login_hint_token_issuers"), files);
    let storage = root.section("store").and_then(|section| store::read(section, files, mode));
    let audit = read_audit(root.optional_section("audit"), files);
    if mode == Some(Mode::Production) && matches!(audit, Ok(None)) {
        root.fault("audit", "is missing: in production what happens is recorded in a file; give [audit] file");
    }
    let log = root.section("log").and_then(read_log);
    let collector = root.optional_section("telemetry").map(|section| telemetry::read(section, files));
    let entries = (root.sections("clients"), root.sections("resource_servers"));
    let Served { listen, internal_listen, issuer, profile: text, pseudonyms, user_code } = server;
    let offer = Offer {
        signs_with: keyring.as_ref().map_or(Alg::ALL.to_vec(), Keyring::algs),
        vouched: authorities.is_some(),
        calls: calls.is_some(),
        user_code,
        pairwise: pseudonyms.is_some(),
        registration: registrars.is_some(),
        login_hint_token: !hint_issuers.is_empty(),
    };
    let profile = profile(&root, text, Issuer { offer, ..issuer });
    if let Some(ring) = &keyring
        && !profile.algorithms().iter().any(|alg| ring.algs().contains(alg))
    {
        root.fault("keys.folder", "has no key for any algorithm of the profile");
    }
    let (own, supported) = (profile.rules().client_credentials.as_ref(), &profile.issuer().scopes_supported);
    if own.is_some_and(|own| !supported.is_empty() && !own.scopes.iter().any(|scope| supported.contains(scope))) {
        let says = "has no scope that the profile lets clients have in their own name (client_credentials.scopes)";
        root.fault("server.scopes_supported", says);
    }
    let nonces = match &storage {
        Some(Storage::Redis(_, Some(vault))) => Source::Shared(vault.derived("dpop nonces")),
        Some(Storage::Redis(_, None)) => Source::Missing,
        Some(Storage::Memory(_)) | None => Source::Own,
    };
    let wanted = profile.binds(BoundBy::Dpop) && profile.rules().sender_constraint.dpop_nonce != DpopNonce::Off;
    if wanted && matches!(nonces, Source::Missing) {
        let says = "is missing: the profile binds tokens by DPoP, with nonces (sender_constraint.dpop_nonce), which all servers make of it; a file with a secret that they share, as from openssl rand -hex 32";
        root.fault("store.sealing_key", says);
    }
    if calls.is_some() && matches!(storage, Some(Storage::Redis(_, None))) {
        let says = "is missing: pings that one server leaves behind another sends, and they lie sealed in the store; a file with a secret that all servers share, as from openssl rand -hex 32";
        root.fault("store.sealing_key", says);
    }
    root.end();
    let (clients, disabled) = clients::read(entries, (&profile, files));
    let (authenticator, bank) = bank;
    let trust = Trust {
        bank,
        keyring: keyring?,
        login_hint_token_issuers: hint_issuers,
        registrars: registrars.map_or(Some(Registrars::Closed), |found| found)?,
        pseudonyms,
        calls: calls.map_or(Some(None), |built| built.map(Some))?,
        nonces,
    };
    Some(Config {
        listen: listen?,
        internal_listen: internal_listen?,
        tls: Current::of(tls?),
        authorities: Current::new(authorities),
        limits,
        log: log?,
        collector: collector.map_or(Some(None), |read| read.map(Some))?,
        profile: Arc::new(profile),
        clients,
        disabled,
        authenticator: Arc::new(authenticator?),
        trust,
        storage: storage?,
        audit: audit.ok()?,
        keys: keys?,
        files: Vec::new(),
        certificates: Current::new(Vec::new()),
        mode: mode?,
    })
}

/// The profile in `text`; where that is none, a fault is noted, and the one that is compiled in stands in to find the faults of what is held against it.
fn profile(root: &Section<'_>, text: Option<String>, issuer: Issuer) -> Profile {
    let read = text.and_then(|text| {
        let undercuts = |undercuts: Vec<Undercut>| {
            for undercut in undercuts {
                root.fault("server.profile", &format!("{undercut}"));
            }
        };
        Profile::load(&text, issuer.clone()).map_err(undercuts).ok()
    });
    read.unwrap_or_else(|| {
        Profile::load(FAPI_CIBA_ID1, issuer).expect("the profile that is compiled in stands on the floor")
    })
}

fn read_tls(mut section: Section<'_>, files: &Files) -> Option<Arc<rustls::ServerConfig>> {
    let p256 = files.identity(&mut section, "p256_certificate", "p256_key");
    let rsa = files.identity(&mut section, "rsa_certificate", "rsa_key");
    let fits = |key: &str, made: Result<Arc<CertifiedKey>, Failed>| {
        made.map_err(|why| section.fault(key, &why.to_string())).ok()
    };
    let p256 = p256.and_then(|chain| fits("p256_key", tls::p256(chain)));
    let rsa = rsa.and_then(|chain| fits("rsa_key", tls::rsa(chain)));
    let certificates = p256.zip(rsa).map(|(p256, rsa)| Certificates { p256, rsa });
    let config = certificates
        .and_then(|certificates| tls::config(certificates).map_err(|why| section.fault("", &why.to_string())).ok());
    section.end();
    config
}

fn read_authorities(mut section: Section<'_>, files: &Files) -> Option<Authorities> {
    let roots = section.string("authorities").and_then(|path| files.authorities(&section, "authorities", &path));
    let mut crls = Vec::new();
    for path in section.optional_strings("crls").unwrap_or_default() {
        crls.extend(files.crls(&section, "crls", &path).unwrap_or_default());
    }
    let built = roots.map(|roots| Authorities::new(roots, crls));
    let authorities = built.and_then(|built| built.map_err(|why| section.fault("", &why.to_string())).ok());
    section.end();
    authorities
}

fn read_limits(section: Option<Section<'_>>) -> Limits {
    let mut limits = Limits::default();
    if let Some(mut section) = section {
        let within =
            |found: Option<u64>, default: usize| found.and_then(|n| usize::try_from(n).ok()).unwrap_or(default);
        limits.connections = within(section.optional_number("connections", 1..=1_000_000), limits.connections);
        let each = section.optional_number("connections_per_address", 1..=1_000_000);
        limits.connections_per_address = within(each, limits.connections_per_address);
        section.end();
    }
    limits
}

/// The file that what happens is recorded in.
fn read_audit(section: Option<Section<'_>>, files: &Files) -> Result<Option<PathBuf>, Noted> {
    let Some(mut section) = section else { return Ok(None) };
    let path = section.string("file").and_then(|path| files.to_be_written(&section, "file", &path));
    section.end();
    path.map(Some).ok_or(Noted)
}

fn read_log(mut section: Section<'_>) -> Option<Log> {
    let format = section.choice("format", &[("json", Format::Json), ("pretty", Format::Pretty)]);
    let levels = [
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
    ];
    let level = section.choice("level", &levels);
    section.end();
    Some(Log { format: format?, level: level? })
}
