//! One step at a time, and a crowd that takes it together.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign::clock::{Clock, Manual, Timestamp};
use countersign::secret::Digest;
use countersign::store::backend::{Backend, Family, Key, Outcome, Record, Step, Unavailable};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) const START: Timestamp = Timestamp::from_seconds(1_000_000);
pub(crate) const CROWD: u8 = 64;

/// How long to wait for anything. Only a test that fails waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a backend stands in: a clock, and other records that time passes for.
pub(crate) struct World {
    pub(crate) clock: Arc<Manual>,
    pub(crate) elsewhere: Option<Arc<dyn Elsewhere>>,
}

/// A place with a clock of its own.
#[async_trait]
pub(crate) trait Elsewhere: Send + Sync {
    /// Lets so many seconds pass there.
    async fn pass(&self, seconds: i64);
}

impl World {
    /// Lets so many seconds pass, everywhere.
    pub(crate) async fn pass(&self, seconds: i64) {
        self.clock.advance(seconds);
        if let Some(elsewhere) = &self.elsewhere {
            elsewhere.pass(seconds).await;
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().seconds()
    }
}

pub(crate) type Shared = Arc<dyn Backend>;

pub(crate) async fn one(backend: &Shared, step: Step) -> Result<Outcome, Unavailable> {
    let outcomes = timeout(PATIENCE, backend.run(vec![step])).await.expect("it has a deadline of its own")?;
    let [outcome] = &outcomes[..] else { panic!("{} outcomes of one step", outcomes.len()) };
    Ok(outcome.clone())
}

pub(crate) async fn insert(backend: &Shared, key: &Key, record: Record) -> Result<bool, Unavailable> {
    match one(backend, Step::Insert(*key, record)).await? {
        Outcome::Done(done) => Ok(done),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn load(backend: &Shared, key: &Key) -> Result<Option<Vec<u8>>, Unavailable> {
    match one(backend, Step::Load(*key)).await? {
        Outcome::Found(found) => Ok(found),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn swap(backend: &Shared, key: &Key, seen: &[u8], record: Record) -> Result<bool, Unavailable> {
    match one(backend, Step::Swap(*key, seen.to_vec(), record)).await? {
        Outcome::Done(done) => Ok(done),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn exchange(backend: &Shared, key: &Key, bytes: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
    match one(backend, Step::Exchange(*key, bytes.to_vec())).await? {
        Outcome::Found(found) => Ok(found),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn key(n: u8) -> Key {
    Key { family: Family::Spent, digest: Digest::of(&[n]) }
}

pub(crate) fn record(bytes: &[u8]) -> Record {
    until(bytes, 1_000_000)
}

/// A record that may go this many seconds after the start.
pub(crate) fn until(bytes: &[u8], seconds: i64) -> Record {
    Record { bytes: bytes.to_vec(), sweep_at: Timestamp::from_seconds(START.seconds() + seconds) }
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what a backend says")]
pub(crate) fn found(bytes: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
    Ok(Some(bytes.to_vec()))
}

/// Has a crowd do `act` at the same moment; returns who was told true.
pub(crate) async fn together<F, Told>(backend: &Shared, act: F) -> Vec<u8>
where
    F: Fn(Shared, u8) -> Told + Copy + Send + 'static,
    Told: Future<Output = Result<bool, Unavailable>> + Send,
{
    let start = Arc::new(Barrier::new(usize::from(CROWD)));
    let mut crowd = JoinSet::new();
    for n in 0..CROWD {
        let (backend, start) = (backend.clone(), start.clone());
        crowd.spawn(async move {
            start.wait().await;
            (n, act(backend, n).await.expect("it is available"))
        });
    }
    let told = crowd.join_all().await;
    assert_eq!(told.len(), usize::from(CROWD));
    told.into_iter().filter_map(|(n, told)| told.then_some(n)).collect()
}
