//! [`ResourceCall`]: somebody uses an access token at this server itself (RFC 6750 §2.1, OpenID Connect Core §5.3.1).

use crate::error::{Reason, Rejection};
use crate::profile::BoundBy;
use crate::profile::gate::{Gate, Request};
use crate::profile::once::Unspent;
use crate::profile::proof::prove;
use crate::profile::sender::Binding;
use crate::profile::verified::{Governed, Rule, Verified};
use crate::secret::Secret;
use crate::wire::inbound::{Authorization, Inbound};

/// A token in the `Authorization` header, and the certificate or the key it was brought with.
pub struct ResourceCall {
    token: Option<Secret>,
    binding: Option<Binding>,
}

impl Governed for ResourceCall {
    const RULES: &'static [Rule<Self>] = &[
        Rule {
            clause: "FAPI1B-6.2.1-1",
            reason: Reason::MissingToken,
            says: "there is no access token in the header",
            holds: |r, _, _| r.token.is_some(),
        },
        Rule {
            clause: "FAPI1B-6.2.1-2",
            reason: Reason::InvalidToken,
            says: "no access token looks like that",
            holds: |r, _, _| r.token.as_ref().is_some_and(Secret::could_be_drawn),
        },
        Rule {
            clause: "MTLS-3-2",
            reason: Reason::InvalidToken,
            says: "there is no client certificate",
            holds: |r, _, _| r.binding.is_some(),
        },
    ];
}

impl Request for ResourceCall {
    /// RFC 9449 §7.1: a token under the scheme `DPoP` comes with a proof, which is judged before anything is said of the token.
    async fn read(gate: &Gate, inbound: Inbound, unspent: &Unspent) -> Result<Self, Rejection> {
        let copy = |token: &Secret| Secret::new(token.reveal().to_owned());
        match &inbound.authorization {
            Some(Authorization::Dpop(token)) if gate.profile.binds(BoundBy::Dpop) => {
                let jkt = prove(gate, (&inbound, Some(token)), unspent)?;
                Ok(Self { token: Some(copy(token)), binding: Some(Binding::Key(jkt)) })
            }
            _ => Ok(Self { token: inbound.bearer().map(copy), binding: Binding::shown(&inbound).ok() }),
        }
    }
}

/// What a handler may rely on: these exist on a verified request alone.
impl Verified<ResourceCall> {
    /// The token.
    pub fn token(&self) -> &Secret {
        self.request().token.as_ref().expect("FAPI1B-6.2.1-1 held")
    }

    /// What the caller proves to hold.
    pub fn binding(&self) -> &Binding {
        self.request().binding.as_ref().expect("MTLS-3-2 held")
    }
}
