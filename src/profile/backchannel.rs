//! [`Backchannel`]: an authentication request at the backchannel endpoint (CIBA §7.1), and the clauses that govern it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::Value;

use crate::error::{Reason, Rejection};
use crate::jose::claims::Claims;
use crate::profile::client::{Ciba, Client, Delivery};
use crate::profile::gate::{Gate, Request, malformed};
use crate::profile::hint::Hint;
use crate::profile::once::{Spent, Unspent};
use crate::profile::plain::is_plain;
use crate::profile::scope::is_scope;
use crate::profile::verified::{Governed, Rule, Verified};
use crate::profile::{Profile, client_auth, request_object};
use crate::secret::Secret;
use crate::wire::Malformed;
use crate::wire::inbound::{Inbound, is_b64token};

/// The kinds of hints (CIBA §7.1).
pub(super) const HINTS: [&str; 3] = ["login_hint_token", "id_token_hint", "login_hint"];
const LONGEST_ACR_VALUES: usize = 512;
const MOST_ACR_VALUES: usize = 8;
const LARGEST_CONTEXT: usize = 4 * 1024;
const DEEPEST_CONTEXT: usize = 8;
const LONGEST_USER_CODE: usize = 64;
/// CIBA §7.1: at most 1,024 characters; 22 of base64 can hold the 128 bits it asks for.
const NOTIFICATION_TOKEN: RangeInclusive<usize> = 22..=1024;

/// An authentication request, parsed from the request object alone.
pub struct Backchannel {
    client: Arc<Client>,
    scope: String,
    hints: Vec<Hint>,
    binding_message: Option<String>,
    requested_expiry: Option<u32>,
    acr_values: Vec<String>,
    user_code: Option<Secret>,
    client_notification_token: Option<Secret>,
    request_context: Option<Value>,
}

impl Governed for Backchannel {
    const RULES: &'static [Rule<Self>] = &[
        Rule {
            clause: "CIBA-7.1-9",
            reason: Reason::InvalidRequest,
            says: "there is no scope",
            holds: |r, _, _| !r.scope.is_empty(),
        },
        Rule {
            clause: "CIBA-7.1-11",
            reason: Reason::InvalidScope,
            says: "scope is malformed",
            holds: |r, _, _| is_scope(&r.scope),
        },
        Rule {
            clause: "CIBA-7.1-10",
            reason: Reason::InvalidScope,
            says: "scope does not have openid",
            holds: |r, _, _| r.scopes().any(|scope| scope == "openid"),
        },
        Rule {
            clause: "CIBA-7.1-12",
            reason: Reason::InvalidScope,
            says: "scope has a value that the client is not registered for",
            holds: |r, _, _| r.scopes().all(|scope| r.client.scope().iter().any(|registered| registered == scope)),
        },
        Rule {
            clause: "CIBA-7.1-18",
            reason: Reason::InvalidRequest,
            says: "there are too many acr_values",
            holds: |r, _, _| r.acr_values.len() <= MOST_ACR_VALUES,
        },
        Rule {
            clause: "CIBA-7.1-19",
            reason: Reason::InvalidRequest,
            says: "there is not exactly one hint",
            holds: |r, _, _| r.hints.len() == 1,
        },
        Rule {
            clause: "CIBA-7.1-26",
            reason: Reason::InvalidRequest,
            says: "the hint is of a kind that is not offered, too long, or has control characters",
            holds: |r, p, _| r.hints.iter().all(|hint| hint.is_usable(p)),
        },
        Rule {
            clause: "FAPICIBA-5.2.2-2",
            reason: Reason::InvalidRequest,
            says: "there is no binding_message",
            holds: |r, p, _| r.binding_message.is_some() || !p.rules().authentication_request.binding_message_required,
        },
        Rule {
            clause: "CIBA-7.1-29",
            reason: Reason::InvalidBindingMessage,
            says: "binding_message is too long or would not be shown as it is",
            holds: |r, p, _| {
                r.binding_message.as_ref().is_none_or(|message| {
                    is_plain(message, p.rules().authentication_request.longest_binding_message as usize)
                })
            },
        },
        Rule {
            clause: "CIBA-7.1-31",
            reason: Reason::InvalidRequest,
            says: "user_code is not registered for this client, or too long",
            holds: |r, _, _| r.user_code.as_ref().is_none_or(|code| r.may_send(code)),
        },
        Rule {
            clause: "CIBA-7.1-13",
            reason: Reason::InvalidRequest,
            says: "there is no client_notification_token, or it is too short, too long, or has unusual characters",
            holds: |r, _, _| match r.client.ciba().map(|ciba| &ciba.delivery) {
                Some(Delivery::Ping(_)) => {
                    let token = r.client_notification_token.as_ref();
                    token.is_some_and(|token| is_b64token(token.reveal(), NOTIFICATION_TOKEN))
                }
                Some(Delivery::Poll) | None => true,
            },
        },
        Rule {
            clause: "FAPICIBA-5.3-1",
            reason: Reason::InvalidRequest,
            says: "request_context is not an object, or too large or deep",
            holds: |r, _, _| r.request_context.as_ref().is_none_or(is_context),
        },
    ];

    fn client_id(&self) -> Option<&str> {
        Some(&self.client.client_id)
    }
}

