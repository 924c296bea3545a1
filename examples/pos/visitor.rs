//! [`Visitor`]: somebody with a token at the door of the bank's API. The till is one; so is a thief.

use countersign::secret::Secret;
use http::StatusCode;

use crate::caller::Caller;
use crate::message::{Message, Role};
use crate::places::Places;
use crate::story::{Story, Told};

/// Whoever calls, with the certificate or the key that they have.
pub(crate) struct Visitor {
    role: Role,
    caller: Caller,
    url: String,
    story: Story,
}

impl Visitor {
    pub(crate) fn new(role: Role, caller: Caller, (places, story): (&Places, &Story)) -> Self {
        Self { role, caller, url: format!("{}/accounts", places.bank), story: story.clone() }
    }

    /// `GET /accounts` with `token`.
    pub(crate) async fn balance(&self, token: &Secret) -> Told<StatusCode> {
        let way = (self.role, Role::Bank);
        let proof = self.caller.prove(("GET", &self.url), Some(token))?;
        let scheme = if proof.is_some() { "DPoP" } else { "Bearer" };
        let authorization = format!("{scheme} {}", token.reveal());
        self.story.say(&[Message::request(way, "GET /accounts HTTP/1.1")
            .with("TLS certificate", self.caller.shows())
            .with("Authorization", &authorization)
            .with_proof(proof.as_ref())]);
        self.story.pause().await;
        let answer = self.caller.get_with_token(&self.url, &authorization, proof.as_ref()).await?;
        let mut heard = Message::answer(way, answer.status).with_of(&answer.body, &["account", "owner", "balance"]);
        if let Some(challenge) = &answer.challenge {
            heard = heard.with("WWW-Authenticate", challenge);
        }
        self.story.say(&[heard]);
        self.story.pause().await;
        Ok(answer.status)
    }
}
