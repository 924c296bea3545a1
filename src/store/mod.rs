//! [`Store`]: the only memory. Named atomic operations, written once over a [`Backend`] that holds bytes and swaps them.
//!
//! Ids and tokens are kept as digests. Expiry is judged on the record by the time that is passed in; a backend sweeps later than that.

pub mod administration;
pub mod backend;
mod clients;
pub mod measured;
pub mod memory;
mod outbox;
pub mod redis;
pub mod requests;
mod standing;
pub mod tokens;
mod trip;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::current::Current;
use crate::error::{Reason, Rejection};
use crate::profile::Profile;
use crate::profile::client::Client;
use crate::profile::once::{Replay, Spent};
use crate::secret::{Entropy, Secret, Vault};
use crate::store::backend::{Backend, Key, Trouble, Unavailable};
use crate::store::clients::Cache;
use crate::store::trip::{Seen, Trip};

/// How long an id is remembered after it expired, in seconds, to say `expired_token` and `access_denied` (CIBA §11). Taste: long enough for any client
/// that is still polling, short enough that a store in memory stays small.
const REMEMBERED: u32 = 600;

/// How long to wait before each try to spend or decide a grant, while the outcome of the one before is unknown.
const TRIED_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(400)];

/// How often an operation starts over when others swap the same record under it.
const TRIES: usize = 16;

/// The memory of this server.
pub struct Store {
    backend: Arc<dyn Backend>,
    clients: Current<HashMap<String, Arc<Client>>>,
    cache: Mutex<Cache>,
    profile: Arc<Profile>,
    entropy: Arc<dyn Entropy>,
    vault: Vault,
}

impl Store {
    /// A store for the `clients` of the configuration, under `profile`. What is handed on to other servers is locked in `vault`; without one, in one of
    /// which nobody else has the key.
    pub fn new(
        (backend, vault): (Arc<dyn Backend>, Option<Vault>),
        clients: Vec<Client>,
        (profile, entropy): (Arc<Profile>, Arc<dyn Entropy>),
    ) -> Self {
        let vault = vault.unwrap_or_else(|| Vault::under(Secret::draw(&*entropy)));
        let clients = Current::new(by_id(clients));
        Self { backend, clients, cache: Mutex::default(), profile, entropy, vault }
    }

    /// The `clients` of the configuration are these from now on.
    pub fn replace_clients(&self, clients: Vec<Client>) {
        self.clients.follow(&Current::new(by_id(clients)));
    }

    /// What is wrong with the memory at the moment, if anything is.
    pub fn trouble(&self) -> Option<Trouble> {
        self.backend.trouble()
    }

    /// A client as it was last looked at, without looking again; for what is told of a request that is over.
    pub fn at_hand(&self, client_id: &str) -> Option<Arc<Client>> {
        self.clients.value().get(client_id).cloned().or_else(|| self.cached(client_id))
    }

    /// A trip for one look.
    async fn get<T: DeserializeOwned>(&self, key: Key) -> Result<Option<Seen<T>>, Rejection> {
        let mut trip = Trip::plain();
        let found = trip.load(key);
        self.go(trip).await?.found(found)
    }
}

fn by_id(clients: Vec<Client>) -> HashMap<String, Arc<Client>> {
    clients.into_iter().map(|client| (client.client_id.clone(), Arc::new(client))).collect()
}

#[async_trait]
impl Replay for Store {
    async fn spend(&self, ids: Vec<Spent>) -> Result<(), Rejection> {
        self.go(Trip::spending(ids)).await.map(drop)
    }
}

/// The version of the records that this version of the server reads and writes: their first byte. A member may be added within a version, if those
/// who do not know it can do without it; anything else takes a new one, which a release reads before the next one writes it.
const VERSION: u8 = b'1';

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Rejection> {
    let unreadable = |cause| Rejection::new(Reason::TemporarilyUnavailable, "store", cause);
    match bytes.split_first() {
        Some((&VERSION, text)) => serde_json::from_slice(text).map_err(|_| unreadable("a record cannot be read")),
        Some(_) | None => Err(unreadable("a record was written by another version of this server")),
    }
}

/// Room for a record while it is written, in bytes: nearly all fit, and none keeps more than it needs.
const ROOM: usize = 512;

fn write(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ROOM);
    bytes.push(VERSION);
    serde_json::to_writer(&mut bytes, value).expect("records are plain structs with string keys");
    bytes.shrink_to_fit();
    bytes
}

const fn unavailable(Unavailable(cause): Unavailable) -> Rejection {
    Rejection::new(Reason::TemporarilyUnavailable, "store", cause)
}

const fn taken() -> Rejection {
    Rejection::new(Reason::TemporarilyUnavailable, "store", "a fresh id was taken")
}

const fn contended() -> Rejection {
    Rejection::new(Reason::TemporarilyUnavailable, "store", "the record kept changing")
}
