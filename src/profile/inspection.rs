//! [`Inspection`]: a resource server asks about a token (RFC 7662 §2.1).

use std::sync::Arc;

use crate::error::{Reason, Rejection};
use crate::profile::client::Client;
use crate::profile::client_auth;
use crate::profile::gate::{Gate, Request, malformed};
use crate::profile::once::Unspent;
use crate::profile::verified::{Governed, Rule, Verified};
use crate::secret::Secret;
use crate::wire::inbound::Inbound;

/// The longest token that is looked for.
pub(super) const LONGEST: usize = 8 * 1024;

/// RFC 9701 §4.
const SIGNED: &str = "application/token-introspection+jwt";

/// A question about a token, parsed. `token_type_hint` only speeds a search up (RFC 7662 §2.1) and is not read.
pub struct Inspection {
    caller: Arc<Client>,
    token: Option<Secret>,
    signed: bool,
}

impl Governed for Inspection {
    const RULES: &'static [Rule<Self>] = &[
        Rule {
            clause: "INTRO-2-2",
            reason: Reason::UnauthorizedClient,
            says: "the client is not a resource server",
            holds: |i, _, _| i.caller.may_introspect(),
        },
        Rule {
            clause: "INTRO-2-1",
            reason: Reason::InvalidRequest,
            says: "there is no token, or it is too long",
            holds: |i, _, _| i.token.as_ref().is_some_and(|token| token.reveal().len() <= LONGEST),
        },
    ];

    fn client_id(&self) -> Option<&str> {
        Some(&self.caller.client_id)
    }
}

impl Request for Inspection {
    async fn read(gate: &Gate, inbound: Inbound, unspent: &Unspent) -> Result<Self, Rejection> {
        let form = inbound.form().map_err(malformed(Reason::InvalidRequest, "INTRO-2-1"))?;
        let caller = client_auth::authenticate(gate, (&inbound, &form), unspent).await?;
        let signed = inbound.accept.iter().any(|accepted| accepted == SIGNED);
        Ok(Self { caller, token: form.value("token").map(|token| Secret::new(token.to_owned())), signed })
    }
}

/// What a handler may rely on: these exist on a verified request alone.
impl Verified<Inspection> {
    /// Who asks.
    pub fn caller(&self) -> &Arc<Client> {
        &self.request().caller
    }

    /// Whether the answer has to be a signed JWT (RFC 9701 §4).
    pub const fn signed(&self) -> bool {
        self.request().signed
    }

    /// About which token.
    pub fn token(&self) -> &Secret {
        self.request().token.as_ref().expect("INTRO-2-1 held")
    }
}
