//! [`Config`]: the deployment file as values. Unknown keys are refused, nothing that matters has a silent default, and every fault is reported
//! at once, with the key and what to do about it. Secrets come from files alone.

mod clients;
mod files;
pub mod reader;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use tracing_subscriber::filter::LevelFilter;
use url::{Host, Url};

use crate::clock::Clock;
use crate::config::clients::Against;
use crate::config::files::Files;
use crate::config::reader::{Fault, Faults, Section};
use crate::endpoint::{Parts, Server};
use crate::http::serve::Limits;
use crate::http::tls::{self, Authorities, Certificates};
use crate::jose::keyring::Keyring;
use crate::outbound::authenticator::Authenticator;
use crate::outbound::webhook::Webhook;
use crate::outbound::{Failed, Identity, Outbound};
use crate::profile::backchannel::is_scope_token;
use crate::profile::client::Client;
use crate::profile::issuer::Issuer;
use crate::profile::{FAPI_CIBA_ID1, Profile};
use crate::secret::{Digest, Entropy};
use crate::store::Store;
use crate::store::memory::Memory;
use crate::telemetry::{Format, Log};

/// Whether weak wiring is tolerated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// For trying things out.
    Development,
    /// For a bank. Refuses a store that forgets.
    Production,
}

/// Everything `serve` needs, checked.
pub struct Config {
    /// Where the world comes in.
    pub listen: SocketAddr,
    /// Where the bank comes in.
    pub internal_listen: SocketAddr,
    /// The TLS of both.
    pub tls: Arc<rustls::ServerConfig>,
    /// Who vouches for clients' certificates.
    pub authorities: Option<Authorities>,
    /// The limits of both.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: Log,
    /// The rules.
    pub profile: Arc<Profile>,
    /// Who is registered.
    pub clients: Vec<Client>,
    /// The bank.
    pub authenticator: Arc<dyn Authenticator>,
    /// SHA-256 of each certificate that may decide.
    pub bank: Vec<Digest>,
    /// What this server signs with.
    pub keyring: Keyring,
    /// How many records of each kind the memory store holds.
    pub capacity: usize,
}

impl Config {
    /// Reads the file at `path`. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// Every [`Fault`] there is.
    pub fn load(path: &Path) -> Result<Self, Vec<Fault>> {
        let fault = |says: String| vec![Fault { key: path.display().to_string(), says }];
        let text = files::whole(path).map_err(|why| fault(format!("cannot be read: {why}")))?;
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| fault(format!("is not TOML: {error}")))?;
        let faults = Faults::default();
        let files = Files::beside(path);
        let config = read(Section::root(table, &faults), &files);
        let found = faults.found();
        match config {
            Some(config) if found.is_empty() => Ok(config),
            _ => Err(found),
        }
    }

    /// The server this configures.
    pub fn server(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Arc<Server> {
        let backend = Arc::new(Memory::new(self.capacity, clock.clone()));
        let store = Arc::new(Store::new(backend, self.clients.clone(), (self.profile.clone(), entropy.clone())));
        let (profile, authenticator) = (self.profile.clone(), self.authenticator.clone());
        let (keyring, bank) = (self.keyring.clone(), self.bank.clone());
        Arc::new(Server::new(Parts { profile, store, authenticator, keyring, clock, entropy, bank }))
    }
}

/// Reads every section before giving up on any, so that every fault is found. `None` only when a fault was noted.
fn read(mut root: Section<'_>, files: &Files) -> Option<Config> {
    let mode = root.choice("mode", &[("development", Mode::Development), ("production", Mode::Production)]);
    let server = root.section("server").map(|section| read_server(section, files));
    let tls = root.section("tls").and_then(|section| read_tls(section, files));
    let authorities = root.optional_section("client_certificates").and_then(|section| read_authorities(section, files));
    let limits = read_limits(root.optional_section("limits"));
    let keyring = root.section("keys").and_then(|section| read_keys(section, files));
    let bank = root.section("bank").map(|section| read_bank(section, files));
    let capacity = root.section("store").and_then(|section| read_store(section, mode));
    let log = root.section("log").and_then(read_log);
    let entries = (root.sections("clients"), root.sections("resource_servers"));
    let (listen, internal_listen, profile) = server.unwrap_or_default();
    if let (Some(profile), Some(ring)) = (&profile, &keyring)
        && !profile.algorithms().iter().any(|alg| ring.key(*alg).is_some())
    {
        root.fault("keys.folder", "has no key for any algorithm of the profile");
    }
    root.end();
    let (rules, ring) = (profile.as_ref(), keyring.as_ref());
    let against = Against { profile: rules, keyring: ring, authorities: authorities.is_some(), files };
    let clients = clients::read(entries, &against);
    let (authenticator, bank) = bank?;
    Some(Config {
        listen: listen?,
        internal_listen: internal_listen?,
        tls: tls?,
        authorities,
        limits,
        log: log?,
        profile: Arc::new(profile?),
        clients,
        authenticator: Arc::new(authenticator?),
        bank,
        keyring: keyring?,
        capacity: capacity?,
    })
}

