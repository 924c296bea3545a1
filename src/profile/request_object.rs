//! [`RequestObject`]: the signed request of CIBA §7.1.1 and RFC 9101. Every defect is `invalid_request` (CIBA §13 has no other code for it).

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::jose::claims::{Claims, is_an_id};
use crate::jose::jws::Compact;
use crate::profile::client::Client;
use crate::profile::gate::{Gate, malformed};
use crate::profile::once::{Kind, Spent, Unspent};
use crate::profile::verified::{Governed, Rule};
use crate::wire::Malformed;
use crate::wire::form::Form;

const LONGEST: usize = 16 * 1024;

/// What stands inside alone (CIBA §7.1.1): beside `request` there is the client's authentication and nothing else.
const INSIDE_ONLY: [&str; 13] = [
    "scope",
    "client_notification_token",
    "acr_values",
    "login_hint_token",
    "id_token_hint",
    "login_hint",
    "binding_message",
    "user_code",
    "requested_expiry",
    "request_context",
    "authorization_details",
    "claims",
    "resource",
];

/// What never stands inside (CIBA §7.1.1, RFC 9101 §10.7).
const OUTSIDE_ONLY: [&str; 6] =
    ["request", "request_uri", "client_assertion", "client_assertion_type", "client_secret", "grant_type"];

/// The claims of a request object whose signature holds.
pub struct RequestObject {
    client: Arc<Client>,
    claims: Claims,
    iss: String,
    sub: Option<String>,
    client_id: Option<String>,
    aud: Vec<String>,
    exp: Option<Timestamp>,
    iat: Option<Timestamp>,
    nbf: Option<Timestamp>,
    jti: String,
}

impl Governed for RequestObject {
    const RULES: &'static [Rule<Self>] = &[
        Rule {
            clause: "CIBA-7.1.1-5",
            reason: Reason::InvalidRequest,
            says: "it holds what belongs outside of it",
            holds: |r, _, _| !OUTSIDE_ONLY.iter().any(|name| r.claims.has(name)),
        },
        Rule {
            clause: "CIBA-7.1.1-7",
            reason: Reason::InvalidRequest,
            says: "aud does not hold the issuer",
            holds: |r, p, _| r.aud.contains(&p.issuer().issuer),
        },
        Rule {
            clause: "CIBA-7.1.1-8",
            reason: Reason::InvalidRequest,
            says: "iss is not the client",
            holds: |r, _, _| r.iss == r.client.client_id,
        },
        Rule {
            clause: "JAR-5-2",
            reason: Reason::InvalidRequest,
            says: "client_id is not the client",
            holds: |r, _, _| r.client_id.as_ref().is_none_or(|id| *id == r.client.client_id),
        },
        Rule {
            clause: "JAR-10.8-1",
            reason: Reason::InvalidRequest,
            says: "sub is the client, as in an assertion",
            holds: |r, _, _| r.sub.as_ref() != Some(&r.client.client_id),
        },
        Rule {
            clause: "CIBA-7.1.1-9",
            reason: Reason::InvalidRequest,
            says: "exp is missing or has passed",
            holds: |r, _, now| r.exp.is_some_and(|exp| exp > now),
        },
        Rule {
            clause: "CIBA-7.1.1-10",
            reason: Reason::InvalidRequest,
            says: "iat is missing, or ahead of this server's clock",
            holds: |r, p, now| r.iat.is_some() && p.allows(r.iat, now),
        },
        Rule {
            clause: "CIBA-7.1.1-11",
            reason: Reason::InvalidRequest,
            says: "nbf is missing, or ahead of this server's clock",
            holds: |r, p, now| r.nbf.is_some() && p.allows(r.nbf, now),
        },
        Rule {
            clause: "FAPI1A-5.2.2-17",
            reason: Reason::InvalidRequest,
            says: "nbf is too old",
            holds: |r, p, now| r.nbf.is_some_and(|nbf| now.since(nbf) <= i64::from(p.rules().request_object.oldest)),
        },
        Rule {
            clause: "FAPICIBA-5.2.2-9",
            reason: Reason::InvalidRequest,
            says: "exp is not after nbf, or too long after it",
            holds: |r, p, _| {
                r.exp.zip(r.nbf).is_some_and(|(exp, nbf)| {
                    (1..=i64::from(p.rules().request_object.longest_lifetime)).contains(&exp.since(nbf))
                })
            },
        },
        Rule {
            clause: "CIBA-7.1.1-12",
            reason: Reason::InvalidRequest,
            says: "jti is missing, too long, or has unusual characters",
            holds: |r, _, _| is_an_id(&r.jti),
        },
    ];
}

impl RequestObject {
    /// The request's parameters.
    pub(super) const fn claims(&self) -> &Claims {
        &self.claims
    }

    fn read(client: Arc<Client>, claims: Claims) -> Result<Self, Malformed> {
        let text = |name| claims.string(name).map(|text| text.unwrap_or_default().to_owned());
        Ok(Self {
            iss: text("iss")?,
            sub: claims.string("sub")?.map(str::to_owned),
            client_id: claims.string("client_id")?.map(str::to_owned),
            aud: claims.audience()?.into_iter().map(str::to_owned).collect(),
            exp: claims.time("exp")?,
            iat: claims.time("iat")?,
            nbf: claims.time("nbf")?,
            jti: text("jti")?,
            client,
            claims,
        })
    }
}

/// Opens the request object that the authenticated `client` sent in `form`, and notes its `jti`.
pub(super) async fn open(
    gate: &Gate,
    (client, form): (&Arc<Client>, &Form),
    unspent: &Unspent,
) -> Result<RequestObject, Rejection> {
    let refused = |clause, cause| Rejection::new(Reason::InvalidRequest, clause, cause);
    if form.has_any(&["request_uri"]) {
        return Err(refused("CIBA-7.1.1-2", "request_uri is not offered"));
    }
    if form.has_any(&INSIDE_ONLY) {
        return Err(refused("CIBA-7.1.1-4", "a parameter of the request stands outside the request object"));
    }
    let Some(ciba) = client.ciba() else {
        return Err(Rejection::new(
            Reason::UnauthorizedClient,
            "CIBA-4R-9",
            "the client is not registered for the CIBA grant",
        ));
    };
    let unreadable = malformed(Reason::InvalidRequest, "CIBA-7.1.1-6");
    let request = form.value("request").ok_or_else(|| refused("FAPICIBA-5.2.2-6", "there is no request object"))?;
    let token = Compact::parse(request, LONGEST).map_err(&unreadable)?;
    if !token.is_of_type("oauth-authz-req+jwt") {
        return Err(refused("CIBA-7.1.1-17", "the typ is that of another kind of token"));
    }
    let alg = ciba.backchannel_authentication_request_signing_alg;
    let claims = gate.vouched(client, token, alg).await.map_err(malformed(Reason::InvalidRequest, "JAR-6.2-1"))?;
    let object = RequestObject::read(client.clone(), claims).map_err(unreadable)?;
    let object = gate.hold(object)?.into_request();
    let exp = object.exp.expect("CIBA-7.1.1-9 held");
    unspent.note(Spent::new(Kind::RequestObject, (&client.client_id, &object.jti), exp));
    Ok(object)
}
