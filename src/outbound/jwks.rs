//! [`Jwks`]: the keys that clients publish at their `jwks_uri` (RFC 7517 §5), fetched through the guarded client and kept.
//!
//! One fetch at a time for each URL, one a minute at most; the last good set stands in while a URL fails, for a day.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::{Stopwatch, Timestamp};
use crate::jose::jwk::KeySet;
use crate::outbound::{Failed, Outbound};
use crate::telemetry::metrics::{Call, Metrics};

/// How long a set is good without asking again, in seconds.
const FRESH: i64 = 600;
/// How long it stands in while the URL fails.
const LAST_GOOD: i64 = 24 * 3600;
/// The least time between two fetches of one URL, whatever comes meanwhile.
const BETWEEN: i64 = 60;
/// How many URLs are kept.
const MOST: usize = 10_000;

/// The key sets that were fetched.
pub struct Jwks {
    outbound: Outbound,
    metrics: Arc<Metrics>,
    places: Mutex<HashMap<String, Arc<Place>>>,
}

/// One URL.
#[derive(Default)]
struct Place {
    known: Mutex<Known>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    /// The last set that was good, and when it came.
    set: Option<(Arc<KeySet>, Timestamp)>,
    tried: Option<Timestamp>,
}

impl Known {
    fn young(&self, age: i64, now: Timestamp) -> Option<&Arc<KeySet>> {
        self.set.as_ref().filter(|(_, since)| now.since(*since) < age).map(|(set, _)| set)
    }

    /// What answers `wants` without a fetch: a fresh set that has what is wanted, or whatever there is while it is too soon to ask again.
    fn answers(&self, wants: &impl Fn(&KeySet) -> bool, now: Timestamp) -> Option<Result<Arc<KeySet>, Failed>> {
        let fresh = self.young(FRESH, now).filter(|set| wants(set));
        let too_soon = self.tried.is_some_and(|tried| now.since(tried) < BETWEEN);
        match fresh {
            Some(set) => Some(Ok(set.clone())),
            None if too_soon => Some(self.young(LAST_GOOD, now).cloned().ok_or(NONE)),
            None => None,
        }
    }
}

const NONE: Failed = Failed("the jwks_uri gave no key set, now or lately");

impl Jwks {
    /// Fetches through `outbound`.
    pub fn new(outbound: Outbound, metrics: Arc<Metrics>) -> Self {
        Self { outbound, metrics, places: Mutex::default() }
    }

    /// The keys at `uri`. Asks again when what it has is old, or has not what is wanted.
    ///
    /// # Errors
    /// [`Failed`]: there is no set, and none to stand in.
    pub async fn keys(
        &self,
        uri: &str,
        wants: impl Fn(&KeySet) -> bool,
        now: Timestamp,
    ) -> Result<Arc<KeySet>, Failed> {
        let place = self.place(uri);
        if let Some(answer) = lock(&place.known).answers(&wants, now) {
            return answer;
        }
        let _only_one = place.fetching.lock().await;
        // Somebody else may have fetched while this one waited.
        if let Some(answer) = lock(&place.known).answers(&wants, now) {
            return answer;
        }
        let begun = Stopwatch::start();
        let fetched = self.fetch(uri).await;
        self.metrics.called(Call::Jwks, begun.elapsed(), fetched.is_ok());
        let mut known = lock(&place.known);
        // Only now: whoever comes meanwhile waits for the answer, and is not told that it is too soon to ask.
        known.tried = Some(now);
        match fetched {
            Ok(set) => known.set = Some((set, now)),
            Err(Failed(cause)) => tracing::warn!(cause, "a jwks_uri gave no key set"),
        }
        known.young(LAST_GOOD, now).cloned().ok_or(NONE)
    }

    async fn fetch(&self, uri: &str) -> Result<Arc<KeySet>, Failed> {
        let answer = self.outbound.fetch(uri).await?;
        if answer.status != 200 {
            return Err(Failed("another status than 200"));
        }
        KeySet::parse(&answer.body).map(Arc::new).map_err(|why| Failed(why.0))
    }

    /// Where `uri` is kept. When there is no room, something that is kept is fetched again when it is wanted.
    fn place(&self, uri: &str) -> Arc<Place> {
        let mut places = lock(&self.places);
        if !places.contains_key(uri) && places.len() >= MOST {
            let any = places.keys().next().cloned();
            any.and_then(|any| places.remove(&any));
        }
        places.entry(uri.to_owned()).or_default().clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
