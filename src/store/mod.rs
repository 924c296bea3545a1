//! [`Store`]: the only memory. Named atomic operations, written once over a [`Backend`] that holds bytes and swaps them.
//!
//! Ids and tokens are kept as digests. Expiry is judged on the record by the time that is passed in; a backend sweeps later than that.

mod clients;
pub mod memory;
pub mod requests;
mod standing;
pub mod tokens;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::profile::Profile;
use crate::profile::client::Client;
use crate::profile::gate::{Kind, Replay, Spent};
use crate::secret::{Digest, Entropy};
use crate::store::clients::Cache;

/// How long an id is remembered after it expired, in seconds, to say `expired_token` and `access_denied` (CIBA §11). Taste: long enough for any client
/// that is still polling, short enough that a store in memory stays small.
const REMEMBERED: u32 = 600;

/// How long a one-time id is kept beyond its token's `exp`, in seconds: the store's clock may be read a moment later than the gate's, and may be
/// set back.
const SPENT_LONGER: u32 = 60;

/// When to sweep what stays until somebody says otherwise: a client that registered itself, a locked user.
const NEVER: Timestamp = Timestamp::from_seconds(i64::MAX);

/// How often an operation starts over when others swap the same record under it.
const TRIES: usize = 16;

/// What a backend keeps apart: a key of one family is never a key of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// A [`Grant`](crate::grant::Grant), by the digest of its `auth_req_id`.
    Grant,
    /// A [`Pace`](crate::grant::Pace), by the digest of the `auth_req_id` it belongs to.
    Pace,
    /// An [`AccessToken`](tokens::AccessToken), by the digest of the token.
    AccessToken,
    /// A [`RefreshToken`](tokens::RefreshToken), by the digest of the token.
    RefreshToken,
    /// A one-time id.
    Spent,
    /// A registered client, by the digest of its id.
    Client,
    /// Whether a user is locked, by the digest of the `sub`.
    Standing,
    /// How often user codes were tried, by the digest of who is meant or who tries.
    Attempts,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Grant,
        Self::Pace,
        Self::AccessToken,
        Self::RefreshToken,
        Self::Spent,
        Self::Client,
        Self::Standing,
        Self::Attempts,
    ];
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

/// The memory of this server.
pub struct Store {
    backend: Arc<dyn Backend>,
    clients: HashMap<String, Arc<Client>>,
    cache: Mutex<Cache>,
    profile: Arc<Profile>,
    entropy: Arc<dyn Entropy>,
}

impl Store {
    /// A store for the `clients` of the configuration, under `profile`.
    pub fn new(
        backend: Arc<dyn Backend>,
        clients: Vec<Client>,
        (profile, entropy): (Arc<Profile>, Arc<dyn Entropy>),
    ) -> Self {
        let clients = clients.into_iter().map(|client| (client.client_id.clone(), Arc::new(client))).collect();
        Self { backend, clients, cache: Mutex::default(), profile, entropy }
    }

    /// Puts `value` where nothing can be yet.
    async fn put(&self, key: Key, value: &(impl Serialize + Sync), sweep_at: Timestamp) -> Result<(), Rejection> {
        let taken = || Rejection::new(Reason::TemporarilyUnavailable, "store", "a fresh id was taken");
        if self.insert(key, value, sweep_at).await? { Ok(()) } else { Err(taken()) }
    }

    /// Puts `value` where nothing is; false where something is.
    async fn insert(&self, key: Key, value: &(impl Serialize + Sync), sweep_at: Timestamp) -> Result<bool, Rejection> {
        self.backend.insert(&key, Record { bytes: write(value), sweep_at }).await.map_err(unavailable)
    }

    async fn get<T: DeserializeOwned>(&self, key: Key) -> Result<Option<(T, Vec<u8>)>, Rejection> {
        let Some(bytes) = self.backend.load(&key).await.map_err(unavailable)? else { return Ok(None) };
        Ok(Some((read(&bytes)?, bytes)))
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
impl Replay for Store {
    async fn first_use(&self, id: &Spent<'_>, until: Timestamp) -> Result<bool, Rejection> {
        let kind = match id.kind {
            Kind::ClientAssertion => "client_assertion",
            Kind::RequestObject => "request_object",
            Kind::LoginHintToken => "login_hint_token",
        };
        let key = Key { family: Family::Spent, digest: Digest::of_parts(&[kind, id.client_id, id.jti]) };
        self.backend
            .insert(&key, Record { bytes: Vec::new(), sweep_at: until.plus(SPENT_LONGER) })
            .await
            .map_err(unavailable)
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Rejection> {
    serde_json::from_slice(bytes)
        .map_err(|_| Rejection::new(Reason::TemporarilyUnavailable, "store", "a record cannot be read"))
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
