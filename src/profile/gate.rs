//! The [`Gate`]: from [`Inbound`] to [`Verified<T>`], one short pipeline for each kind of request. The only door.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::{Clock, Timestamp};
use crate::error::{Reason, Rejection};
use crate::profile::Profile;
use crate::profile::client::Client;
use crate::profile::verified::{Governed, Verified, conform};
use crate::secret::Digest;
use crate::wire::Malformed;
use crate::wire::inbound::Inbound;

/// Who is registered. The store knows.
#[async_trait]
pub trait Clients: Send + Sync {
    /// The client of that id, if there is one.
    ///
    /// # Errors
    /// The store could not say.
    async fn client(&self, client_id: &str) -> Result<Option<Arc<Client>>, Rejection>;
}

/// What has been used up. The store remembers.
#[async_trait]
pub trait Replay: Send + Sync {
    /// Spends `id`, which need not be remembered after `until`. False: it was spent before.
    ///
    /// # Errors
    /// The store could not say, or cannot remember any more. Never taken for a first use.
    async fn first_use(&self, id: &Spent<'_>, until: Timestamp) -> Result<bool, Rejection>;
}

/// A one-time id: the `jti` of one kind of token by one client.
#[derive(Debug)]
pub struct Spent<'a> {
    /// What kind of token carried it.
    pub kind: Kind,
    /// Whose.
    pub client_id: &'a str,
    /// The id.
    pub jti: &'a str,
}

/// A kind of token with one-time ids. The same `jti` in two kinds is two ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RFC 7523 §3, item 7.
    ClientAssertion,
    /// CIBA §7.1.1.
    RequestObject,
}

/// A kind of request that the gate knows how to read.
pub trait Request: Governed + Send {
    /// Authenticates and parses `inbound`. What comes back is typed, and not verified yet.
    fn read(gate: &Gate, inbound: Inbound) -> impl Future<Output = Result<Self, Rejection>> + Send;
}

/// Everything a request is held against.
pub struct Gate {
    pub(super) profile: Arc<Profile>,
    pub(super) clients: Arc<dyn Clients>,
    pub(super) replay: Arc<dyn Replay>,
    pub(super) bank: Vec<Digest>,
    clock: Arc<dyn Clock>,
}

impl Gate {
    /// A gate for `profile`. `bank` holds the SHA-256 of each certificate that may decide.
    pub fn new(
        profile: Arc<Profile>,
        memory: Arc<impl Clients + Replay + 'static>,
        bank: Vec<Digest>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { profile, clients: memory.clone(), replay: memory, bank, clock }
    }

    /// Reads `inbound` and holds it against every rule for its kind.
    ///
    /// # Errors
    /// The first thing that is wrong: shape, then who, signature, time, replay, meaning.
    pub async fn verify<T: Request>(&self, inbound: Inbound) -> Result<Verified<T>, Rejection> {
        if inbound.query {
            return Err(Rejection::new(Reason::InvalidRequest, "OAUTH-2", "there are parameters in the URI"));
        }
        let request = T::read(self, inbound).await?;
        let client = request.client_id().map(str::to_owned);
        self.hold(request).map_err(|refusal| Rejection { client, ..refusal })
    }

    /// The present moment.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Holds a part of a request against the rules for it, now.
    pub(super) fn hold<T: Governed>(&self, part: T) -> Result<Verified<T>, Rejection> {
        conform(part, &self.profile, self.now())
    }

    /// Spends a `jti`, or refuses for `reason`.
    pub(super) async fn spend(&self, id: &Spent<'_>, until: Timestamp, reason: Reason) -> Result<(), Rejection> {
        let clause = match id.kind {
            Kind::ClientAssertion => "CA-11",
            Kind::RequestObject => "CIBA-7.1.1-13",
        };
        let replayed = Rejection::new(reason, clause, "the jti was used before");
        if self.replay.first_use(id, until).await? { Ok(()) } else { Err(replayed) }
    }
}

/// A text that could not be read, as a refusal.
pub(super) const fn malformed(reason: Reason, clause: &'static str) -> impl Fn(Malformed) -> Rejection {
    move |Malformed(cause)| Rejection::new(reason, clause, cause)
}
