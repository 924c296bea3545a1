//! [`Exports`]: what left for the collector, and what did not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What leaves for the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Spans,
    Metrics,
}

impl Signal {
    /// Its word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Metrics => "metrics",
        }
    }
}

/// How often something left for the collector, and how often it did not.
#[derive(Debug, Default)]
pub(super) struct Exports {
    counts: [[AtomicU64; 2]; 2],
    cause: Mutex<Option<String>>,
}

impl Exports {
    pub(super) const ALL: [(Signal, bool); 4] =
        [(Signal::Spans, true), (Signal::Spans, false), (Signal::Metrics, true), (Signal::Metrics, false)];

    fn of(&self, signal: Signal, left: bool) -> &AtomicU64 {
        &self.counts[usize::from(signal == Signal::Metrics)][usize::from(left)]
    }

    /// Keeps what the last call failed for, if it did, for the log.
    pub(super) fn failed_for(&self, cause: Option<String>) {
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = cause;
    }

    pub(super) fn cause(&self) -> Option<String> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn counted(&self, signal: Signal, left: bool) -> u64 {
        self.of(signal, left).load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, signal: Signal, left: bool) {
        self.of(signal, left).fetch_add(1, Ordering::Relaxed);
    }
}
