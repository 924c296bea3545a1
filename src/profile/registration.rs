//! [`Registration`]: a client introduces itself (RFC 7591 §3.1). Closed unless the operator opens it, and to whom he opens it.

use serde_json::{Value, json};

use crate::error::{Reason, Rejection};
use crate::jose::claims::Claims;
use crate::jose::jws::Compact;
use crate::profile::Profile;
use crate::profile::enrolled::Registrars;
use crate::profile::enrolment::{self, Unfit};
use crate::profile::gate::{Gate, Request, malformed};
use crate::profile::members::MEMBERS;
use crate::profile::once::Unspent;
use crate::profile::verified::{Governed, Rule, Verified};
use crate::wire::Malformed;
use crate::wire::inbound::Inbound;
use crate::wire::json::{self, Object};

const LONGEST_STATEMENT: usize = 16 * 1024;

/// How much of it is kept for each client. Taste: a dozen keys with their certificates.
pub const LARGEST: usize = 16 * 1024;

/// Metadata that makes a client.
pub struct Registration {
    pub(super) members: Object,
    pub(super) stated: Object,
    /// The sector of a pairwise client.
    pub(super) sector: Option<String>,
}

/// What does not fit has been refused by the reader that makes a client of it: [`enrolment`].
impl Governed for Registration {
    const RULES: &'static [Rule<Self>] = &[];
}

impl Request for Registration {
    /// Whether this one may register, then what.
    async fn read(gate: &Gate, inbound: Inbound, _: &Unspent) -> Result<Self, Rejection> {
        let refused = |reason, cause| Rejection::new(reason, "DCR-7591-2", cause);
        match &gate.trust.registrars {
            Registrars::Closed => return Err(refused(Reason::NotFound, "registration is closed")),
            Registrars::Open | Registrars::Vouched(_) => {}
            Registrars::Holders(tokens) => {
                let none = || refused(Reason::MissingToken, "there is no initial access token");
                let token = inbound.bearer().ok_or_else(none)?;
                if !tokens.contains(&token.digest()) {
                    return Err(refused(Reason::InvalidToken, "the initial access token is another"));
                }
            }
        }
        let given = inbound.json().map_err(malformed(Reason::InvalidClientMetadata, "DCR-7591-1"))?;
        let stated = stated(gate, &given)?;
        Self::of(gate, (given, stated)).await
    }
}

impl Registration {
    /// The metadata in `given`, over which `stated` wins (RFC 7591 §2.3), once it makes a client.
    pub(super) async fn of(gate: &Gate, (given, stated): (Object, Object)) -> Result<Self, Rejection> {
        let members = completed((given, &stated), &gate.profile);
        if Value::Object(members.clone()).to_string().len() > LARGEST {
            return Err(Rejection::new(Reason::InvalidClientMetadata, "limits", "the metadata is larger than 16 KiB"));
        }
        let client = enrolment::ciba("", &members, &gate.profile).map_err(|unfit| {
            let cause = unfit.first().map_or("", |Unfit { member, .. }| *member);
            Rejection::new(Reason::InvalidClientMetadata, "DCR-7591-14", cause)
        })?;
        in_its_sector(gate, &members).await?;
        let sector = client.ciba().and_then(|ciba| ciba.sector.clone());
        Ok(Self { members, stated, sector })
    }
}

/// What was `given` and is known here, what was `stated` over that, and what goes without saying (RFC 7591 §2).
pub fn completed((given, stated): (Object, &Object), profile: &Profile) -> Object {
    let mut members: Object = given.into_iter().filter(|(name, _)| is_known(name)).collect();
    members.extend(stated.clone());
    let all = profile.issuer().scopes_supported.join(" ");
    let dpop = members.get("dpop_bound_access_tokens") == Some(&Value::Bool(true));
    for (name, value) in [
        ("scope", json!(all)),
        ("response_types", json!([])),
        ("subject_type", json!("public")),
        ("backchannel_user_code_parameter", json!(false)),
        ("tls_client_certificate_bound_access_tokens", json!(!dpop)),
        ("require_signed_request_object", json!(true)),
    ] {
        members.entry(name).or_insert(value);
    }
    members
}

