//! [`Verified<T>`]: the proof that every rule held, and the only place that makes one.

use std::net::IpAddr;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection, Scheme};
use crate::profile::Profile;
use crate::profile::once::Unspent;

/// One clause of a spec: its id, the refusal for breaking it, and a pure predicate that says whether it holds.
pub struct Rule<T: ?Sized> {
    /// The clause, as in `conformance/clauses.toml`.
    pub clause: &'static str,
    /// What the caller is told when it does not hold.
    pub reason: Reason,
    /// What is wrong when it does not hold, for the log.
    pub says: &'static str,
    /// Whether it holds.
    pub holds: fn(&T, &Profile, Timestamp) -> bool,
}

/// A kind of request, or a part of one, and the clauses that govern it, in the order of the specs.
pub trait Governed: Sized + 'static {
    /// The clauses.
    const RULES: &'static [Rule<Self>];

    /// The client that sent it, where there is one, for the log.
    fn client_id(&self) -> Option<&str> {
        None
    }

    /// How its token may be brought, where it brings one to a resource: what a refusal challenges with.
    fn schemes(&self) -> Option<&'static [Scheme]> {
        None
    }
}

/// A request for which every rule held.
///
/// No constructor outside this module, and no `Deserialize`, `Clone` or `Default`: who holds one went through the [gate](super::gate), once.
pub struct Verified<T> {
    request: T,
    unspent: Arc<Unspent>,
    address: Option<IpAddr>,
}

impl<T> Verified<T> {
    /// The request. What others may know of it, the file of its kind says.
    pub(super) const fn request(&self) -> &T {
        &self.request
    }

    /// The client that sent it, where there is one, for the log.
    pub fn client_id(&self) -> Option<&str>
    where
        T: Governed,
    {
        self.request.client_id()
    }

    /// Where it came from, to be recorded with what it did.
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The request itself; the proof is spent.
    pub(super) fn into_request(self) -> T {
        self.request
    }

    /// What it uses up and has not spent yet.
    pub fn unspent(&self) -> Arc<Unspent> {
        self.unspent.clone()
    }

    /// The same, from `address` and owing `unspent`.
    pub(super) fn of(self, address: Option<IpAddr>, unspent: impl Into<Arc<Unspent>>) -> Self {
        Self { address, unspent: unspent.into(), ..self }
    }
}

/// Holds `request` against its rules; the first that fails is the answer.
pub(super) fn conform<T: Governed>(request: T, profile: &Profile, now: Timestamp) -> Result<Verified<T>, Rejection> {
    match T::RULES.iter().find(|rule| !(rule.holds)(&request, profile, now)) {
        None => Ok(Verified { request, unspent: Arc::default(), address: None }),
        Some(rule) => {
            let refusal = Rejection::new(rule.reason, rule.clause, rule.says);
            Err(match request.schemes() {
                Some(schemes) => refusal.under(schemes),
                None => refusal,
            })
        }
    }
}
