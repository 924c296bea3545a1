//! [`Redis`]: the backend that many servers share. Standalone, Sentinel or Cluster; each step is one command, or one script, of one key.
//!
//! A key is `prefix:family:digest`. Every key has a TTL, except those of records without an end, and the TTL only sweeps: whether something has expired,
//! the record says. Nothing is tried again here whose outcome is unknown.

mod command;
mod everything;
mod link;
pub mod place;
mod report;
mod watch;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::store::backend::{Backend, Family, Key, Outcome, Step, Trouble, Unavailable};
use crate::store::redis::command::{command, outcome};
use crate::store::redis::link::{Failed, Link};
use crate::store::redis::place::{DEADLINE, Place};
use crate::store::redis::watch::Watch;

/// Trips under way at once: as many as Redis answers within the deadline on a bad day, and few enough that a Redis that hangs costs no memory.
const MOST: usize = 1_024;

/// Records in Redis.
pub struct Redis {
    prefix: String,
    clock: Arc<dyn Clock>,
    room: Semaphore,
    link: Arc<Link>,
    watch: Watch,
}

impl Redis {
    /// Connects to `place` and looks whether it is fit to keep what must not be forgotten; then keeps the connection up and keeps looking, for as long
    /// as this lives. Where `strict`, it refuses to work while Redis is unfit. To be called within a tokio runtime.
    pub async fn at(place: Place, clock: Arc<dyn Clock>, strict: bool) -> Self {
        let link = Arc::new(Link::new());
        let prefix = place.prefix.clone();
        let watch = Watch::over((place, link.clone()), clock.clone(), strict).await;
        Self { prefix, clock, room: Semaphore::new(MOST), link, watch }
    }
}

impl Redis {
    async fn trip(&self, steps: Vec<Step>) -> Result<Vec<Outcome>, Failed> {
        let now = self.clock.now();
        let commands = steps.iter().map(|step| command(&self.prefix, step, now)).collect();
        let values = timeout(DEADLINE, self.link.send(commands)).await.unwrap_or(Err(Failed::Late))?;
        let outcomes: Option<Vec<Outcome>> =
            steps.iter().zip(values).map(|(step, value)| outcome(step, value)).collect();
        outcomes.filter(|outcomes| outcomes.len() == steps.len()).ok_or(Failed::Odd)
    }
}

#[async_trait]
impl Backend for Redis {
    async fn run(&self, steps: Vec<Step>) -> Result<Vec<Outcome>, Unavailable> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        if self.watch.refuses() {
            return Err(Unavailable("Redis is not fit to be relied on"));
        }
        let _place = self.room.try_acquire().map_err(|_| Unavailable("too many trips to Redis are under way"))?;
        self.trip(steps).await.map_err(Failed::unavailable)
    }

    async fn each(&self, family: Family, see: &mut (dyn FnMut(Key, Vec<u8>) + Send)) -> Result<(), Unavailable> {
        if self.watch.refuses() {
            return Err(Unavailable("Redis is not fit to be relied on"));
        }
        self.everything(family, see).await.map_err(Failed::unlisted)
    }

    fn trouble(&self) -> Option<Trouble> {
        self.watch.trouble()
    }
}
