//! [`ResourceCall`]: somebody uses an access token at this server itself (RFC 6750 §2.1, OpenID Connect Core §5.3.1).

use crate::error::{Reason, Rejection, Scheme};
use crate::profile::BoundBy;
use crate::profile::gate::{Gate, Request};
use crate::profile::once::{Spent, Unspent};
use crate::profile::proof::prove;
use crate::profile::sender::Binding;
use crate::profile::verified::{Governed, Rule, Verified};
use crate::secret::{Digest, Secret};
use crate::wire::inbound::{Authorization, Inbound};

/// A token in the `Authorization` header, and what its caller shows to hold.
pub struct ResourceCall {
    token: Option<Secret>,
    held: Held,
    schemes: &'static [Scheme],
}

/// What a caller shows beside a token, by the scheme that the token comes under.
pub enum Held {
    /// `Bearer`: the certificate of the connection, if there is one (RFC 8705 §3).
    Certificate(Option<Digest>),
    /// `DPoP`: the key of a proof, and the id of that proof (RFC 9449 §7.1). Anybody can make a key and a proof: the id is for the store to spend, once the token turns out
    /// to be bound to the key.
    Key(Digest, Spent),
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
    ];

    fn schemes(&self) -> Option<&'static [Scheme]> {
        Some(self.schemes)
    }
}

impl Request for ResourceCall {
    /// RFC 9449 §7.1: a token under the scheme `DPoP` comes with a proof, which is judged before anything is said of the token.
    async fn read(gate: &Gate, inbound: Inbound, _: &Unspent) -> Result<Self, Rejection> {
        let copy = |token: &Secret| Secret::new(token.reveal().to_owned());
        let schemes = schemes(gate, &inbound);
        if brings_several(&inbound) {
            let cause = "there is more than one token, or one in more than one place";
            return Err(Rejection::new(Reason::InvalidRequest, "DPOP-7.1-2", cause).under(schemes));
        }
        match &inbound.authorization {
            Some(Authorization::Dpop(token)) if schemes == [Scheme::Dpop] => {
                let (jkt, id) = prove(gate, (&inbound, Some(token)))?;
                Ok(Self { token: Some(copy(token)), held: Held::Key(jkt, id), schemes })
            }
            _ => {
                let certificate = inbound.certificate.as_ref().map(|certificate| certificate.thumbprint);
                Ok(Self { token: inbound.bearer().map(copy), held: Held::Certificate(certificate), schemes })
            }
        }
    }
}

/// The scheme under which a token was brought; where none was, each under which one may be (RFC 9449 §7.2).
fn schemes(gate: &Gate, inbound: &Inbound) -> &'static [Scheme] {
    match &inbound.authorization {
        _ if !gate.profile.binds(BoundBy::Dpop) => &[Scheme::Bearer],
        Some(Authorization::Bearer(_)) => &[Scheme::Bearer],
        Some(Authorization::Dpop(_)) => &[Scheme::Dpop],
        Some(Authorization::Several | Authorization::Other) | None => &[Scheme::Bearer, Scheme::Dpop],
    }
}

/// RFC 6750 §2, RFC 9449 figure 19: a token is brought in one way. That the URI has none, the gate has seen to.
fn brings_several(inbound: &Inbound) -> bool {
    match &inbound.authorization {
        Some(Authorization::Several) => true,
        Some(Authorization::Bearer(_) | Authorization::Dpop(_)) => {
            inbound.form().is_ok_and(|form| form.value("access_token").is_some())
        }
        Some(Authorization::Other) | None => false,
    }
}

impl Held {
    /// What is used up where it opens a token that is bound to `cnf`.
    ///
    /// # Errors
    /// It does not: under which clause, and why.
    pub fn opens(&self, cnf: &Binding) -> Result<Vec<Spent>, (&'static str, &'static str)> {
        match (self, cnf) {
            (Self::Key(jkt, id), Binding::Key(bound)) if jkt == bound => Ok(vec![id.clone()]),
            (Self::Key(..), Binding::Key(_)) => Err(("DPOP-4.3-16", "the token is bound to another key")),
            (Self::Key(..), Binding::Certificate(_)) => {
                Err(("DPOP-7.2-1", "a certificate-bound token under the scheme DPoP"))
            }
            (Self::Certificate(Some(shown)), Binding::Certificate(bound)) if shown == bound => Ok(Vec::new()),
            (Self::Certificate(Some(_)), Binding::Certificate(_)) => {
                Err(("MTLS-3-2", "the token is bound to another certificate"))
            }
            (Self::Certificate(None), Binding::Certificate(_)) => Err(("MTLS-3-2", "there is no client certificate")),
            (Self::Certificate(_), Binding::Key(_)) => {
                Err(("DPOP-7.2-1", "a DPoP-bound token under the scheme Bearer"))
            }
        }
    }
}

/// What a handler may rely on: these exist on a verified request alone.
impl Verified<ResourceCall> {
    /// The token.
    pub fn token(&self) -> &Secret {
        self.request().token.as_ref().expect("FAPI1B-6.2.1-1 held")
    }

    /// How a token is brought, for whoever refuses this one.
    pub const fn schemes(&self) -> &'static [Scheme] {
        self.request().schemes
    }

    /// What the caller shows to hold.
    pub const fn held(&self) -> &Held {
        &self.request().held
    }
}
