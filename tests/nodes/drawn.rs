//! [`Drawn`]: chance that tells what it was asked for.

use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::secret::{Entropy, Seeded};

/// Chance that remembers what it was asked for: every id and token there is.
#[derive(Default)]
pub(crate) struct Drawn(Seeded, Mutex<Vec<String>>);

impl Entropy for Drawn {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.fill(buffer);
        if buffer.len() == 32 {
            self.1.lock().unwrap_or_else(PoisonError::into_inner).push(URL_SAFE_NO_PAD.encode(buffer));
        }
    }
}

impl Drawn {
    /// What was drawn since the last time this was asked.
    pub(crate) fn since(&self) -> Vec<String> {
        std::mem::take(&mut *self.1.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
