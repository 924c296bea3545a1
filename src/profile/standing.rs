//! [`Standing`]: the bank says that a user is locked, or no longer is. deploy/bank.md is the manual of this interface.

use serde_json::Value;

use crate::error::{Reason, Rejection};
use crate::jose::claims::Claims;
use crate::profile::decision::by_the_bank;
use crate::profile::gate::{Gate, Request, malformed};
use crate::profile::once::Unspent;
use crate::profile::verified::{Governed, Rule, Verified};
use crate::wire::Malformed;
use crate::wire::bank::is_sub;
use crate::wire::inbound::Inbound;

const MEMBERS: [&str; 2] = ["sub", "standing"];

/// What the bank says, parsed.
pub struct Standing {
    sub: String,
    locked: bool,
}

impl Governed for Standing {
    const RULES: &'static [Rule<Self>] = &[Rule {
        clause: "OIDC-2-sub",
        reason: Reason::InvalidRequest,
        says: "sub is too long or has unusual characters",
        holds: |s, _, _| is_sub(&s.sub),
    }];
}

impl Request for Standing {
    async fn read(gate: &Gate, inbound: Inbound, _: &Unspent) -> Result<Self, Rejection> {
        by_the_bank(gate, &inbound)?;
        let unreadable = malformed(Reason::InvalidRequest, "CIBA-8-1");
        let claims = Claims::new(inbound.json().map_err(&unreadable)?);
        parse(&claims).map_err(unreadable)
    }
}

/// What a handler may rely on: these exist on a verified request alone.
impl Verified<Standing> {
    /// Whose standing.
    pub fn sub(&self) -> &str {
        &self.request().sub
    }

    /// Whether nothing may be given out in their name.
    pub const fn locked(&self) -> bool {
        self.request().locked
    }
}

fn parse(claims: &Claims) -> Result<Standing, Malformed> {
    if claims.names().any(|name| !MEMBERS.contains(&name)) {
        return Err(Malformed("there is a member that this interface does not know"));
    }
    let sub = claims.string("sub")?.ok_or(Malformed("there is no sub"))?.to_owned();
    let locked = match claims.value("standing").and_then(Value::as_str) {
        Some("locked") => true,
        Some("good") => false,
        _ => return Err(Malformed("the standing is neither locked nor good")),
    };
    Ok(Standing { sub, locked })
}