impl Request for Backchannel {
    /// CIBA §7.2: authenticate the client, then open the signed request, then look at what it asks for.
    async fn read(gate: &Gate, inbound: Inbound, unspent: &Unspent) -> Result<Self, Rejection> {
        let form = inbound.form().map_err(malformed(Reason::InvalidRequest, "CIBA-7.1-2"))?;
        let client = client_auth::authenticate(gate, (&inbound, &form), unspent).await?;
        let by = client.client_id.clone();
        let object = request_object::open(gate, (&client, &form), unspent).await.map_err(|refusal| refusal.by(&by))?;
        let request = Self::parse(client, object.claims());
        let request = request.map_err(|why| malformed(Reason::InvalidRequest, "CIBA-7.1.1-14")(why).by(&by))?;
        // CIBA §7.2: the hint comes after everything else.
        let request = gate.hold(request).map_err(|refusal| refusal.by(&by))?.into_request();
        request.believed(gate).map_err(|refusal| refusal.by(&by))
    }
}

/// What a handler may rely on: these exist on a verified request alone.
impl Verified<Backchannel> {
    /// Who asks.
    pub fn client(&self) -> &Arc<Client> {
        &self.request().client
    }

    /// Whom to ask: the one hint that was given.
    pub fn hint(&self) -> &Hint {
        self.request().hints.first().expect("CIBA-7.1-19 held")
    }

    /// Everything that the request uses up and nobody has spent yet, its hint last: whoever takes it spends it.
    pub fn unspent_and_hint(&self) -> Vec<Spent> {
        let hint = self.hint().once.as_ref().map(|once| once.id.clone());
        self.unspent().take().into_iter().chain(hint).collect()
    }

    /// What is asked for.
    pub fn scope(&self) -> Vec<String> {
        self.request().scopes().map(str::to_owned).collect()
    }

    /// The code by which the user lets the client have them asked (CIBA §7.1.2).
    pub fn user_code(&self) -> Option<&Secret> {
        self.request().user_code.as_ref()
    }

    /// By which token a client that is pinged knows the ping.
    pub fn client_notification_token(&self) -> Option<&Secret> {
        let pinged = |ciba: &Ciba| matches!(ciba.delivery, Delivery::Ping(_));
        self.request().client_notification_token.as_ref().filter(|_| self.client().ciba().is_some_and(pinged))
    }

    /// What both devices show.
    pub fn binding_message(&self) -> &str {
        self.request().binding_message.as_deref().unwrap_or_default()
    }

    /// The authentication context classes the client would like, best first.
    pub fn acr_values(&self) -> &[String] {
        &self.request().acr_values
    }

    /// What the client knows of the circumstances, for the bank to weigh: untrusted, and never a reason to ask for less (FAPI-CIBA-ID1 §5.3).
    pub fn request_context(&self) -> Option<&Value> {
        self.request().request_context.as_ref()
    }

