//! [`Accounts`]: the bank's API. It takes a token only from whoever proves the certificate that the token is bound to (RFC 8705 §3).

use axum::Json;
use axum::response::{IntoResponse, Response};
use countersign::secret::{Digest, Secret};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::message::{Message, Role};
use crate::places::Places;
use crate::signer::{ASSERTION_TYPE, Signer};
use crate::story::{Story, Told};

/// Alice's number at this bank: the `sub` of everything that is about her. It says nothing about her, and never becomes anybody else's.
pub(crate) const ALICE: &str = "customer-204117";

const CLIENT_ID: &str = "accounts-api";
const SCOPE: &str = "accounts";
const SERVER: (Role, Role) = (Role::Bank, Role::Countersign);

/// The API and how it asks the server about tokens.
pub(crate) struct Accounts {
    caller: Caller,
    es256: Signer,
    issuer: String,
    story: Story,
}

/// Why a call is refused (RFC 6750 §3.1).
pub(crate) enum Refused {
    /// There is no token.
    NoToken,
    /// The token is unknown or expired, or the caller does not hold its certificate. The caller is not told which.
    InvalidToken,
    /// The token is for something else.
    InsufficientScope,
    /// The server could not be asked. Unsure is never yes.
    Unsure,
}

/// What countersign says of a token, as far as the API needs it.
#[derive(Deserialize)]
struct Introspection {
    active: bool,
    sub: Option<String>,
    scope: Option<String>,
    cnf: Option<Confirmation>,
}

#[derive(Deserialize)]
struct Confirmation {
    #[serde(rename = "x5t#S256")]
    x5t_s256: Digest,
}

impl Accounts {
    pub(crate) fn new(places: &Places, story: Story) -> Told<Self> {
        let es256 = Signer::new(CLIENT_ID, &places.certs.join("accounts-api-es256.key"))?;
        let caller = Caller::without_certificate(&places.certs)?;
        Ok(Self { caller, es256, issuer: places.issuer.clone(), story })
    }

    /// `GET /accounts`, by a caller who has proven to hold `certificate`.
    pub(crate) async fn balance(&self, headers: &HeaderMap, certificate: Option<Digest>) -> Result<Value, Refused> {
        let token = bearer(headers).ok_or(Refused::NoToken)?;
        let said = self.introspect(&token).await.map_err(|_| Refused::Unsure)?;
        let Introspection { active: true, sub: Some(sub), scope: Some(scope), cnf: Some(cnf) } = said else {
            return Err(Refused::InvalidToken);
        };
        let held = self.is_held(cnf.x5t_s256, certificate);
        self.story.pause().await;
        if !held {
            return Err(Refused::InvalidToken);
        }
        if !scope.split(' ').any(|granted| granted == SCOPE) {
            return Err(Refused::InsufficientScope);
        }
        if sub != ALICE {
            return Err(Refused::InvalidToken);
        }
        Ok(json!({ "account": "DE89 3704 0044 0532 0130 00", "owner": "alice", "balance": "1204.50 EUR" }))
    }

    /// RFC 7662 §2: what is this token? An error is no answer.
    async fn introspect(&self, token: &Secret) -> Told<Introspection> {
        let assertion = self.es256.assertion(&self.issuer)?;
        let form = [
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion.reveal()),
            ("token", token.reveal()),
        ];
        let answer = self.caller.post_form(&format!("{}/introspect", self.issuer), &form).await?;
        let said = format!("{}  signed with ES256: I am {}", assertion.reveal(), self.es256.client_id());
        self.story.say(&[
            Message::request(SERVER, "POST /introspect HTTP/1.1")
                .with("client_assertion", said)
                .with("token", token.reveal()),
            Message::answer(SERVER, answer.status)
                .with_of(&answer.body, &["active", "client_id", "sub", "scope", "acr", "cnf", "error"]),
        ]);
        self.story.pause().await;
        if answer.status == 200 { Ok(serde_json::from_value(answer.body)?) } else { Err("it does not say".into()) }
    }

    /// RFC 8705 §3: one rule. No certificate, or another than the token's, and the call is refused.
    fn is_held(&self, bound: Digest, certificate: Option<Digest>) -> bool {
        let held = certificate == Some(bound);
        let (shown, verdict) = match certificate {
            None => ("there is no certificate on this connection".to_owned(), "Refused."),
            Some(shown) if held => (format!("on this connection is {shown}"), "The same: go on."),
            Some(shown) => (format!("on this connection is {shown}"), "Another: refused."),
        };
        self.story.note(Role::Bank, &format!("The token is bound to certificate {bound}; {shown}. {verdict}"));
        held
    }
}

/// RFC 6750 §2.1: one header, and the token in it.
fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (only, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| Secret::new(token.to_owned()))
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, challenge) = match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "Bearer"),
            Self::InvalidToken => (StatusCode::UNAUTHORIZED, "Bearer error=\"invalid_token\""),
            Self::InsufficientScope => {
                (StatusCode::FORBIDDEN, "Bearer error=\"insufficient_scope\", scope=\"accounts\"")
            }
            Self::Unsure => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        };
        (status, [(WWW_AUTHENTICATE, challenge)], Json(json!({}))).into_response()
    }
}
