//! Who is registered: the clients of the configuration, and those that registered themselves.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::profile::client::Client;
use crate::profile::enrolled::Enrolled;
use crate::profile::enrolment;
use crate::profile::gate::Clients;
use crate::secret::{Digest, Secret};
use crate::store::backend::{Family, Key, NEVER};
use crate::store::trip::{Back, Slot, Trip};
use crate::store::{Store, TRIES, contended, read, taken, write};

/// How many registered clients are kept as they were last read, so that their keys are not parsed at each request.
const MOST: usize = 10_000;

/// Clients as they were last read, beside the bytes they were read from: other bytes, and they are read again.
pub(super) type Cache = HashMap<Digest, (Vec<u8>, Option<Arc<Client>>)>;

impl Store {
    /// Keeps a client that registered itself.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn enrol(&self, enrolled: &Enrolled) -> Result<(), Rejection> {
        let put = self.replace_with(key(&enrolled.client_id), None, &Some(enrolled), NEVER).await?;
        if put { Ok(()) } else { Err(taken()) }
    }

    /// Puts `enrolled` in place of what was registered under its id before (RFC 7592 §2.2).
    ///
    /// # Errors
    /// [`Reason::InvalidToken`]: it was deleted meanwhile. [`Reason::TemporarilyUnavailable`].
    pub async fn replace(&self, enrolled: &Enrolled) -> Result<(), Rejection> {
        self.settle_client(&enrolled.client_id, (Some(enrolled), NEVER)).await
    }

    /// Forgets a client that registered itself (RFC 7592 §2.3). Nothing it was given is live from now on: it all hangs on the client.
    ///
    /// # Errors
    /// As for [`replace`](Self::replace).
    pub async fn unregister(&self, client_id: &str, now: Timestamp) -> Result<(), Rejection> {
        self.settle_client(client_id, (None, now)).await
    }

    /// The registration of a client, in service or not.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn registration(&self, client_id: &str) -> Result<Option<Enrolled>, Rejection> {
        Ok(self.get(key(client_id)).await?.and_then(|(enrolled, _)| enrolled))
    }

    /// Takes a client that is registered as in `before` out of service or back, or (`None`) forgets it, for an operator. Whether it was registered so, still.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn administer(
        &self,
        before: &Enrolled,
        disabled: Option<bool>,
        now: Timestamp,
    ) -> Result<bool, Rejection> {
        let changed = disabled.map(|disabled| Enrolled { disabled, ..before.clone() });
        let sweep_at = if changed.is_some() { NEVER } else { now };
        self.replace_with(key(&before.client_id), Some(write(&Some(before))), &changed, sweep_at).await
    }

    async fn settle_client(
        &self,
        client_id: &str,
        (record, sweep_at): (Option<&Enrolled>, Timestamp),
    ) -> Result<(), Rejection> {
        let gone = || Rejection::new(Reason::InvalidToken, "DCR-7592-3", "the client was deleted");
        for _ in 0..TRIES {
            let found: Option<(Option<Enrolled>, _)> = self.get(key(client_id)).await?;
            let (_, seen) = found.filter(|(enrolled, _)| enrolled.as_ref().is_some_and(in_service)).ok_or_else(gone)?;
            if self.replace_with(key(client_id), Some(seen), &record, sweep_at).await? {
                return Ok(());
            }
        }
        Err(contended())
    }
}

/// A client that is known, or where the answer about one will be.
pub(super) enum Looked {
    Known(Arc<Client>),
    Unknown,
    Registered(String, Slot<Option<Enrolled>>),
}

impl Store {
    /// Looks for a client on `trip`, unless the configuration has it, or its id cannot be one that was drawn here.
    pub(super) fn load_client(&self, trip: &mut Trip, client_id: &str) -> Looked {
        match self.clients.value().get(client_id) {
            Some(client) => Looked::Known(client.clone()),
            None if !Secret::new(client_id.to_owned()).could_be_drawn() => Looked::Unknown,
            None => Looked::Registered(client_id.to_owned(), trip.load(key(client_id))),
        }
    }

    /// A registered client, as it was last read.
    pub(super) fn cached(&self, client_id: &str) -> Option<Arc<Client>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(&key(client_id).digest).and_then(|(_, client)| client.clone())
    }

    /// The client that was looked for.
    pub(super) fn client_on(&self, back: &mut Back, looked: Looked) -> Result<Option<Arc<Client>>, Rejection> {
        let (client_id, slot) = match looked {
            Looked::Known(client) => return Ok(Some(client)),
            Looked::Unknown => return Ok(None),
            Looked::Registered(client_id, slot) => (client_id, slot),
        };
        let Some(seen) = back.bytes(slot) else { return Ok(None) };
        let digest = key(&client_id).digest;
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        if let Some((_, client)) = cached.filter(|(bytes, _)| *bytes == seen) {
            return Ok(client);
        }
        // A registration that the rules of today would refuse is none.
        let enrolled: Option<Enrolled> = read(&seen)?;
        let client = enrolled
            .filter(in_service)
            .and_then(|enrolled| enrolment::ciba(&client_id, &enrolled.members, &self.profile).ok());
        let client = client.map(Arc::new);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MOST {
            cache.clear();
        }
        cache.insert(digest, (seen, client.clone()));
        Ok(client)
    }
}

#[async_trait]
impl Clients for Store {
    async fn client(&self, client_id: &str) -> Result<Option<Arc<Client>>, Rejection> {
        let mut trip = Trip::plain();
        let looked = self.load_client(&mut trip, client_id);
        self.client_on(&mut self.go(trip).await?, looked)
    }

    async fn enrolled(&self, client_id: &str) -> Result<Option<Enrolled>, Rejection> {
        if !Secret::new(client_id.to_owned()).could_be_drawn() {
            return Ok(None);
        }
        Ok(self.registration(client_id).await?.filter(in_service))
    }
}

/// A client that the operator took out of service is as unknown as one that was deleted.
const fn in_service(enrolled: &Enrolled) -> bool {
    !enrolled.disabled
}

fn key(client_id: &str) -> Key {
    Key { family: Family::Client, digest: Digest::of_parts(&["client_id", client_id]) }
}
