//! The [`Gate`]: from [`Inbound`] to [`Verified<T>`], one short pipeline for each kind of request. The only door.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::{Clock, Timestamp};
use crate::error::{Reason, Rejection};
use crate::jose::alg::Alg;
use crate::jose::claims::Claims;
use crate::jose::jwk::KeySet;
use crate::jose::jws::Compact;
use crate::jose::keyring::Keyring;
use crate::outbound::jwks::Jwks;
use crate::outbound::{Failed, Outbound};
use crate::profile::Profile;
use crate::profile::client::{Client, Keys};
use crate::profile::enrolled::{Enrolled, Registrars};
use crate::profile::nonce::{Nonces, Source};
use crate::profile::once::{Replay, Unspent};
use crate::profile::verified::{Governed, Verified, conform};
use crate::profile::vouchers::Vouchers;
use crate::secret::{Digest, Pseudonyms};
use crate::telemetry::metrics::Metrics;
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

    /// What was registered under that id at the registration endpoint, if anything was.
    ///
    /// # Errors
    /// The store could not say.
    async fn enrolled(&self, client_id: &str) -> Result<Option<Enrolled>, Rejection>;
}

/// Whose word counts beside that of the clients.
#[derive(Clone)]
pub struct Trust {
    /// SHA-256 of each certificate with which the bank may decide.
    pub bank: Vec<Digest>,
    /// This server's own keys: it believes its own ID tokens.
    pub keyring: Keyring,
    /// Those whose `login_hint_token` is believed.
    pub login_hint_token_issuers: Vouchers,
    /// Who may register clients.
    pub registrars: Registrars,
    /// By which names users are known to pairwise clients.
    pub pseudonyms: Option<Pseudonyms>,
    /// How URLs of clients are called.
    pub calls: Option<Outbound>,
    /// What nonces for DPoP are made of.
    pub nonces: Source,
}

/// A kind of request that the gate knows how to read.
pub trait Request: Governed + Send {
    /// Authenticates and parses `inbound`, and notes what it uses up. What comes back is typed, and not verified yet.
    fn read(gate: &Gate, inbound: Inbound, unspent: &Unspent) -> impl Future<Output = Result<Self, Rejection>> + Send;
}

/// Everything a request is held against.
pub struct Gate {
    pub(super) profile: Arc<Profile>,
    pub(super) clients: Arc<dyn Clients>,
    replay: Arc<dyn Replay>,
    pub(super) trust: Trust,
    pub(super) nonces: Option<Nonces>,
    jwks: Option<Jwks>,
    clock: Arc<dyn Clock>,
}

impl Gate {
    /// A gate for `profile`.
    pub fn new(
        profile: Arc<Profile>,
        memory: Arc<impl Clients + Replay + 'static>,
        (trust, nonces): (Trust, Option<Nonces>),
        (clock, metrics): (Arc<dyn Clock>, Arc<Metrics>),
    ) -> Self {
        let jwks = trust.calls.clone().map(|calls| Jwks::new(calls, metrics));
        Self { profile, clients: memory.clone(), replay: memory, trust, nonces, jwks, clock }
    }

    /// Reads `inbound` and holds it against every rule for its kind. What it uses up is spent at once if it is refused, else with the first thing
    /// the store is asked about it, and in any case before it is answered.
    ///
    /// # Errors
    /// The first thing that is wrong: shape, then who, signature, time, meaning; but a replay before all that was found after it.
    pub async fn verify<T: Request>(&self, inbound: Inbound) -> Result<Verified<T>, Rejection> {
        if inbound.query {
            return Err(Rejection::new(Reason::InvalidRequest, "OAUTH-2", "there are parameters in the URI"));
        }
        let (unspent, address) = (Unspent::default(), inbound.address);
        let read = T::read(self, inbound, &unspent).await;
        let held = read.and_then(|request| {
            let client = request.client_id().map(str::to_owned);
            self.hold(request).map_err(|refusal| Rejection { client, ..refusal })
        });
        match held {
            Ok(verified) => Ok(verified.of(address, unspent)),
            Err(refusal) => {
                let client = refusal.client.clone();
                self.replay.spend(unspent.take()).await.map_err(|replayed| Rejection { client, ..replayed })?;
                Err(refusal)
            }
        }
    }

    /// The present moment.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Holds a part of a request against the rules for it, now.
    pub(super) fn hold<T: Governed>(&self, part: T) -> Result<Verified<T>, Rejection> {
        conform(part, &self.profile, self.now())
    }

    /// The keys of `client`; of those it publishes, a set that has what is wanted, if there is one.
    pub(super) async fn keys(
        &self,
        client: &Client,
        wants: impl Fn(&KeySet) -> bool,
    ) -> Result<Arc<KeySet>, Malformed> {
        match (&client.keys, &self.jwks) {
            (Keys::Here(set), _) => Ok(set.clone()),
            (Keys::At(uri), Some(jwks)) => {
                jwks.keys(uri, wants, self.now()).await.map_err(|Failed(cause)| Malformed(cause))
            }
            (Keys::At(_), None) => Err(Malformed("this server calls no URLs of clients")),
        }
    }

    /// The claims of `token`, once a key of `client` has vouched for them under `alg`.
    pub(super) async fn vouched(&self, client: &Client, token: Compact<'_>, alg: Alg) -> Result<Claims, Malformed> {
        let keys = self.keys(client, |set| token.may_be_of(set)).await;
        if !keys.as_ref().is_ok_and(|set| token.alg() == alg && token.may_be_of(set)) {
            self.pretend(&token);
        }
        token.verify(&*keys?, alg)
    }

    /// Takes the time of a verification (RFC 7523 §3: who fails learns nothing of why).
    pub(super) fn pretend(&self, token: &Compact<'_>) {
        token.pretend(&self.trust.keyring.own());
    }
}

/// A text that could not be read, as a refusal.
pub(super) const fn malformed(reason: Reason, clause: &'static str) -> impl Fn(Malformed) -> Rejection {
    move |Malformed(cause)| Rejection::new(reason, clause, cause)
}
