//! Ping: tells a client that there is an answer (CIBA §10.2). A hint and no more: who loses one, polls.
//!
//! What is owed lies in the [`Outbox`] until the client has answered, so that another server goes on where one ends. Every notification is a task of its own. A client whose endpoint hangs holds its own few places and nobody else's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tokio::time::sleep;
use tracing::Instrument as _;

use crate::clock::{Clock, Stopwatch, Timestamp};
use crate::outbound::{Failed, Outbound};
use crate::secret::Secret;
use crate::telemetry::metrics::{Call, Metrics, Notification};

/// Notifications at once, in all and to one client. Taste: more than any busy minute, less than memory notices.
const MOST: usize = 10_000;
const MOST_FOR_ONE: usize = 100;

/// How long to wait after the first failure, and at most, in seconds.
const FIRST_WAIT: u32 = 1;
const LONGEST_WAIT: u32 = 60;

/// How long between two looks at what others left behind.
const LOOK: Duration = Duration::from_secs(1);

/// Somebody to be told.
pub struct Notice {
    /// Whose.
    pub client_id: String,
    /// `client_notification_token`.
    pub token: Secret,
    /// What there is an answer to.
    pub auth_req_id: Secret,
    /// When nobody wants to know any more.
    pub until: Timestamp,
    /// The same in the outbox.
    pub parcel: Parcel,
}

/// What lies in the outbox until the client has answered: a notice that nobody there can read.
#[derive(Clone, Debug)]
pub struct Parcel(pub Vec<u8>);

/// CIBA §10.2: the one member there is.
#[derive(Serialize)]
struct Body<'a> {
    auth_req_id: &'a str,
}

/// Where clients want to be told, and what they are still owed. The store knows.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// The `backchannel_client_notification_endpoint` of the client, as it is now; `None` if it is not to be told any more.
    ///
    /// # Errors
    /// Nobody can say just now.
    async fn endpoint(&self, client_id: &str) -> Result<Option<String>, Failed>;

    /// Keeps others from taking `parcel` over until `until`, and as long after that as one call takes.
    ///
    /// # Errors
    /// The store could not say; another server may take it over meanwhile.
    async fn hold(&self, parcel: &Parcel, until: Timestamp) -> Result<(), Failed>;

    /// Nothing is owed any more.
    ///
    /// # Errors
    /// The store could not say; another server will take it over.
    async fn cross_out(&self, parcel: &Parcel) -> Result<(), Failed>;

    /// What other servers left behind.
    ///
    /// # Errors
    /// The store could not say.
    async fn take_over(&self, now: Timestamp) -> Result<Vec<Notice>, Failed>;
}

/// The notifications on their way.
#[derive(Clone)]
pub struct Pings {
    outbound: Outbound,
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    places: Arc<Places>,
}

impl Pings {
    /// Sends through `outbound`.
    pub fn new(outbound: Outbound, outbox: Arc<dyn Outbox>, (clock, metrics): (Arc<dyn Clock>, Arc<Metrics>)) -> Self {
        Self { outbound, outbox, clock, metrics, places: Arc::default() }
    }

    /// Sends `notice` on its way and does not wait for it.
    pub fn send(&self, notice: Notice) {
        let Some(place) = Places::take(&self.places, &notice.client_id) else {
            self.metrics.notified(Notification::Left);
            return tracing::warn!(
                client = notice.client_id,
                "too many notifications are on their way; this one is left in the outbox"
            );
        };
        let pings = self.clone();
        let span = tracing::info_span!("ping", countersign.client.id = notice.client_id);
        let sent = async move {
            pings.deliver(&notice).await;
            if let Err(failed) = pings.outbox.cross_out(&notice.parcel).await {
                tracing::warn!(client = notice.client_id, %failed, "a notification stays in the outbox");
            }
            drop(place);
        };
        tokio::spawn(sent.instrument(span));
    }

