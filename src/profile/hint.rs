//! [`Hint`]: who is to be asked (CIBA §7.1). Whatever kind of hint a client sends, the bank is asked one question about it.

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::jose::claims::{Claims, is_an_id};
use crate::jose::jws::Compact;
use crate::profile::Profile;
use crate::profile::client::Client;
use crate::profile::gate::{Gate, malformed};
use crate::profile::once::{Kind, Spent};
use crate::profile::verified::{Governed, Rule};
use crate::wire::Malformed;
use crate::wire::bank::is_sub;

const LONGEST: usize = 512;
const LONGEST_TOKEN: usize = 8 * 1024;

/// Who is to be asked.
pub struct Hint {
    /// The parameter that carried it.
    pub hint_type: &'static str,
    /// Its value: the client's words for a `login_hint`, the `sub` inside for the two kinds of tokens.
    pub value: String,
    /// Of what it must not be used again.
    pub once: Option<Once>,
}

/// A hint that is good once.
pub struct Once {
    /// Who issued it.
    pub iss: String,
    /// Its id.
    pub id: Spent,
}

impl Hint {
    /// Whether it is of a kind that `profile` accepts, and of a size.
    pub(super) fn is_usable(&self, profile: &Profile) -> bool {
        let longest = if self.hint_type == "login_hint" { LONGEST } else { LONGEST_TOKEN };
        profile.hints().any(|accepted| accepted == self.hint_type)
            && self.value.len() <= longest
            && !self.value.chars().any(char::is_control)
    }

    /// The hint with what it says, where it is a token: whoever signed that is believed.
    pub(super) fn believed(self, gate: &Gate, client: &Client) -> Result<Self, Rejection> {
        match self.hint_type {
            "id_token_hint" => Ok(Self { value: by_our_own_word(gate, client, &self.value)?, ..self }),
            "login_hint_token" => {
                let (value, once) = by_the_word_of_another(gate, &self.value)?;
                Ok(Self { value, once: Some(once), ..self })
            }
            _ => Ok(self),
        }
    }
}

/// The claims of an ID token of ours whose signature holds.
struct IdTokenHint {
    client_id: String,
    iss: String,
    aud: Vec<String>,
    iat: Option<Timestamp>,
    sub: Option<String>,
}

impl Governed for IdTokenHint {
    const RULES: &'static [Rule<Self>] = &[
        Rule {
            clause: "CIBA-7.1-22",
            reason: Reason::InvalidRequest,
            says: "the id_token_hint is not an ID token of ours for this client",
            holds: |h, p, _| h.iss == p.issuer().issuer && h.aud == [h.client_id.as_str()] && h.sub.is_some(),
        },
        Rule {
            clause: "CIBA-7.1-23",
            reason: Reason::InvalidRequest,
            says: "the id_token_hint is too old",
            holds: |h, p, now| {
                let oldest = i64::from(p.rules().authentication_request.oldest_id_token_hint);
                h.iat.is_some_and(|iat| now.since(iat) <= oldest)
            },
        },
    ];
}

/// CIBA §7.1 `id_token_hint`: an ID token that this server gave this client, under any key it ever signed with; its expiry is no matter.
fn by_our_own_word(gate: &Gate, client: &Client, hint: &str) -> Result<String, Rejection> {
    let unreadable = malformed(Reason::InvalidRequest, "CIBA-7.1-22");
    let token = Compact::parse(hint, LONGEST_TOKEN).map_err(&unreadable)?;
    if !token.is_typed("JWT") {
        return Err(unreadable(Malformed("the id_token_hint is another kind of token")));
    }
    let alg = token.alg();
    let claims = token.verify(&gate.trust.keyring.own(), alg).map_err(&unreadable)?;
    let read = |claims: &Claims| {
        Ok(IdTokenHint {
            client_id: client.client_id.clone(),
            iss: claims.string("iss")?.unwrap_or_default().to_owned(),
            aud: claims.audience()?.into_iter().map(str::to_owned).collect(),
            iat: claims.time("iat")?,
            sub: claims.string("sub")?.map(str::to_owned),
        })
    };
    let held = gate.hold(read(&claims).map_err(&unreadable)?)?.into_request();
    let sub = held.sub.expect("CIBA-7.1-22 held");
    let sector = client.ciba().and_then(|ciba| ciba.sector.as_deref());
    match (sector, &gate.trust.pseudonyms) {
        (None, _) => Ok(sub),
        (Some(sector), Some(pseudonyms)) => pseudonyms
            .name(sector, &sub)
            .ok_or_else(|| unreadable(Malformed("the sub of the id_token_hint is nobody's pseudonym"))),
        (Some(_), None) => Err(unreadable(Malformed("there are no pseudonyms here"))),
    }
}

