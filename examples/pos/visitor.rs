//! [`Visitor`]: somebody with a token at the door of the bank's API. The till is one; so is a thief.

use countersign::secret::Secret;
use http::StatusCode;

use crate::caller::Caller;
use crate::message::{Message, Role};
use crate::places::Places;
use crate::story::{Story, Told};

/// Whoever calls, with the certificate they have.
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
        self.story.say(&[Message::request(way, "GET /accounts HTTP/1.1")
            .with("TLS certificate", self.caller.shows())
            .with("Authorization", format!("Bearer {}", token.reveal()))]);
        self.story.pause().await;
        let answer = self.caller.get_with_token(&self.url, token.reveal()).await?;
        let mut heard = Message::answer(way, answer.status).with_of(&answer.body, &["account", "owner", "balance"]);
        if let Some(challenge) = &answer.challenge {
            heard = heard.with("WWW-Authenticate", challenge);
        }
        self.story.say(&[heard]);
        self.story.pause().await;
        Ok(answer.status)
    }
}
