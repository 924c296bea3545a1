//! [`Webhook`]: an [`Authenticator`] that asks the bank over HTTPS with mutual TLS. deploy/bank.md is its manual.

use async_trait::async_trait;

use crate::outbound::authenticator::Authenticator;
use crate::outbound::{Failed, Outbound};
use crate::wire::bank::{Identified, Identify, Prompt, is_sub};
use crate::wire::json;

/// The bank, at a URL.
pub struct Webhook {
    url: String,
    outbound: Outbound,
}

impl Webhook {
    /// The bank at `url`, which has no slash at the end.
    pub const fn new(url: String, outbound: Outbound) -> Self {
        Self { url, outbound }
    }
}

#[async_trait]
impl Authenticator for Webhook {
    async fn identify(&self, question: &Identify<'_>) -> Result<Identified, Failed> {
        let answer = self.outbound.ask(&format!("{}/identify", self.url), question).await?;
        if answer.status != 200 {
            return Err(Failed("the bank answered identify with another status than 200"));
        }
        let object = json::object(&answer.body)
            .map_err(|_| Failed("the bank's answer to identify is not one strict JSON object"))?;
        let identified = serde_json::from_value(object.into())
            .map_err(|_| Failed("the bank's answer to identify has another shape"))?;
        match &identified {
            Identified::Known { sub } if !is_sub(sub) => {
                Err(Failed("the bank's sub is not 1 to 255 printable ASCII characters"))
            }
            _ => Ok(identified),
        }
    }

    async fn prompt(&self, prompt: &Prompt<'_>) -> Result<(), Failed> {
        match self.outbound.tell(&format!("{}/prompt", self.url), prompt).await? {
            200 | 202 | 204 => Ok(()),
            _ => Err(Failed("the bank answered prompt with another status than 200, 202 or 204")),
        }
    }
}
