//! [`Store`]: the only memory. Named atomic operations, written once over a [`Backend`] that holds bytes and swaps them.
//!
//! Ids and tokens are kept as digests. Expiry is judged on the record by the time that is passed in; a backend sweeps later than that.

pub mod memory;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::grant::{Asked, Consent, Grant, Pace, Poll, Undecidable};
use crate::profile::Profile;
use crate::profile::backchannel::Backchannel;
use crate::profile::client::Client;
use crate::profile::decision::{Decision, Verdict};
use crate::profile::gate::{Clients, Kind, Replay, Spent};
use crate::profile::inspection::Inspection;
use crate::profile::redemption::Redemption;
use crate::profile::sender::Binding;
use crate::profile::verified::Verified;
use crate::secret::{Digest, Entropy, Secret};

/// How long an id is remembered after it expired, in seconds, to say `expired_token` and `access_denied` (CIBA §11). Taste: long enough for any client
/// that is still polling, short enough that a store in memory stays small.
const REMEMBERED: u32 = 600;

/// How long a one-time id is kept beyond its token's `exp`, in seconds: the store's clock may be read a moment later than the gate's, and may be
/// set back.
const SPENT_LONGER: u32 = 60;

/// How often an operation starts over when others swap the same record under it.
const TRIES: usize = 16;

/// What a backend keeps apart: a key of one family is never a key of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// A [`Grant`], by the digest of its `auth_req_id`.
    Grant,
    /// A [`Pace`], by the digest of the `auth_req_id` it belongs to.
    Pace,
    /// An [`AccessToken`], by the digest of the token.
    AccessToken,
    /// A one-time id.
    Spent,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Grant, Self::Pace, Self::AccessToken, Self::Spent];
}

/// Where a record lies. Made of digests alone, so nothing a caller sends can reach another record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Which kind of record.
    pub family: Family,
    /// Which one.
    pub digest: Digest,
}

/// What lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The content.
    pub bytes: Vec<u8>,
    /// When it may be forgotten. Not before.
    pub sweep_at: Timestamp,
}

/// The backend cannot say, or cannot remember any more. Nothing was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub &'static str);

/// Where records are kept: the seam between [`Store`] and memory or Redis. `tests/store_contract.rs` says what each has to do.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Puts `record` where there is none; false where there is one.
    ///
    /// # Errors
    /// [`Unavailable`], when full too: nothing is evicted to make room.
    async fn insert(&self, key: &Key, record: Record) -> Result<bool, Unavailable>;

    /// What is there.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn load(&self, key: &Key) -> Result<Option<Vec<u8>>, Unavailable>;

    /// Puts `record` where exactly `seen` is; false where something else, or nothing, is.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn swap(&self, key: &Key, seen: &[u8], record: Record) -> Result<bool, Unavailable>;
}

/// A request that was accepted.
pub struct Opened {
    /// Its id, said once and kept as a digest.
    pub auth_req_id: Secret,
    /// Seconds it lives.
    pub expires_in: u32,
    /// Seconds to leave between two polls.
    pub interval: u32,
}

/// An approval that may be redeemed once.
pub struct Ready {
    /// What was approved.
    pub grant: Grant,
    /// How.
    pub consent: Consent,
    key: Key,
    seen: Vec<u8>,
}

/// What an access token stands for.
#[derive(Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is the claim of that name, RFC 7662 §2.2")]
pub struct AccessToken {
    pub client_id: String,
    pub sub: String,
    pub scope: Vec<String>,
    pub cnf: Binding,
    pub acr: Option<String>,
    pub auth_time: Timestamp,
    pub iat: Timestamp,
    pub exp: Timestamp,
}

/// The memory of this server.
pub struct Store {
    backend: Arc<dyn Backend>,
    clients: HashMap<String, Arc<Client>>,
    profile: Arc<Profile>,
    entropy: Arc<dyn Entropy>,
}

impl Store {
    /// A store for the registered `clients`, under `profile`.
    pub fn new(
        backend: Arc<dyn Backend>,
        clients: Vec<Client>,
        (profile, entropy): (Arc<Profile>, Arc<dyn Entropy>),
    ) -> Self {
        let clients = clients.into_iter().map(|client| (client.client_id.clone(), Arc::new(client))).collect();
        Self { backend, clients, profile, entropy }
    }

