//! The outbox: notifications that are owed. What is owed is noted with the decision and crossed out when the client has answered; what a server left
//! behind, another takes over.
//!
//! A parcel is a [`Notice`] under lock and key: the store has neither the `auth_req_id` nor the token in it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::outbound::Failed;
use crate::outbound::ping::{Notice, Outbox, Parcel};
use crate::profile::client::Delivery;
use crate::profile::gate::Clients;
use crate::secret::Secret;
use crate::store::Store;
use crate::store::backend::Step;
use crate::store::trip::Trip;

/// How long, in seconds, a server that took a parcel has it to itself: longer than one call takes.
pub(super) const LEASE: u32 = 30;

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
    pub(super) fn pack(&self, (client_id, until): (&str, Timestamp), token: Secret, auth_req_id: &Secret) -> Notice {
        let inside = Inside {
            client_id: client_id.to_owned(),
            token: token.reveal().to_owned(),
            auth_req_id: auth_req_id.reveal().to_owned(),
            until,
        };
        let text = Secret::new(serde_json::to_string(&inside).expect("strings and a number"));
        let parcel = Parcel(self.vault.lock(text.reveal()));
        Notice { client_id: inside.client_id, token, auth_req_id: auth_req_id.clone(), until, parcel }
    }

    fn unpack(&self, parcel: Parcel) -> Option<Notice> {
        let inside: Inside = serde_json::from_str(self.vault.unlock(&parcel.0)?.reveal()).ok()?;
        let (token, auth_req_id) = (Secret::new(inside.token), Secret::new(inside.auth_req_id));
        Some(Notice { client_id: inside.client_id, token, auth_req_id, until: inside.until, parcel })
    }

    async fn one(&self, step: Step) -> Result<Vec<Parcel>, Failed> {
        let mut trip = Trip::plain();
        let taken = trip.outbox(step);
        let mut back = self.go(trip).await.map_err(|refusal| Failed(refusal.cause))?;
        Ok(back.parcels(taken))
    }
}

#[async_trait]
impl Outbox for Store {
    async fn endpoint(&self, client_id: &str) -> Result<Option<String>, Failed> {
        let client = self.client(client_id).await.map_err(|refusal| Failed(refusal.cause))?;
        let delivery = client.as_ref().and_then(|client| client.ciba()).map(|ciba| &ciba.delivery);
        Ok(match delivery {
            Some(Delivery::Ping(endpoint)) => Some(endpoint.clone()),
            Some(Delivery::Poll) | None => None,
        })
    }

    async fn hold(&self, parcel: &Parcel, until: Timestamp) -> Result<(), Failed> {
        self.one(Step::Hold(parcel.0.clone(), until.plus(LEASE))).await.map(drop)
    }

    async fn cross_out(&self, parcel: &Parcel) -> Result<(), Failed> {
        self.one(Step::CrossOut(parcel.0.clone())).await.map(drop)
    }

    async fn take_over(&self, now: Timestamp) -> Result<Vec<Notice>, Failed> {
        let mut notices = Vec::new();
        for parcel in self.one(Step::TakeOver { now, until: now.plus(LEASE), most: MOST }).await? {
            if let Some(notice) = self.unpack(parcel.clone()) {
                notices.push(notice);
            } else {
                tracing::warn!("a notification was packed under another store.sealing_key, and is not sent");
                self.cross_out(&parcel).await?;
            }
        }
        Ok(notices)
    }
}
