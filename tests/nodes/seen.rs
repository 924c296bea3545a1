//! [`Seen`]: a backend that keeps count of what is asked of another one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use countersign::store::backend::{Backend, Family, Key, Outcome, Step, Unavailable};

use crate::node::until;

/// A backend that is watched.
pub(crate) struct Seen {
    backend: Arc<dyn Backend>,
    trips: Mutex<Vec<usize>>,
    looks: AtomicUsize,
}

impl Seen {
    /// Watches `backend`.
    pub(crate) fn on(backend: Arc<dyn Backend>) -> Arc<Self> {
        Arc::new(Self { backend, trips: Mutex::default(), looks: AtomicUsize::new(0) })
    }

    /// The steps of each trip since the last time this was asked; without those of the deliveries, which go their own way.
    pub(crate) fn trips(&self) -> Vec<usize> {
        std::mem::take(&mut *self.trips.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until whoever is behind this has looked twice for what others left behind.
    pub(crate) async fn looked_twice(&self) {
        let enough = self.looks.load(Ordering::SeqCst) + 2;
        until(async || self.looks.load(Ordering::SeqCst) >= enough).await;
    }
}

#[async_trait]
impl Backend for Seen {
    async fn run(&self, steps: Vec<Step>) -> Result<Vec<Outcome>, Unavailable> {
        let looks = steps.iter().any(|step| matches!(step, Step::TakeOver { .. }));
        let delivers =
            steps.iter().all(|step| matches!(step, Step::TakeOver { .. } | Step::Hold(..) | Step::CrossOut(_)));
        if !delivers {
            self.trips.lock().unwrap_or_else(PoisonError::into_inner).push(steps.len());
        }
        let outcomes = self.backend.run(steps).await;
        if looks {
            self.looks.fetch_add(1, Ordering::SeqCst);
        }
        outcomes
    }

    async fn each(&self, family: Family, see: &mut (dyn FnMut(Key, Vec<u8>) + Send)) -> Result<(), Unavailable> {
        self.backend.each(family, see).await
    }
}
