//! [`Measured`]: the bank, and how long it takes to answer.

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Stopwatch;
use crate::outbound::Failed;
use crate::outbound::authenticator::Authenticator;
use crate::telemetry::metrics::{Call, Metrics};
use crate::wire::bank::{Identified, Identify, Prompt};

/// An [`Authenticator`] whose answers are timed.
pub struct Measured {
    bank: Arc<dyn Authenticator>,
    metrics: Arc<Metrics>,
}

impl Measured {
    /// Times `bank`.
    pub const fn new(bank: Arc<dyn Authenticator>, metrics: Arc<Metrics>) -> Self {
        Self { bank, metrics }
    }
}

#[async_trait]
impl Authenticator for Measured {
    async fn identify(&self, question: &Identify<'_>) -> Result<Identified, Failed> {
        let begun = Stopwatch::start();
        let answer = self.bank.identify(question).await;
        self.metrics.called(Call::Identify, begun.elapsed(), answer.is_ok());
        answer
    }

    async fn prompt(&self, prompt: &Prompt<'_>) -> Result<(), Failed> {
        let begun = Stopwatch::start();
        let answer = self.bank.prompt(prompt).await;
        self.metrics.called(Call::Prompt, begun.elapsed(), answer.is_ok());
        answer
    }
}
