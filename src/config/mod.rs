//! [`Config`]: the deployment file as values. Unknown keys are refused, nothing that matters has a silent default, and every fault is reported
//! at once, with the key and what to do about it. Secrets come from files alone.

mod clients;
pub mod files;
mod issuer;
pub mod look;
mod outward;
pub mod reader;
pub mod store;
mod telemetry;
mod transport;
mod trust;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::audit::Audit;
use crate::audit::ledger::Ledger;
use crate::clock::Clock;
use crate::config::clients::Entries;
use crate::config::files::{Ending, Files};
use crate::config::issuer::Served;
use crate::config::look::Look;
use crate::config::reader::{Fault, Faults, Section};
use crate::config::store::Storage;
use crate::current::Current;
use crate::endpoint::{Parts, Server};
use crate::http::proxied::Balancers;
use crate::http::serve::Limits;
use crate::http::tls::Authorities;
use crate::jose::alg::Alg;
use crate::jose::keyring::Keyring;
use crate::keys::folder::Folder;
use crate::keys::private::whole;
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
use crate::telemetry::Log;
use crate::telemetry::collector::Collector;
use crate::telemetry::metrics::Metrics;
use crate::wire::json::Object;

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
    /// Who stands in front of both.
    pub balancers: Balancers,
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
    /// The metadata of all of them as they stand in the configuration, by `client_id`.
    pub registrations: HashMap<String, Object>,
    /// The bank.
    pub authenticator: Arc<dyn Authenticator>,
    /// Whose word counts, and what this server signs with.
    pub trust: Trust,
    /// Where everything is kept.
    pub storage: Storage,
    /// Where what happens is kept; without it, in the log.
    pub audit: Option<Ledger>,
    /// The folder of the keys.
    pub keys: Folder,
    /// Every file and folder that was read for it, itself among them.
    pub files: Vec<Look>,
    /// The certificates in them that are in use, and when they end.
    pub certificates: Current<Vec<Ending>>,
    /// Every setting, as it was written.
    pub settings: toml::Table,
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
        let settings = table.clone();
        let config = read(Section::root(table, &faults), &files);
        let found = faults.found();
        match config {
            Some(config) if found.is_empty() => {
                let read = std::iter::once(own).chain(files.read()).collect();
                Ok(Self { files: read, certificates: Current::new(files.ends()), settings, ..config })
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
    let text = whole(path).map_err(|why| fault(format!("cannot be read: {why}")))?;
    text.parse().map_err(|error: toml::de::Error| fault(format!("is not TOML: {error}")))
}

/// What it takes to look after the keys, whatever else is wrong with a configuration.
pub struct OfKeys {
    /// Where they are.
    pub folder: Folder,
    /// Where what is done is recorded.
    pub audit: Option<Ledger>,
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
        let audit = telemetry::audit(root.optional_section("audit"), &files).ok();
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
    let tls = root.section("tls").and_then(|section| transport::tls(section, files));
    let authorities =
        root.optional_section("client_certificates").and_then(|section| transport::authorities(section, files));
    let limits = transport::limits(root.optional_section("limits"));
    let balancers = transport::balancers(root.optional_section("proxy_protocol"));
    let keys = root.section("keys").and_then(|section| trust::keys(section, files));
    let (keyring, keys) = keys.unzip();
    let bank = root.section("bank").map(|section| outward::bank(section, files)).unwrap_or_default();
    let calls = root.optional_section("client_endpoints").map(|section| outward::clients(section, files, mode));
    let registrars = root.optional_section("registration").map(|section| trust::registrars(section, files, mode));
    let hint_issuers = trust::issuers(root.sections("login_hint_token_issuers"), files);
    let storage = root.section("store").and_then(|section| store::read(section, files, mode));
    let audit = telemetry::audit(root.optional_section("audit"), files);
    if mode == Some(Mode::Production) && matches!(audit, Ok(None)) {
        root.fault("audit", "is missing: in production what happens is kept; give [audit] file, syslog or stdout");
    }
    let log = root.section("log").and_then(telemetry::log);
    let collector = root.optional_section("telemetry").map(|section| telemetry::collector(section, files, mode));
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
    let Entries { in_service, disabled, registrations } = clients::read(entries, (&profile, files));
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
        balancers,
        log: log?,
        collector: collector.map_or(Some(None), |read| read.map(Some))?,
        profile: Arc::new(profile),
        clients: in_service,
        disabled,
        registrations,
        authenticator: Arc::new(authenticator?),
        trust,
        storage: storage?,
        audit: audit.ok()?,
        keys: keys?,
        files: Vec::new(),
        certificates: Current::new(Vec::new()),
        settings: toml::Table::new(),
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