    /// Accepts an authentication request for the user `sub` (CIBA §7.3).
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn open(&self, request: &Verified<Backchannel>, sub: &str, now: Timestamp) -> Result<Opened, Rejection> {
        let expires_in = request.expires_in(&self.profile);
        let expires_at = now.plus(expires_in);
        let acr_wanted = !request.acr_values().is_empty() && !self.profile.issuer().acr_values_supported.is_empty();
        let asked = Asked { scope: request.scope(), acr_wanted };
        let grant = Grant::open(request.client().client_id.clone(), sub.to_owned(), asked, expires_at);
        let auth_req_id = Secret::draw(&*self.entropy);
        let digest = auth_req_id.digest();
        let sweep_at = expires_at.plus(REMEMBERED);
        let interval = self.profile.rules().authentication_request.interval;
        self.put(Key { family: Family::Pace, digest }, &Pace::every(interval), sweep_at).await?;
        self.put(Key { family: Family::Grant, digest }, &grant, sweep_at).await?;
        Ok(Opened { auth_req_id, expires_in, interval })
    }

    /// Closes a request that nobody could be asked about: a decision on it comes too late.
    ///
    /// # Errors
    /// As for [`decide`](Self::decide).
    pub async fn withdraw(&self, opened: &Opened, now: Timestamp) -> Result<(), Rejection> {
        self.settle(&opened.auth_req_id, &Verdict::Deny, now).await
    }

    /// Takes the person's decision. Of several at once, exactly one wins.
    ///
    /// # Errors
    /// [`Reason::UnknownDecision`], [`Reason::AlreadySettled`], [`Reason::InvalidRequest`] without an acr that was asked for, [`Reason::AccessForbidden`] for another user's yes, [`Reason::TemporarilyUnavailable`].
    pub async fn decide(&self, decision: &Verified<Decision>, now: Timestamp) -> Result<(), Rejection> {
        self.settle(decision.auth_req_id(), decision.verdict(), now).await
    }

    async fn settle(&self, auth_req_id: &Secret, verdict: &Verdict, now: Timestamp) -> Result<(), Rejection> {
        let key = Key { family: Family::Grant, digest: auth_req_id.digest() };
        for _ in 0..TRIES {
            let unknown = || Rejection::new(Reason::UnknownDecision, "CIBA-8-3", "no such request");
            let (grant, seen): (Grant, _) = self.get(key).await?.ok_or_else(unknown)?;
            let sweep_at = grant.expires_at.plus(REMEMBERED);
            let decided = grant.decide(verdict, now).map_err(|why| match why {
                Undecidable::Settled => {
                    Rejection::new(Reason::AlreadySettled, "CIBA-8-3", "decided before, or expired")
                }
                Undecidable::WithoutAcr => {
                    Rejection::new(Reason::InvalidRequest, "FAPICIBA-5.2.2-8", "an acr was asked for and not reported")
                }
                Undecidable::AnotherUser => {
                    Rejection::new(Reason::AccessForbidden, "CIBA-10.1-12", "another user approved")
                }
            })?;
            if self.swap(key, &seen, &decided, sweep_at).await? {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// What a poll finds: an approval, or the refusal CIBA §11 has for everything else. Unknown and another client's look the same.
    ///
    /// # Errors
    /// [`Reason::InvalidGrant`], [`Reason::ExpiredToken`], [`Reason::AccessDenied`], [`Reason::AuthorizationPending`], [`Reason::SlowDown`],
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn poll(&self, request: &Verified<Redemption>, now: Timestamp) -> Result<Ready, Rejection> {
        let digest = request.auth_req_id().digest();
        let (grant_key, pace_key) = (Key { family: Family::Grant, digest }, Key { family: Family::Pace, digest });
        for _ in 0..TRIES {
            let found: Option<(Grant, _)> = self.get(grant_key).await?;
            let ours = found.filter(|(grant, _)| grant.client_id == request.sender().client.client_id);
            let foreign =
                || Rejection::new(Reason::InvalidGrant, "CIBA-11-5", "the auth_req_id is unknown, or another client's");
            let (grant, seen) = ours.ok_or_else(foreign)?;
            let (pace, seen_pace): (Pace, _) = self.get(pace_key).await?.ok_or_else(foreign)?;
            let (refusal, pace) = match grant.poll(pace, now) {
                Poll::Approved(consent) => return Ok(Ready { grant, consent, key: grant_key, seen }),
                Poll::Redeemed => {
                    return Err(Rejection::new(Reason::InvalidGrant, "CIBA-10.1-9", "the auth_req_id is spent"));
                }
                Poll::Expired => {
                    return Err(Rejection::new(Reason::ExpiredToken, "CIBA-11-3", "the auth_req_id has expired"));
                }
                Poll::Denied => return Err(Rejection::new(Reason::AccessDenied, "CIBA-11-4", "the answer was no")),
                Poll::Pending(pace) => {
                    (Rejection::new(Reason::AuthorizationPending, "CIBA-11-1", "no decision yet"), pace)
                }
                Poll::TooFast(pace) => {
                    (Rejection::new(Reason::SlowDown, "CIBA-11-2", "no decision yet, polled too soon"), pace)
                }
            };
            if self.swap(pace_key, &seen_pace, &pace, grant.expires_at.plus(REMEMBERED)).await? {
                return Err(refusal);
            }
        }
        // Others polled for the same id in the same moment, again and again: each of them was too fast.
        Err(Rejection::new(Reason::SlowDown, "CIBA-11-2", "no decision yet, polled many times at once"))
    }

    /// Hands out `token` for an approval. The token is in the store before the grant is spent, so one that was answered is always live; when
    /// another poll spent the grant first, its digest stays behind, known to nobody.
    ///
    /// # Errors
    /// [`Reason::InvalidGrant`] for all but one of several at once, [`Reason::TemporarilyUnavailable`].
    pub async fn redeem(&self, ready: Ready, token: (&Secret, &AccessToken), now: Timestamp) -> Result<(), Rejection> {
        let (secret, record) = token;
        let spent =
            || Rejection::new(Reason::InvalidGrant, "CIBA-10.1-9", "the auth_req_id was spent at the same moment");
        let sweep_at = ready.grant.expires_at.plus(REMEMBERED);
        let redeemed = ready.grant.redeem(now).ok_or_else(spent)?;
        self.put(Key { family: Family::AccessToken, digest: secret.digest() }, record, record.exp).await?;
        if self.swap(ready.key, &ready.seen, &redeemed, sweep_at).await? { Ok(()) } else { Err(spent()) }
    }

    /// The token that was asked about, if it is live and its client still registered.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn inspect(
        &self,
        request: &Verified<Inspection>,
        now: Timestamp,
    ) -> Result<Option<AccessToken>, Rejection> {
        let key = Key { family: Family::AccessToken, digest: request.token().digest() };
        let found: Option<(AccessToken, _)> = self.get(key).await?;
        Ok(found.map(|(token, _)| token).filter(|token| now < token.exp && self.clients.contains_key(&token.client_id)))
    }

    async fn put(&self, key: Key, value: &(impl Serialize + Sync), sweep_at: Timestamp) -> Result<(), Rejection> {
        match self.backend.insert(&key, Record { bytes: write(value), sweep_at }).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Rejection::new(Reason::TemporarilyUnavailable, "store", "a fresh id was taken")),
            Err(why) => Err(unavailable(why)),
        }
    }

