//! The outbox: notifications that are owed. What is owed is noted with the decision and crossed out when the client has answered; what a server left
//! behind, another takes over.
//!
//! A parcel is a [`Notice`] under lock and key, after a version and a time: the store has neither the `auth_req_id` nor the token in it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Rejection;
use crate::outbound::Failed;
use crate::outbound::ping::{Notice, Outbox, Parcel};
use crate::profile::client::Delivery;
use crate::profile::gate::Clients;
use crate::secret::Secret;
use crate::store::trip::Trip;
use crate::store::{Store, VERSION};

/// How long, in seconds, a server that took a parcel has it to itself: longer than one call takes.
pub(super) const LEASE: u32 = 30;

/// After how many seconds a parcel that a server cannot open is there to be taken again.
const SOON: u32 = 5;

/// How many parcels are taken over at once.
const MOST: u32 = 100;

/// What is in a parcel.
#[derive(Serialize, Deserialize)]
struct Inside {
    client_id: String,
    token: String,
    auth_req_id: String,
    until: Timestamp,
}

impl Store {
    /// The notice that the client is owed, packed.
    pub(super) fn pack(&self, (client_id, until): (String, Timestamp), token: Secret, auth_req_id: &Secret) -> Notice {
        let inside =
            Inside { client_id, token: token.reveal().to_owned(), auth_req_id: auth_req_id.reveal().to_owned(), until };
        let text = Secret::new(serde_json::to_string(&inside).expect("strings and a number"));
        let parcel = Parcel([&[VERSION][..], &until.seconds().to_be_bytes(), &self.vault.lock(text.reveal())].concat());
        Notice { client_id: inside.client_id, token, auth_req_id: auth_req_id.clone(), until, parcel }
    }

    fn unpack(&self, parcel: Parcel) -> Option<Notice> {
        let (version, locked) = parcel.0.split_first()?;
        let inside = self.vault.unlock(locked.get(8..)?).filter(|_| *version == VERSION)?;
        let inside: Inside = serde_json::from_str(inside.reveal()).ok()?;
        let (token, auth_req_id) = (Secret::new(inside.token), Secret::new(inside.auth_req_id));
        Some(Notice { client_id: inside.client_id, token, auth_req_id, until: inside.until, parcel })
    }
}

/// Until when anybody wants to know what is in a parcel. That is to be seen from without, whatever else is changed.
fn until(parcel: &Parcel) -> Option<Timestamp> {
    let bytes = parcel.0.get(1..9)?.try_into().ok()?;
    Some(Timestamp::from_seconds(i64::from_be_bytes(bytes)))
}

fn failed(refusal: &Rejection) -> Failed {
    Failed(refusal.cause)
}

#[async_trait]
impl Outbox for Store {
    async fn endpoint(&self, client_id: &str) -> Result<Option<String>, Failed> {
        let client = self.client(client_id).await.map_err(|refusal| failed(&refusal))?;
        let delivery = client.as_ref().and_then(|client| client.ciba()).map(|ciba| &ciba.delivery);
        Ok(match delivery {
            Some(Delivery::Ping(endpoint)) => Some(endpoint.clone()),
            Some(Delivery::Poll) | None => None,
        })
    }

    async fn hold(&self, parcel: &Parcel, until: Timestamp) -> Result<(), Failed> {
        let mut trip = Trip::plain();
        trip.hold(parcel, until.plus(LEASE));
        self.go(trip).await.map(drop).map_err(|refusal| failed(&refusal))
    }

    async fn cross_out(&self, parcel: &Parcel) -> Result<(), Failed> {
        let mut trip = Trip::plain();
        trip.cross_out(parcel);
        self.go(trip).await.map(drop).map_err(|refusal| failed(&refusal))
    }

    async fn take_over(&self, now: Timestamp) -> Result<Vec<Notice>, Failed> {
        let mut trip = Trip::plain();
        let taken = trip.take_over(now, now.plus(LEASE), MOST);
        let mut notices = Vec::new();
        for parcel in self.go(trip).await.map_err(|refusal| failed(&refusal))?.parcels(taken) {
            if until(&parcel).is_none_or(|until| until <= now) {
                self.cross_out(&parcel).await?;
            } else if let Some(notice) = self.unpack(parcel.clone()) {
                notices.push(notice);
            } else {
                // Whoever has the key, or knows the version, may come yet, and is not kept waiting.
                let mut trip = Trip::plain();
                trip.hold(&parcel, now.plus(SOON));
                self.tidy(trip).await;
                tracing::warn!(
                    "a notification is under another store.sealing_key, or by another version, and left to another server"
                );
            }
        }
        Ok(notices)
    }
}
