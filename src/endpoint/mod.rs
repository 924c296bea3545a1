//! What happens to a verified request: one file for each endpoint, and the [`Server`] they share.

pub mod authorization;
pub mod backchannel;
pub mod decision;
pub mod discovery;
pub mod health;
pub mod introspect;
pub mod metrics;
mod mint;
pub mod register;
pub mod revoke;
pub mod standing;
pub mod token;
pub mod userinfo;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::Instrument as _;

use crate::audit::{Audit, Event};
use crate::clock::{Clock, Stopwatch, Timestamp};
use crate::error::Rejection;
use crate::jose::jwk::Unusable;
use crate::jose::keyring::Keyring;
use crate::outbound::authenticator::Authenticator;
use crate::outbound::measured::Measured;
use crate::outbound::ping::Pings;
use crate::profile::client::Client;
use crate::profile::gate::{Gate, Trust};
use crate::profile::nonce::{Nonces, Side};
use crate::profile::{BoundBy, DpopNonce, Profile};
use crate::secret::{Entropy, Pseudonyms};
use crate::store::Store;
use crate::telemetry::metrics::Metrics;

/// One issuer: its rules, its memory, its keys, and the bank behind it.
pub struct Server {
    /// The only door.
    pub gate: Gate,
    pub(crate) profile: Arc<Profile>,
    pub(crate) store: Arc<Store>,
    pub(crate) audit: Audit,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) keyring: Keyring,
    leaving: AtomicBool,
    nonces: Option<Nonces>,
    pub(crate) pings: Option<Pings>,
    pseudonyms: Option<Pseudonyms>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What a [`Server`] is made of.
#[expect(missing_docs, reason = "each field is the part of that name")]
pub struct Parts {
    pub profile: Arc<Profile>,
    pub store: Arc<Store>,
    pub audit: Audit,
    pub authenticator: Arc<dyn Authenticator>,
    pub trust: Trust,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub metrics: Arc<Metrics>,
}

impl Server {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        let Parts { profile, store, audit, authenticator, trust, clock, entropy, metrics } = parts;
        let pings = trust.calls.clone().map(|calls| Pings::new(calls, store.clone(), (clock.clone(), metrics.clone())));
        let authenticator = Arc::new(Measured::new(authenticator, metrics.clone()));
        let (keyring, pseudonyms) = (trust.keyring.clone(), trust.pseudonyms.clone());
        let rules = &profile.rules().sender_constraint;
        let nonced = rules.dpop_nonce != DpopNonce::Off && profile.binds(BoundBy::Dpop);
        let nonces = if nonced { trust.nonces.nonces(&*entropy) } else { None };
        let gate = Gate::new(profile.clone(), store.clone(), (trust, nonces.clone()), (clock.clone(), metrics.clone()));
        let leaving = AtomicBool::default();
        Self {
            gate,
            profile,
            store,
            audit,
            authenticator,
            keyring,
            leaving,
            nonces,
            pings,
            pseudonyms,
            clock,
            entropy,
            metrics,
        }
    }

    /// Says from now on that it is not ready: others are to be asked. What it is asked all the same it answers as before.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Sends the pings that other servers left behind, for as long as it is polled.
    pub async fn take_over_pings(&self) {
        match &self.pings {
            Some(pings) => pings.take_over().await,
            None => std::future::pending().await,
        }
    }

    /// Signs with `keys` from now on and publishes them, and knows these `clients` of the configuration.
    ///
    /// # Errors
    /// The keys do not serve an algorithm that is offered; everything stays as it was.
    pub fn follow(&self, keys: &Keyring, clients: Option<Vec<Client>>) -> Result<(), Unusable> {
        self.keyring.follow(keys)?;
        if let Some(clients) = clients {
            self.store.replace_clients(clients);
        }
        Ok(())
    }

    /// The nonce for the next DPoP proof at `side`, where there are any (RFC 9449 §8.2).
    pub fn nonce(&self, side: Side) -> Option<String> {
        self.nonces.as_ref().map(|nonces| nonces.fresh(side, self.now()))
    }

    /// Where this server's unguessable bytes come from.
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    /// Whether its store and its audit file, as they are now, can be relied on.
    pub fn health(&self) -> (bool, bool) {
        (self.store.trouble().is_none(), !self.audit.is_failing())
    }

    /// By the names of the algorithms it signs with, since when the key of each does, where anybody knows.
    pub fn signs_since(&self, now: Timestamp) -> Vec<(&'static str, Timestamp)> {
        let algs = self.keyring.algs().into_iter();
        algs.filter_map(|alg| Some((alg.name(), self.keyring.signs_since(alg, now)?))).collect()
    }

    /// What it counts and measures.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The clock it goes by.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Records `event`, which a request from `address` brought about, before anybody is told of it.
    pub(crate) async fn record(&self, event: Event<'_>, address: Option<IpAddr>) -> Result<(), Rejection> {
        let begun = Stopwatch::start();
        let span = tracing::info_span!("record");
        let recorded = self.audit.record(event, address, self.now()).instrument(span).await;
        self.metrics.recorded(event.name(), begun.elapsed(), recorded.is_ok());
        recorded
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// By which name `client` knows the user `sub` (OpenID Connect Core §8). Without pseudonyms there are no pairwise clients.
    pub(crate) fn sub_for(&self, client: &Client, sub: &str) -> String {
        let sector = client.ciba().and_then(|ciba| ciba.sector.as_deref());
        match sector.zip(self.pseudonyms.as_ref()) {
            Some((sector, pseudonyms)) => pseudonyms.hide(sector, sub),
            None => sub.to_owned(),
        }
    }
}
