//! [`Revocation`]: a client gives a token back (RFC 7009 §2.1).

use std::sync::Arc;

use crate::error::{Reason, Rejection};
use crate::profile::client::Client;
use crate::profile::client_auth;
use crate::profile::gate::{Gate, Request, malformed};
use crate::profile::inspection::LONGEST;
use crate::profile::once::Unspent;
use crate::profile::verified::{Governed, Rule, Verified};
use crate::secret::Secret;
use crate::wire::inbound::Inbound;

/// A token to be revoked. `token_type_hint` only speeds a search up (RFC 7009 §2.1) and is not read.
pub struct Revocation {
    client: Arc<Client>,
    token: Option<Secret>,
}

impl Governed for Revocation {
    const RULES: &'static [Rule<Self>] = &[Rule {
        clause: "REV-2-1",
        reason: Reason::InvalidRequest,
        says: "there is no token, or it is too long",
        holds: |r, _, _| r.token.as_ref().is_some_and(|token| token.reveal().len() <= LONGEST),
    }];

    fn client_id(&self) -> Option<&str> {
        Some(&self.client.client_id)
    }
}

impl Request for Revocation {
    async fn read(gate: &Gate, inbound: Inbound, unspent: &Unspent) -> Result<Self, Rejection> {
        let form = inbound.form().map_err(malformed(Reason::InvalidRequest, "REV-2-1"))?;
        let client = client_auth::authenticate(gate, (&inbound, &form), unspent).await?;
        Ok(Self { client, token: form.value("token").map(|token| Secret::new(token.to_owned())) })
    }
}

/// What a handler may rely on: these exist on a verified request alone.
impl Verified<Revocation> {
    /// Who gives it back.
    pub fn client(&self) -> &Arc<Client> {
        &self.request().client
    }

    /// What.
    pub fn token(&self) -> &Secret {
        self.request().token.as_ref().expect("REV-2-1 held")
    }
}
