//! [`Ground`]: what several servers stand on, one memory and one clock, as when one is restarted with another configuration.

use std::sync::Arc;

use countersign::clock::{Clock, Manual, System};
use countersign::http::serve::Limits;
use countersign::secret::Seeded;
use countersign::store::memory::Memory;

use crate::bank::Bank;
use crate::wired::switched_on;

/// A memory, its clock, and chance that never repeats itself from one server to the next.
pub(crate) struct Ground {
    clock: Arc<Manual>,
    memory: Arc<Memory>,
    chance: Arc<Seeded>,
}

impl Ground {
    /// With nothing in it.
    pub(crate) fn new() -> Self {
        let clock = Arc::new(Manual::at(System.now()));
        Self { memory: Arc::new(Memory::new(10_000, clock.clone())), clock, chance: Arc::default() }
    }

    /// A server with everything on, after `edit` had its way with the configuration.
    pub(crate) async fn bank(&self, edit: impl FnOnce(&str) -> String) -> Bank {
        let edit = |shipped: &str| edit(&switched_on(shipped, "https://localhost:1/ping"));
        Bank::at(self.clock.clone(), (Limits::default(), edit), |config, clock| {
            let clock: Arc<dyn Clock> = clock;
            config.server_on(self.memory.clone(), (clock, self.chance.clone()))
        })
        .await
    }
}