/// The claims of a `login_hint_token` whose signature holds.
struct LoginHintToken {
    aud: Vec<String>,
    exp: Option<Timestamp>,
    iat: Option<Timestamp>,
    nbf: Option<Timestamp>,
    jti: String,
    sub: String,
}

impl Governed for LoginHintToken {
    const RULES: &'static [Rule<Self>] = &[
        Rule {
            clause: "CIBA-7.1-20",
            reason: Reason::InvalidRequest,
            says: "the login_hint_token is not for this server alone",
            holds: |t, p, _| t.aud == [p.issuer().issuer.as_str()],
        },
        Rule {
            clause: "CIBA-7.1-20",
            reason: Reason::InvalidRequest,
            says: "the login_hint_token has no exp",
            holds: |t, _, _| t.exp.is_some(),
        },
        Rule {
            clause: "CIBA-13-5",
            reason: Reason::ExpiredLoginHintToken,
            says: "the login_hint_token has expired",
            holds: |t, _, now| t.exp.is_some_and(|exp| exp > now),
        },
        Rule {
            clause: "CIBA-7.1-20",
            reason: Reason::InvalidRequest,
            says: "the exp of the login_hint_token is too far ahead, or its iat or nbf is ahead of this server's clock",
            holds: |t, p, now| {
                let longest = i64::from(p.rules().authentication_request.longest_login_hint_token);
                t.exp.is_some_and(|exp| exp.since(now) <= longest) && p.allows(t.iat, now) && p.allows(t.nbf, now)
            },
        },
        Rule {
            clause: "CIBA-7.1-20",
            reason: Reason::InvalidRequest,
            says: "the login_hint_token has no usable jti or sub",
            holds: |t, _, _| is_an_id(&t.jti) && is_sub(&t.sub),
        },
    ];
}

/// CIBA §7.1 `login_hint_token`: a JWT of type `login-hint+jwt` by an issuer that the operator named, for this server, good once.
fn by_the_word_of_another(gate: &Gate, hint: &str) -> Result<(String, Once), Rejection> {
    let unreadable = malformed(Reason::InvalidRequest, "CIBA-7.1-20");
    let token = Compact::parse(hint, LONGEST_TOKEN).map_err(&unreadable)?;
    if !token.is_typed("login-hint+jwt") {
        return Err(unreadable(Malformed("the login_hint_token is another kind of token")));
    }
    let unknown = Malformed("the issuer of the login_hint_token is not known here");
    let voucher = gate.trust.login_hint_token_issuers.of(&token).ok_or(unknown).map_err(&unreadable)?;
    let claims = voucher.claims(token, &gate.profile).map_err(&unreadable)?;
    let read = |claims: &Claims| {
        let text = |name| claims.string(name).map(|text| text.unwrap_or_default().to_owned());
        Ok(LoginHintToken {
            aud: claims.audience()?.into_iter().map(str::to_owned).collect(),
            exp: claims.time("exp")?,
            iat: claims.time("iat")?,
            nbf: claims.time("nbf")?,
            jti: text("jti")?,
            sub: text("sub")?,
        })
    };
    let held = gate.hold(read(&claims).map_err(&unreadable)?)?.into_request();
    let exp = held.exp.expect("CIBA-13-5 held");
    let id = Spent::new(Kind::LoginHintToken, (voucher.iss(), &held.jti), exp);
    let once = Once { iss: voucher.iss().to_owned(), id };
    Ok((held.sub, once))
}
