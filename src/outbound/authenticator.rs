//! [`Authenticator`]: the bank's side of CIBA §8. It knows its customers and reaches their phones; what they decide comes back on the internal listener.

use async_trait::async_trait;

use crate::outbound::Failed;
use crate::wire::bank::{Identified, Identify, Prompt};

/// Who is this, and please ask them.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Resolves a hint to a user in good standing.
    ///
    /// # Errors
    /// [`Failed`]: the bank did not say. Never taken for an answer.
    async fn identify(&self, question: &Identify<'_>) -> Result<Identified, Failed>;

    /// Puts a request before the user. Comes back when the bank has taken charge of it, before the user has acted (CIBA §7.3).
    ///
    /// # Errors
    /// [`Failed`]: the bank did not take charge of it.
    async fn prompt(&self, prompt: &Prompt<'_>) -> Result<(), Failed>;
}