fn read_server(mut section: Section<'_>, files: &Files) -> (Option<SocketAddr>, Option<SocketAddr>, Option<Profile>) {
    let listen = address(&mut section, "listen");
    let internal = address(&mut section, "internal_listen");
    if listen == internal && listen.is_some_and(|address| address.port() != 0) {
        section.fault("internal_listen", "is the same as listen; the bank needs a port of its own");
    }
    let issuer = section.string("issuer").and_then(|text| {
        Issuer::at(&text)
            .map_err(|why| section.fault("issuer", &format!("{why}, as in https://ciba.bank.example")))
            .ok()
    });
    let scopes_supported = section.strings("scopes_supported").unwrap_or_default();
    let acr_values_supported = section.optional_strings("acr_values_supported").unwrap_or_default();
    for (key, words) in [("scopes_supported", &scopes_supported), ("acr_values_supported", &acr_values_supported)] {
        if let Some(word) = words.iter().find(|word| !is_scope_token(word)) {
            section
                .fault(key, &format!("\"{word}\" has a space or another character that RFC 6749 3.3 does not allow"));
        }
    }
    if !scopes_supported.is_empty() && !scopes_supported.iter().any(|scope| scope == "openid") {
        section.fault("scopes_supported", "has to have openid among them (CIBA 7.1)");
    }
    let profile = section.string("profile").and_then(|name| match name.as_str() {
        "fapi-ciba-id1" => Some(FAPI_CIBA_ID1.to_owned()),
        path => files.text(&section, "profile", path),
    });
    // Without a usable issuer the profile is read all the same, for the faults in it and in what is held against it.
    let issuer = issuer.unwrap_or_else(|| Issuer::at("https://issuer.invalid").expect("it is a bare origin"));
    let issuer = Issuer { scopes_supported, acr_values_supported, ..issuer };
    let undercuts =
        |undercuts: Vec<_>| undercuts.iter().for_each(|undercut| section.fault("profile", &format!("{undercut}")));
    let profile = profile.and_then(|text| Profile::load(&text, issuer).map_err(undercuts).ok());
    section.end();
    (listen, internal, profile)
}

fn address(section: &mut Section<'_>, key: &str) -> Option<SocketAddr> {
    let text = section.string(key)?;
    text.parse().map_err(|_| section.fault(key, "is not an address with a port, as in 0.0.0.0:9443")).ok()
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

fn read_keys(mut section: Section<'_>, files: &Files) -> Option<Keyring> {
    let keys = section.string("folder").and_then(|folder| files.signing_keys(&section, "folder", &folder));
    let ring = keys.and_then(|keys| Keyring::new(keys).map_err(|why| section.fault("folder", &why.to_string())).ok());
    section.end();
    ring
}

fn read_bank(mut section: Section<'_>, files: &Files) -> (Option<Webhook>, Vec<Digest>) {
    let url = section.string("url").filter(|text| {
        let fine = Url::parse(text).is_ok_and(|url| {
            url.scheme() == "https"
                && matches!(url.host(), Some(Host::Domain(_)))
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        }) && !text.ends_with('/');
        if !fine {
            section.fault(
                "url",
                "has to be https://, name a host, and end without a slash, as in https://bank.example/ciba",
            );
        }
        fine
    });
    let trust = section.string("trust").and_then(|path| files.authorities(&section, "trust", &path));
    let identity = files.identity(&mut section, "certificate", "key");
    let outbound = trust.zip(identity).and_then(|(trust, certificate)| {
        let built = Outbound::new(Identity { trust, certificate });
        built.map_err(|why| section.fault("certificate", &why.to_string())).ok()
    });
    let mut deciders = Vec::new();
    for path in section.strings("decision_certificates").unwrap_or_default() {
        let found = files.certificates(&section, "decision_certificates", &path);
        deciders.extend(found.iter().filter_map(|chain| chain.first()).map(|leaf| Digest::of(leaf)));
    }
    section.end();
    (url.zip(outbound).map(|(url, outbound)| Webhook::new(url, outbound)), deciders)
}

fn read_store(mut section: Section<'_>, mode: Option<Mode>) -> Option<usize> {
    section.choice("kind", &[("memory", ())]);
    if mode == Some(Mode::Production) {
        section.fault("kind", "memory forgets everything when the process ends, spent ids too, so production refuses it; Redis is not offered yet");
    }
    let capacity = section.number("capacity", 1_000..=100_000_000).and_then(|n| usize::try_from(n).ok());
    section.end();
    capacity
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
