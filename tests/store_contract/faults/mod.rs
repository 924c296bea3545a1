//! What the backend does when Redis, or the line to it, is not as it should be. With the time of the machine, since Redis is held against it.

mod acl;
mod cluster;
mod keys;
mod line;
mod restart;
mod sentinel;
mod tls;
mod troubles;

use std::sync::Arc;
use std::time::Duration;

use countersign::clock::{Clock, System};
use countersign::store::backend::{Record, Trouble, Unavailable};
use countersign::store::redis::Redis;
use countersign::store::redis::place::{Place, Topology};
use tokio::time::{sleep, timeout};

use crate::on_redis_servers::place;
use crate::server::admin;
use crate::steps::{PATIENCE, Shared};

/// The backend over `place`, which works with an unfit Redis too.
pub(crate) async fn at(place: Place) -> Shared {
    Arc::new(Redis::at(place, Arc::new(System), false).await)
}

/// The backend over the one Redis on `port`.
pub(crate) async fn on(port: u16) -> Shared {
    at(place(Topology::Standalone, &[port])).await
}

/// A record for the next hour.
pub(crate) fn kept(bytes: &[u8]) -> Record {
    Record { bytes: bytes.to_vec(), sweep_at: System.now().plus(3_600) }
}

/// Looks again and again until `look` sees something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let seen = timeout(PATIENCE, async {
        loop {
            match look().await {
                Some(seen) => break seen,
                None => sleep(Duration::from_millis(10)).await,
            }
        }
    });
    seen.await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// What is told, once anything is.
pub(crate) async fn answered<T>(mut ask: impl AsyncFnMut() -> Result<T, Unavailable>) -> T {
    eventually("an answer", async || ask().await.ok()).await
}

/// Waits until what the Redis on `port` has taken has reached its replica. What has not is lost when it dies.
pub(crate) async fn replicated(port: u16) {
    eventually("the replica has it", async || {
        let replicas: i64 =
            redis::cmd("WAIT").arg(1).arg(100).query_async(&mut admin(port).await).await.expect("it runs");
        (replicas == 1).then_some(())
    })
    .await;
}

/// Waits until nothing is wrong with `backend`. No step is asked of it.
pub(crate) async fn well(backend: &Shared) {
    timeout(PATIENCE, async {
        while backend.trouble().is_some() {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("it is never well again: {:?}", backend.trouble()));
}

/// Waits until what is wrong with `backend` is as `expected`, of which the words are returned. No step is asked of it.
pub(crate) async fn trouble(backend: &Shared, expected: fn(&Trouble) -> bool) -> String {
    let found = eventually("its trouble", async || backend.trouble().filter(expected)).await;
    found.to_string()
}

/// Whether it will pass.
pub(crate) fn passing(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Passing(_))
}

/// Whether Redis may not be relied on.
pub(crate) fn unfit(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Unfit(_))
}

/// What `told` says, which is that nothing is known.
pub(crate) fn unavailable<T>(told: Result<T, Unavailable>) -> &'static str {
    told.map(|_| ()).expect_err("it knows nothing").0
}