    /// How long the request lives, in seconds: what was asked for, capped (CIBA §7.1 `requested_expiry`).
    pub fn expires_in(&self, profile: &Profile) -> u32 {
        let limits = &profile.rules().authentication_request;
        self.request().requested_expiry.map_or(limits.default_expiry, |requested| requested.min(limits.longest_expiry))
    }
}

impl Backchannel {
    /// With what the hint says, where it is a token.
    fn believed(self, gate: &Gate) -> Result<Self, Rejection> {
        let client = &self.client;
        let hints = self.hints.into_iter().map(|hint| hint.believed(gate, client)).collect::<Result<_, _>>()?;
        Ok(Self { hints, ..self })
    }

    fn may_send(&self, code: &Secret) -> bool {
        let fine = code.reveal().len() <= LONGEST_USER_CODE && !code.reveal().chars().any(char::is_control);
        fine && self.client.ciba().is_some_and(|ciba| ciba.user_code)
    }

    fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.split(' ')
    }

    fn parse(client: Arc<Client>, claims: &Claims) -> Result<Self, Malformed> {
        let mut hints = Vec::new();
        for hint_type in HINTS {
            if let Some(value) = claims.string(hint_type)? {
                hints.push(Hint { hint_type, value: value.to_owned(), once: None });
            }
        }
        let acr_values = claims.string("acr_values")?.unwrap_or_default();
        if acr_values.len() > LONGEST_ACR_VALUES || !acr_values.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(Malformed("acr_values is too long or has unusual characters"));
        }
        Ok(Self {
            client,
            scope: claims.string("scope")?.unwrap_or_default().to_owned(),
            hints,
            binding_message: claims.string("binding_message")?.map(str::to_owned),
            requested_expiry: expiry(claims)?,
            acr_values: acr_values.split(' ').filter(|value| !value.is_empty()).map(str::to_owned).collect(),
            user_code: claims.string("user_code")?.map(|code| Secret::new(code.to_owned())),
            client_notification_token: claims
                .string("client_notification_token")?
                .map(|token| Secret::new(token.to_owned())),
            request_context: claims.value("request_context").cloned(),
        })
    }
}

/// CIBA §7.1.1: a JSON number, or a string of digits; a positive whole number either way. Over ten digits it is no longer taken for one.
fn expiry(claims: &Claims) -> Result<Option<u32>, Malformed> {
    let bad = Malformed("requested_expiry is not a positive whole number");
    let number = match claims.value("requested_expiry") {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_u64().ok_or(bad)?,
        Some(Value::String(text)) if text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse::<u64>().map_err(|_| bad)?
        }
        Some(_) => return Err(bad),
    };
    if number == 0 || number > 9_999_999_999 { Err(bad) } else { Ok(Some(u32::try_from(number).unwrap_or(u32::MAX))) }
}

/// FAPI-CIBA-ID1 §5.3: a JSON object, open in its members; here, within limits.
fn is_context(context: &Value) -> bool {
    context.is_object() && depth(context) <= DEEPEST_CONTEXT && context.to_string().len() <= LARGEST_CONTEXT
}

/// How many arrays and objects lie within each other. What comes here has passed the bound of the JSON parser.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(entries) => 1 + entries.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claims(value: Value) -> Claims {
        match value {
            Value::Object(object) => Claims::new(object),
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn ciba_7_1_34_and_35_an_expiry_is_a_positive_whole_number_or_its_digits() {
        for (given, read) in
            [(json!(30), 30), (json!("30"), 30), (json!("0000000030"), 30), (json!(9_999_999_999_u64), u32::MAX)]
        {
            assert_eq!(expiry(&claims(json!({ "requested_expiry": given }))), Ok(Some(read)), "{given}");
        }
        for bad in [
            json!(0),
            json!("0"),
            json!(-1),
            json!(1.5),
            json!(1e3),
            json!("abc"),
            json!(""),
            json!("+5"),
            json!(" 5"),
            json!("12345678901"),
            json!(u64::MAX),
            json!(null),
            json!(true),
            json!([5]),
        ] {
            assert!(expiry(&claims(json!({ "requested_expiry": bad }))).is_err(), "{bad}");
        }
    }
}
