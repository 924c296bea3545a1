//! [`ClientAssertion`]: client authentication by `private_key_jwt` (OpenID Connect Core §9, RFC 7523 §3). Every failure is `invalid_client`.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::jose::claims::{Claims, is_an_id};
use crate::jose::jws::Compact;
use crate::profile::client::{Authentication, Client};
use crate::profile::gate::{Gate, malformed};
use crate::profile::once::{Kind, Spent, Unspent};
use crate::profile::verified::{Governed, Rule};
use crate::profile::{AssertionAudience, Profile};
use crate::wire::Malformed;
use crate::wire::form::Form;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const LONGEST: usize = 8 * 1024;

/// The claims of a client assertion whose signature holds.
pub struct ClientAssertion {
    client: Arc<Client>,
    iss: String,
    sub: String,
    aud: Vec<String>,
    exp: Option<Timestamp>,
    nbf: Option<Timestamp>,
    iat: Option<Timestamp>,
    jti: String,
    client_id: Option<String>,
}

impl Governed for ClientAssertion {
    const RULES: &'static [Rule<Self>] = &[
        Rule {
            clause: "CA-3",
            reason: Reason::InvalidClient,
            says: "iss and sub are not both the client",
            holds: |a, _, _| a.iss == a.client.client_id && a.sub == a.iss,
        },
        Rule {
            clause: "CA-4",
            reason: Reason::InvalidClient,
            says: "client_id is another than sub",
            holds: |a, _, _| a.client_id.as_ref().is_none_or(|id| *id == a.sub),
        },
        Rule {
            clause: "CIBA-7.1-5",
            reason: Reason::InvalidClient,
            says: "aud is not this server alone",
            holds: addressed_to_us,
        },
        Rule {
            clause: "CA-8",
            reason: Reason::InvalidClient,
            says: "exp is missing or has passed",
            holds: |a, _, now| a.exp.is_some_and(|exp| exp > now),
        },
        Rule {
            clause: "RFC7523-3-4",
            reason: Reason::InvalidClient,
            says: "exp is too far ahead",
            holds: |a, p, now| {
                a.exp.is_some_and(|exp| exp.since(now) <= i64::from(p.rules().client_authentication.longest_assertion))
            },
        },
        Rule {
            clause: "CA-9",
            reason: Reason::InvalidClient,
            says: "nbf is ahead of this server's clock",
            holds: |a, p, now| p.allows(a.nbf, now),
        },
        Rule {
            clause: "CA-10",
            reason: Reason::InvalidClient,
            says: "iat is ahead of this server's clock",
            holds: |a, p, now| p.allows(a.iat, now),
        },
        Rule {
            clause: "CA-11",
            reason: Reason::InvalidClient,
            says: "jti is missing, too long, or has unusual characters",
            holds: |a, _, _| is_an_id(&a.jti),
        },
    ];
}

impl ClientAssertion {
    fn read(client: Arc<Client>, claims: &Claims, client_id: Option<&str>) -> Result<Self, Malformed> {
        let text = |name| claims.string(name).map(|text| text.unwrap_or_default().to_owned());
        Ok(Self {
            iss: text("iss")?,
            sub: text("sub")?,
            aud: claims.audience()?.into_iter().map(str::to_owned).collect(),
            exp: claims.time("exp")?,
            nbf: claims.time("nbf")?,
            iat: claims.time("iat")?,
            jti: text("jti")?,
            client_id: client_id.map(str::to_owned),
            client,
        })
    }
}

/// Finds out who signed the assertion in `form`. An unknown client and a bad signature get the same bytes.
pub(super) async fn authenticate(gate: &Gate, form: &Form, unspent: &Unspent) -> Result<Arc<Client>, Rejection> {
    let failed = |clause, cause| Rejection::new(Reason::InvalidClient, clause, cause);
    if form.value("client_assertion_type") != Some(ASSERTION_TYPE) {
        return Err(failed("CA-1", "client_assertion_type is absent or another"));
    }
    let asserted = form.value("client_assertion").ok_or_else(|| failed("CA-13", "there is no client_assertion"))?;
    let token = Compact::parse(asserted, LONGEST).map_err(malformed(Reason::InvalidClient, "CA-2"))?;
    if !token.is_of_type("client-authentication+jwt") {
        return Err(failed("CA-7", "the typ is that of another kind of token"));
    }
    let claimed = token.unverified("sub").ok_or_else(|| failed("CA-3", "there is no sub"))?;
    let Some(client) = gate.clients.client(claimed).await? else {
        gate.pretend(&token);
        return Err(failed("CA-14", "no such client"));
    };
    let by = client.client_id.clone();
    let id = believe(gate, token, (client.clone(), form)).await.map_err(|refusal| refusal.by(&by))?;
    unspent.note(id);
    Ok(client)
}

/// Holds the assertion against the client it claims to be from; its id is what it uses up.
async fn believe(gate: &Gate, token: Compact<'_>, (client, form): (Arc<Client>, &Form)) -> Result<Spent, Rejection> {
    let Authentication::PrivateKeyJwt(alg) = client.authentication else {
        gate.pretend(&token);
        return Err(Rejection::new(Reason::InvalidClient, "CIBA-7.1-4", "the client is registered for another method"));
    };
    let signed = gate.vouched(&client, token, alg).await;
    let claims = signed.map_err(malformed(Reason::InvalidClient, "CA-12"))?;
    let assertion = ClientAssertion::read(client, &claims, form.value("client_id"))
        .map_err(malformed(Reason::InvalidClient, "CA-2"))?;
    let verified = gate.hold(assertion)?;
    let ClientAssertion { client, jti, exp, .. } = verified.request();
    Ok(Spent::new(Kind::ClientAssertion, (&client.client_id, jti), exp.expect("CA-8 held")))
}

/// CIBA §7.1, RFC 10070: one audience, and it is ours. An array with a foreign entry would let another server replay the assertion here.
fn addressed_to_us(assertion: &ClientAssertion, profile: &Profile, _: Timestamp) -> bool {
    let [only] = assertion.aud.as_slice() else { return false };
    match profile.rules().client_authentication.assertion_audience {
        AssertionAudience::Endpoints => profile.issuer().has(only),
        AssertionAudience::Issuer => *only == profile.issuer().issuer,
    }
}
