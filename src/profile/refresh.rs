//! [`Refresh`]: new tokens for a refresh token (RFC 6749 §6). It is not rotated (FAPI 2.0 §5.3.2.1): it belongs to the client and is of no use to others.

use crate::error::Reason;
use crate::profile::client::Client;
use crate::profile::scope::is_scope;
use crate::profile::sender::Sender;
use crate::profile::verified::{Governed, Rule, Verified};
use crate::secret::Secret;

/// A request for new tokens, parsed.
pub struct Refresh {
    pub(super) sender: Sender,
    pub(super) refresh_token: Option<Secret>,
    pub(super) scope: Option<Vec<String>>,
}

impl Governed for Refresh {
    const RULES: &'static [Rule<Self>] = &[
        Rule {
            clause: "OAUTH-5",
            reason: Reason::UnauthorizedClient,
            says: "the client is not registered for the refresh_token grant",
            holds: |r, _, _| is_registered(&r.sender.client),
        },
        Rule {
            clause: "OAUTH-6-token",
            reason: Reason::InvalidRequest,
            says: "there is no refresh_token",
            holds: |r, _, _| r.refresh_token.is_some(),
        },
        Rule {
            clause: "RT-1",
            reason: Reason::InvalidGrant,
            says: "no refresh_token looks like that",
            holds: |r, _, _| r.refresh_token.as_ref().is_some_and(Secret::could_be_drawn),
        },
        Rule {
            clause: "RT-2",
            reason: Reason::InvalidScope,
            says: "scope is malformed, or lacks openid",
            holds: |r, _, _| {
                r.scope
                    .as_ref()
                    .is_none_or(|scope| is_scope(&scope.join(" ")) && scope.iter().any(|scope| scope == "openid"))
            },
        },
    ];

    fn client_id(&self) -> Option<&str> {
        Some(&self.sender.client.client_id)
    }
}

fn is_registered(client: &Client) -> bool {
    client.ciba().is_some_and(|ciba| ciba.refreshes)
}

/// What a handler may rely on: these exist on a verified request alone.
impl Verified<Refresh> {
    /// Who asks, and what the new access token will be bound to.
    pub fn sender(&self) -> &Sender {
        &self.request().sender
    }

    /// What it asks with.
    pub fn refresh_token(&self) -> &Secret {
        self.request().refresh_token.as_ref().expect("OAUTH-6-token held")
    }

    /// What it asks for, if less than it has.
    pub fn scope(&self) -> Option<&[String]> {
        self.request().scope.as_deref()
    }
}
