//! [`Measured`]: a backend, how long its trips take, and a span for each.

use std::sync::Arc;

use async_trait::async_trait;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::clock::Stopwatch;
use crate::store::backend::{Backend, Family, Key, Outcome, Step, Trouble, Unavailable};
use crate::telemetry::metrics::Metrics;

/// A [`Backend`] whose trips are timed.
pub struct Measured {
    backend: Arc<dyn Backend>,
    system: &'static str,
    metrics: Arc<Metrics>,
}

impl Measured {
    /// Times `backend`, which is a `system`: `redis` or `memory`.
    pub const fn new(backend: Arc<dyn Backend>, system: &'static str, metrics: Arc<Metrics>) -> Self {
        Self { backend, system, metrics }
    }
}

#[async_trait]
impl Backend for Measured {
    async fn run(&self, steps: Vec<Step>) -> Result<Vec<Outcome>, Unavailable> {
        // What a server does by itself, such as looking for pings that others left behind, is no trace.
        let span = if Span::current().is_none() {
            Span::none()
        } else {
            tracing::info_span!(
                "store",
                otel.kind = "client",
                otel.status_code = Empty,
                db.system.name = self.system,
                countersign.steps = steps.len(),
                error.type = Empty
            )
        };
        async {
            let begun = Stopwatch::start();
            let outcomes = self.backend.run(steps).await;
            self.metrics.stored(self.system, begun.elapsed(), outcomes.is_ok());
            if outcomes.is_err() {
                Span::current().record("error.type", "unavailable").record("otel.status_code", "ERROR");
            }
            outcomes
        }
        .instrument(span)
        .await
    }

    async fn each(&self, family: Family, see: &mut (dyn FnMut(Key, Vec<u8>) + Send)) -> Result<(), Unavailable> {
        self.backend.each(family, see).await
    }

    fn trouble(&self) -> Option<Trouble> {
        self.backend.trouble()
    }
}
