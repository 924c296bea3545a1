//! [`ClientCredentials`]: a token in the client's own name (RFC 6749 §4.4), where the profile says what for. Nobody approves it, and it is nobody's.

use crate::error::Reason;
use crate::profile::Profile;
use crate::profile::client::Client;
use crate::profile::sender::Sender;
use crate::profile::verified::{Governed, Rule, Verified};

/// A request for such a token, parsed.
pub struct ClientCredentials {
    pub(super) sender: Sender,
    pub(super) scope: Option<Vec<String>>,
}

impl Governed for ClientCredentials {
    const RULES: &'static [Rule<Self>] = &[
        Rule {
            clause: "OAUTH-4.4-client",
            reason: Reason::UnauthorizedClient,
            says: "the client is not registered for the client_credentials grant",
            holds: |r, _, _| r.sender.client.ciba().is_some_and(|ciba| ciba.client_credentials),
        },
        Rule {
            clause: "OAUTH-4.4-scope",
            reason: Reason::InvalidScope,
            says: "the scope is empty, twice in it, or more than the profile or the registration lets a client have in its own name",
            holds: |r, profile, _| is_allowed(&r.scope(profile), (&r.sender.client, profile)),
        },
    ];

    fn client_id(&self) -> Option<&str> {
        Some(&self.sender.client.client_id)
    }
}

impl ClientCredentials {
    /// RFC 6749 §3.3: what it asks for; by itself, all that it may have.
    fn scope(&self, profile: &Profile) -> Vec<String> {
        let may_have = |scope: &&String| self.sender.client.scope().contains(scope);
        self.scope.clone().unwrap_or_else(|| offered(profile).iter().filter(may_have).cloned().collect())
    }
}

fn is_allowed(scope: &[String], (client, profile): (&Client, &Profile)) -> bool {
    let once = |at: usize| !scope[..at].contains(&scope[at]);
    !scope.is_empty()
        && (0..scope.len()).all(once)
        && scope.iter().all(|scope| offered(profile).contains(scope))
        && client.may_have(scope)
}

fn offered(profile: &Profile) -> &[String] {
    profile.rules().client_credentials.as_ref().map_or(&[], |offered| &offered.scopes)
}

/// What a handler may rely on: these exist on a verified request alone.
impl Verified<ClientCredentials> {
    /// Who asks, and what the token will be bound to.
    pub fn sender(&self) -> &Sender {
        &self.request().sender
    }

    /// What the token will be for.
    pub fn scope(&self, profile: &Profile) -> Vec<String> {
        self.request().scope(profile)
    }
}