    /// Sends what other servers left behind, once a second, for as long as it is polled.
    pub async fn take_over(&self) {
        loop {
            sleep(LOOK).await;
            match self.outbox.take_over(self.clock.now()).await {
                Ok(notices) => notices.into_iter().for_each(|notice| self.send(notice)),
                Err(failed) => tracing::debug!(%failed, "the outbox cannot be read"),
            }
        }
    }

    async fn tell(&self, endpoint: &str, notice: &Notice, body: &Body<'_>) -> Result<u16, Failed> {
        let begun = Stopwatch::start();
        let told = self.outbound.notify((endpoint, &notice.token), body).await;
        self.metrics.called(Call::Ping, begun.elapsed(), told.as_ref().is_ok_and(|status| *status < 500));
        told
    }

    /// Any answer but a 5xx is an answer. After a 5xx, or none, it tries again, less and less often, for as long as the request lives.
    async fn deliver(&self, notice: &Notice) {
        let body = Body { auth_req_id: notice.auth_req_id.reveal() };
        let mut wait = FIRST_WAIT;
        loop {
            let told = match self.outbox.endpoint(&notice.client_id).await {
                Ok(Some(endpoint)) => self.tell(&endpoint, notice, &body).await,
                Ok(None) => {
                    self.metrics.notified(Notification::Unwanted);
                    return tracing::info!(client = notice.client_id, "the client is not to be notified any more");
                }
                Err(failed) => Err(failed),
            };
            match told {
                Ok(status) if status < 500 => {
                    self.metrics.notified(Notification::Sent);
                    return tracing::info!(client = notice.client_id, status, "notified");
                }
                Ok(status) => tracing::warn!(client = notice.client_id, status, "a notification failed"),
                Err(failed) => tracing::warn!(client = notice.client_id, %failed, "a notification failed"),
            }
            if self.clock.now().plus(wait) >= notice.until {
                self.metrics.notified(Notification::GivenUp);
                return tracing::warn!(client = notice.client_id, "a notification was given up: the request expires");
            }
            if let Err(failed) = self.outbox.hold(&notice.parcel, self.clock.now().plus(wait)).await {
                tracing::debug!(client = notice.client_id, %failed, "a notification is not held");
            }
            sleep(Duration::from_secs(wait.into())).await;
            self.metrics.notified(Notification::Retried);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

/// How many notifications are on their way to each client.
#[derive(Default)]
struct Places(Mutex<HashMap<String, usize>>);

impl Places {
    fn take(places: &Arc<Self>, client_id: &str) -> Option<Place> {
        let mut taken = places.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let these = taken.get(client_id).copied().unwrap_or(0);
        if all >= MOST || these >= MOST_FOR_ONE {
            return None;
        }
        taken.insert(client_id.to_owned(), these + 1);
        Some(Place { places: places.clone(), client_id: client_id.to_owned() })
    }
}

/// One of them; given up when dropped.
struct Place {
    places: Arc<Places>,
    client_id: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(these) = taken.get_mut(&self.client_id) {
            *these -= 1;
            if *these == 0 {
                taken.remove(&self.client_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_has_so_many_places_and_gives_them_back() {
        let places = Arc::<Places>::default();
        let mut held: Vec<Place> = (0..MOST_FOR_ONE).filter_map(|_| Places::take(&places, "till-a")).collect();
        assert_eq!(held.len(), MOST_FOR_ONE);
        assert!(Places::take(&places, "till-a").is_none());
        assert!(Places::take(&places, "till-b").is_some(), "others have their own");
        held.pop();
        assert!(Places::take(&places, "till-a").is_some());
        drop(held);
        assert!(places.0.lock().expect("unpoisoned").is_empty());
    }

    #[test]
    fn all_together_have_so_many_places() {
        let places = Arc::<Places>::default();
        let clients = (0..=MOST / MOST_FOR_ONE).map(|at| format!("till-{at}"));
        let held: Vec<Place> = clients
            .flat_map(|client| (0..MOST_FOR_ONE).map(move |_| client.clone()))
            .filter_map(|client| Places::take(&places, &client))
            .collect();
        assert_eq!(held.len(), MOST);
    }
}
