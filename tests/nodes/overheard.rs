//! [`Overheard`]: what a server traces on the thread of the test: its trips to the store.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// What was heard so far.
#[derive(Clone, Default)]
pub(crate) struct Overheard(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    trips: Vec<u64>,
}

impl Overheard {
    /// Listens on this thread, from now on, for as long as the guard is kept. Whatever serves on this thread is heard.
    pub(crate) fn listen() -> (Self, DefaultGuard) {
        // As in the log of the black box: while there is but one dispatcher, a test beside this one would answer for us.
        static BESIDE: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));
        LazyLock::force(&BESIDE);
        let heard = Self::default();
        let layer = heard.clone().with_filter(LevelFilter::INFO);
        let listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        tracing::callsite::rebuild_interest_cache();
        (heard, listening)
    }

    /// The steps of each trip since the last time this was asked.
    pub(crate) fn trips(&self) -> Vec<u64> {
        std::mem::take(&mut self.notes().trips)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Overheard {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if span.metadata().name() == "store" {
            let mut steps = Steps(None);
            span.record(&mut steps);
            self.notes().trips.push(steps.0.expect("a trip says how many steps it has"));
        }
    }
}

struct Steps(Option<u64>);

impl Visit for Steps {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "countersign.steps" {
            self.0 = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
