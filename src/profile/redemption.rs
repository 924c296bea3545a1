//! [`Redemption`]: a poll of the token endpoint for one `auth_req_id` (CIBA §10.1).

use crate::error::Reason;
use crate::profile::sender::Sender;
use crate::profile::verified::{Governed, Rule, Verified};
use crate::secret::Secret;

/// A poll, parsed.
pub struct Redemption {
    pub(super) sender: Sender,
    pub(super) auth_req_id: Option<Secret>,
}

impl Governed for Redemption {
    const RULES: &'static [Rule<Self>] = &[
        Rule {
            clause: "CIBA-4R-9",
            reason: Reason::UnauthorizedClient,
            says: "the client is not registered for the CIBA grant",
            holds: |r, _, _| r.sender.client.ciba().is_some(),
        },
        Rule {
            clause: "CIBA-10.1-1",
            reason: Reason::InvalidRequest,
            says: "there is no auth_req_id",
            holds: |r, _, _| r.auth_req_id.is_some(),
        },
        Rule {
            clause: "CIBA-11-5",
            reason: Reason::InvalidGrant,
            says: "no auth_req_id looks like that",
            holds: |r, _, _| r.auth_req_id.as_ref().is_some_and(Secret::could_be_drawn),
        },
    ];

    fn client_id(&self) -> Option<&str> {
        Some(&self.sender.client.client_id)
    }
}

/// What a handler may rely on: these exist on a verified request alone.
impl Verified<Redemption> {
    /// Who polls, and what the tokens will be bound to.
    pub fn sender(&self) -> &Sender {
        &self.request().sender
    }

    /// What for.
    pub fn auth_req_id(&self) -> &Secret {
        self.request().auth_req_id.as_ref().expect("CIBA-10.1-1 held")
    }
}
