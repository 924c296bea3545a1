//! [`Spent`] and [`Unspent`]: the ids of a request that are good once. The gate notes them, and the store spends them with the first thing it is asked
//! about the request, so that no id costs a round trip of its own.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection, Scheme};
use crate::secret::Digest;

/// What has been used up. The store remembers.
#[async_trait]
pub trait Replay: Send + Sync {
    /// Spends `ids`, each for the first time.
    ///
    /// # Errors
    /// One was spent before; or the store could not say, or cannot remember any more, which is never taken for a first use.
    async fn spend(&self, ids: Vec<Spent>) -> Result<(), Rejection>;
}

/// A one-time id: the `jti` of one kind of token by one issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// What kind of token carried it.
    pub kind: Kind,
    /// Which one it is, of all that there are.
    pub digest: Digest,
    /// How long it has to be remembered: its token is of no use after that.
    pub until: Timestamp,
}

/// A kind of token with one-time ids. The same `jti` in two kinds is two ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RFC 7523 §3, item 7.
    ClientAssertion,
    /// CIBA §7.1.1.
    RequestObject,
    /// CIBA §7.1 `login_hint_token`; whose it is, its issuer says.
    LoginHintToken,
    /// RFC 9449 §11.1, at the token endpoint; whose it is, its key says.
    DpopProof,
    /// The same, at a resource of this server: a `jti` is one of the URI that it was sent to.
    DpopProofAtResource,
}

impl Spent {
    /// The `jti` of a token of that `kind` by the issuer `iss`, good until then.
    pub fn new(kind: Kind, (iss, jti): (&str, &str), until: Timestamp) -> Self {
        let name = match kind {
            Kind::ClientAssertion => "client_assertion",
            Kind::RequestObject => "request_object",
            Kind::LoginHintToken => "login_hint_token",
            Kind::DpopProof => "dpop",
            Kind::DpopProofAtResource => "dpop at resource",
        };
        Self { kind, digest: Digest::of_parts(&[name, iss, jti]), until }
    }

    /// What is said when it was spent before.
    pub const fn replayed(&self) -> Rejection {
        let (reason, clause, schemes): (_, _, &[Scheme]) = match self.kind {
            Kind::ClientAssertion => (Reason::InvalidClient, "CA-11", &[]),
            Kind::RequestObject => (Reason::InvalidRequest, "CIBA-7.1.1-13", &[]),
            Kind::LoginHintToken => (Reason::InvalidRequest, "CIBA-7.1-20", &[]),
            Kind::DpopProof => (Reason::InvalidDpopProof, "DPOP-11.1-2", &[]),
            Kind::DpopProofAtResource => (Reason::InvalidDpopProof, "DPOP-11.1-2", &[Scheme::Dpop]),
        };
        Rejection::new(reason, clause, "the jti was used before").under(schemes)
    }
}

/// The ids of one request that nobody has spent yet, in the order in which they were read. Whoever takes them spends them.
#[derive(Debug, Default)]
pub struct Unspent(Mutex<Vec<Spent>>);

impl Unspent {
    /// Takes what is there; nobody else will find it.
    pub fn take(&self) -> Vec<Spent> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes `id`.
    pub(super) fn note(&self, id: Spent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ca_11_the_same_jti_by_another_or_in_another_kind_is_another_id() {
        let until = Timestamp::from_seconds(1);
        let id = |kind, iss, jti| Spent::new(kind, (iss, jti), until).digest;
        let one = id(Kind::ClientAssertion, "till-7", "1");
        assert_eq!(one, id(Kind::ClientAssertion, "till-7", "1"));
        for other in [
            id(Kind::ClientAssertion, "till-71", ""),
            id(Kind::ClientAssertion, "till-8", "1"),
            id(Kind::RequestObject, "till-7", "1"),
            id(Kind::LoginHintToken, "till-7", "1"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn dpop_11_1_2_the_same_jti_at_another_place_is_another_id() {
        let until = Timestamp::from_seconds(1);
        let id = |kind| Spent::new(kind, ("jkt", "1"), until).digest;
        assert_ne!(id(Kind::DpopProof), id(Kind::DpopProofAtResource));
    }

    #[test]
    fn what_was_taken_is_not_found_again() {
        let unspent = Unspent::default();
        unspent.note(Spent::new(Kind::RequestObject, ("till-7", "1"), Timestamp::from_seconds(1)));
        assert_eq!((unspent.take().len(), unspent.take().len()), (1, 0));
    }
}
