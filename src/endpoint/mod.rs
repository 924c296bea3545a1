//! What happens to a verified request: one file for each endpoint, and the [`Server`] they share.

pub mod authorization;
pub mod backchannel;
pub mod decision;
pub mod discovery;
pub mod introspect;
mod mint;
pub mod token;

use std::sync::Arc;

use crate::clock::{Clock, Timestamp};
use crate::jose::keyring::Keyring;
use crate::outbound::authenticator::Authenticator;
use crate::profile::Profile;
use crate::profile::gate::Gate;
use crate::secret::{Digest, Entropy};
use crate::store::Store;

/// One issuer: its rules, its memory, its keys, and the bank behind it.
pub struct Server {
    /// The only door.
    pub gate: Gate,
    pub(crate) profile: Arc<Profile>,
    pub(crate) store: Arc<Store>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// What a [`Server`] is made of.
#[expect(missing_docs, reason = "each field is the part of that name")]
pub struct Parts {
    pub profile: Arc<Profile>,
    pub store: Arc<Store>,
    pub authenticator: Arc<dyn Authenticator>,
    pub keyring: Keyring,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// SHA-256 of each certificate that may decide.
    pub bank: Vec<Digest>,
}

impl Server {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        let Parts { profile, store, authenticator, keyring, clock, entropy, bank } = parts;
        let gate = Gate::new(profile.clone(), store.clone(), bank, clock.clone());
        Self { gate, profile, store, authenticator, keyring, clock, entropy }
    }

    /// Where this server's unguessable bytes come from.
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    /// The clock it goes by.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
