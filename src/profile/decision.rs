//! [`Decision`]: what the person decided, brought by the bank (CIBA §8). deploy/bank.md is the manual of this interface.

use serde_json::Value;

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::jose::claims::Claims;
use crate::profile::gate::{Gate, Request, malformed};
use crate::profile::once::Unspent;
use crate::profile::verified::{Governed, Rule, Verified};
use crate::secret::Secret;
use crate::wire::Malformed;
use crate::wire::bank::is_sub;
use crate::wire::inbound::Inbound;

const MEMBERS: [&str; 5] = ["auth_req_id", "decision", "sub", "acr", "auth_time"];

/// What the person said.
pub enum Verdict {
    /// Yes.
    Approve(Approval),
    /// No.
    Deny,
}

/// Who said yes, when, and how sure the bank is that it was them.
pub struct Approval {
    /// The user who approved. Has to be the user who was asked.
    pub sub: String,
    /// `acr`: the authentication context class that was achieved.
    pub acr: Option<String>,
    /// `auth_time`: when the user was authenticated.
    pub auth_time: Timestamp,
}

/// A decision, parsed.
pub struct Decision {
    auth_req_id: Secret,
    verdict: Verdict,
}

impl Governed for Decision {
    const RULES: &'static [Rule<Self>] = &[
        Rule {
            clause: "CIBA-8-3",
            reason: Reason::UnknownDecision,
            says: "no auth_req_id looks like that",
            holds: |d, _, _| d.auth_req_id.could_be_drawn(),
        },
        Rule {
            clause: "OIDC-2-sub",
            reason: Reason::InvalidRequest,
            says: "sub is too long or has unusual characters",
            holds: |d, _, _| match &d.verdict {
                Verdict::Approve(approval) => is_sub(&approval.sub),
                Verdict::Deny => true,
            },
        },
        Rule {
            clause: "OIDC-2-acr",
            reason: Reason::InvalidRequest,
            says: "acr is not in acr_values_supported",
            holds: |d, p, _| match &d.verdict {
                Verdict::Approve(Approval { acr: Some(acr), .. }) => p.issuer().acr_values_supported.contains(acr),
                Verdict::Approve(_) | Verdict::Deny => true,
            },
        },
        Rule {
            clause: "OIDC-2-auth_time",
            reason: Reason::InvalidRequest,
            says: "auth_time is ahead of this server's clock",
            holds: |d, p, now| match &d.verdict {
                Verdict::Approve(approval) => approval.auth_time <= now.plus(p.rules().clock.leeway),
                Verdict::Deny => true,
            },
        },
    ];
}

impl Request for Decision {
    /// The certificate is looked at before the body is.
    async fn read(gate: &Gate, inbound: Inbound, _: &Unspent) -> Result<Self, Rejection> {
        by_the_bank(gate, &inbound)?;
        let now = gate.now();
        let unreadable = malformed(Reason::InvalidRequest, "CIBA-8-1");
        let claims = Claims::new(inbound.json().map_err(&unreadable)?);
        let (auth_req_id, verdict) = parse(&claims, now).map_err(unreadable)?;
        Ok(Self { auth_req_id, verdict })
    }
}

/// What a handler may rely on: these exist on a verified request alone.
impl Verified<Decision> {
    /// What about.
    pub fn auth_req_id(&self) -> &Secret {
        &self.request().auth_req_id
    }

    /// What was decided.
    pub fn verdict(&self) -> &Verdict {
        &self.request().verdict
    }
}

/// That the bank sent `inbound`.
pub(super) fn by_the_bank(gate: &Gate, inbound: &Inbound) -> Result<(), Rejection> {
    let now = gate.now().seconds();
    let shown = inbound.certificate.as_ref();
    let theirs = shown.is_some_and(|shown| shown.is_valid_at(now) && gate.trust.bank.contains(&shown.thumbprint));
    let stranger = "the certificate is not the bank's, or not valid now";
    if theirs { Ok(()) } else { Err(Rejection::new(Reason::InvalidClient, "CIBA-8-1", stranger)) }
}

fn parse(claims: &Claims, now: Timestamp) -> Result<(Secret, Verdict), Malformed> {
    if claims.names().any(|name| !MEMBERS.contains(&name)) {
        return Err(Malformed("the decision has a member that this interface does not know"));
    }
    let auth_req_id = claims.string("auth_req_id")?.ok_or(Malformed("there is no auth_req_id"))?;
    let verdict = match claims.value("decision").and_then(Value::as_str) {
        Some("approve") => Verdict::Approve(Approval {
            sub: claims.string("sub")?.ok_or(Malformed("an approval has to say whose it is"))?.to_owned(),
            acr: claims.string("acr")?.map(str::to_owned),
            auth_time: claims.time("auth_time")?.unwrap_or(now),
        }),
        Some("deny") => Verdict::Deny,
        _ => return Err(Malformed("the decision is neither approve nor deny")),
    };
    Ok((Secret::new(auth_req_id.to_owned()), verdict))
}
