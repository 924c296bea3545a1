//! [`Redemption`]: a poll of the token endpoint for one `auth_req_id` (CIBA §10.1).

use crate::error::{Reason, Rejection};
use crate::profile::client::CIBA_GRANT;
use crate::profile::client_auth;
use crate::profile::gate::{Gate, Request, malformed};
use crate::profile::sender::{Binding, Sender};
use crate::profile::verified::{Governed, Rule, Verified};
use crate::secret::Secret;
use crate::wire::inbound::Inbound;

/// A poll, parsed.
pub struct Redemption {
    sender: Sender,
    grant_type: String,
    auth_req_id: Option<Secret>,
}

impl Governed for Redemption {
    const RULES: &'static [Rule<Self>] = &[
        Rule {
            clause: "CIBA-10.1-1",
            reason: Reason::InvalidRequest,
            says: "there is no grant_type",
            holds: |r, _, _| !r.grant_type.is_empty(),
        },
        Rule {
            clause: "OAUTH-4",
            reason: Reason::UnsupportedGrantType,
            says: "another grant_type",
            holds: |r, _, _| r.grant_type == CIBA_GRANT,
        },
        Rule {
            clause: "CIBA-4R-9",
            reason: Reason::UnauthorizedClient,
            says: "the client is not registered for the CIBA grant",
            holds: |r, _, _| r.sender.client.has_ciba_grant(),
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

impl Request for Redemption {
    /// Who, then with which certificate, then for what. The certificate comes before the state of the request, so that a client without one
    /// hears so while its request is still pending.
    async fn read(gate: &Gate, inbound: Inbound) -> Result<Self, Rejection> {
        let form = inbound.form().map_err(malformed(Reason::InvalidRequest, "OAUTH-1"))?;
        let client = client_auth::authenticate(gate, &inbound, &form).await?;
        let binding = Binding::of(&inbound).map_err(|refusal| refusal.by(&client.client_id))?;
        Ok(Self {
            sender: Sender { client, binding },
            grant_type: form.value("grant_type").unwrap_or_default().to_owned(),
            auth_req_id: form.value("auth_req_id").map(|id| Secret::new(id.to_owned())),
        })
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