    async fn get<T: DeserializeOwned>(&self, key: Key) -> Result<Option<(T, Vec<u8>)>, Rejection> {
        let Some(bytes) = self.backend.load(&key).await.map_err(unavailable)? else { return Ok(None) };
        let value = serde_json::from_slice(&bytes)
            .map_err(|_| Rejection::new(Reason::TemporarilyUnavailable, "store", "a record cannot be read"))?;
        Ok(Some((value, bytes)))
    }

    async fn swap(
        &self,
        key: Key,
        seen: &[u8],
        value: &(impl Serialize + Sync),
        sweep_at: Timestamp,
    ) -> Result<bool, Rejection> {
        self.backend.swap(&key, seen, Record { bytes: write(value), sweep_at }).await.map_err(unavailable)
    }
}

#[async_trait]
impl Clients for Store {
    async fn client(&self, client_id: &str) -> Result<Option<Arc<Client>>, Rejection> {
        Ok(self.clients.get(client_id).cloned())
    }
}

#[async_trait]
impl Replay for Store {
    async fn first_use(&self, id: &Spent<'_>, until: Timestamp) -> Result<bool, Rejection> {
        let kind = match id.kind {
            Kind::ClientAssertion => "client_assertion",
            Kind::RequestObject => "request_object",
        };
        let key = Key { family: Family::Spent, digest: Digest::of_parts(&[kind, id.client_id, id.jti]) };
        self.backend
            .insert(&key, Record { bytes: Vec::new(), sweep_at: until.plus(SPENT_LONGER) })
            .await
            .map_err(unavailable)
    }
}

fn write(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("records are plain structs with string keys")
}

const fn unavailable(Unavailable(cause): Unavailable) -> Rejection {
    Rejection::new(Reason::TemporarilyUnavailable, "store", cause)
}

const fn contended() -> Rejection {
    Rejection::new(Reason::TemporarilyUnavailable, "store", "the record kept changing")
}