/// What a handler may rely on: these exist on a verified request alone.
impl Verified<Registration> {
    /// The metadata, and what of it a software statement says.
    pub fn into_members(self) -> (Object, Object) {
        let Registration { members, stated, .. } = self.into_request();
        (members, stated)
    }
}

fn is_known(name: &str) -> bool {
    MEMBERS.contains(&name) || name == "software_statement"
}

/// RFC 7591 §2.3: what an issuer that the operator knows says of the client, in a JWT that has not expired.
pub(super) fn stated(gate: &Gate, given: &Object) -> Result<Object, Rejection> {
    let invalid = |cause| Rejection::new(Reason::InvalidSoftwareStatement, "DCR-7591-13", cause);
    let unapproved = |cause| Rejection::new(Reason::UnapprovedSoftwareStatement, "DCR-7591-13", cause);
    let issuers = match (&gate.trust.registrars, given.get("software_statement")) {
        (Registrars::Vouched(issuers), Some(_)) => issuers,
        (Registrars::Vouched(_), None) => return Err(invalid("there is no software_statement")),
        (_, Some(_)) => return Err(unapproved("no issuer of software statements is known here")),
        (_, None) => return Ok(Object::new()),
    };
    let broken = malformed(Reason::InvalidSoftwareStatement, "DCR-7591-13");
    let text = given.get("software_statement").and_then(Value::as_str).unwrap_or_default();
    let token = Compact::parse(text, LONGEST_STATEMENT).map_err(&broken)?;
    if !token.is_of_type("software-statement+jwt") {
        return Err(invalid("the typ is that of another kind of token"));
    }
    let unknown = || unapproved("the issuer of the software statement is not known here");
    let claims = issuers.of(&token).ok_or_else(unknown)?.claims(token, &gate.profile).map_err(&broken)?;
    if !is_of_now(gate, &claims).map_err(broken)? {
        return Err(invalid("the software statement has expired, or has no exp, or is not for this server"));
    }
    Ok(claims.into_object().into_iter().filter(|(name, _)| MEMBERS.contains(&name.as_str())).collect())
}

fn is_of_now(gate: &Gate, claims: &Claims) -> Result<bool, Malformed> {
    let (now, aud) = (gate.now(), claims.audience()?);
    let ours = aud.is_empty() || aud.contains(&gate.profile.issuer().issuer.as_str());
    let in_time = claims.time("exp")?.is_some_and(|exp| exp > now);
    Ok(ours
        && in_time
        && gate.profile.allows(claims.time("nbf")?, now)
        && gate.profile.allows(claims.time("iat")?, now))
}

/// CIBA §4: the document at `sector_identifier_uri` has to list the client's `jwks_uri`, or one client could learn the names of another's users.
async fn in_its_sector(gate: &Gate, members: &Object) -> Result<(), Rejection> {
    let text = |name| members.get(name).and_then(Value::as_str);
    let (Some(sector), Some(jwks_uri)) = (text("sector_identifier_uri"), text("jwks_uri")) else { return Ok(()) };
    let unfit = |cause| Rejection::new(Reason::InvalidClientMetadata, "CIBA-4R-11", cause);
    let calls = gate.trust.calls.as_ref().ok_or_else(|| unfit("this server calls no URLs of clients"))?;
    let answer = calls.fetch(sector).await.map_err(|_| unfit("the sector_identifier_uri does not answer"))?;
    let listed = json::strings(&answer.body).is_ok_and(|uris| uris.iter().any(|uri| uri == jwks_uri));
    let fine = answer.status == 200 && listed;
    if fine { Ok(()) } else { Err(unfit("the sector_identifier_uri does not list the jwks_uri")) }
}
