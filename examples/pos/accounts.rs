//! [`Accounts`]: the bank's API. It takes a token only from whoever proves the certificate (RFC 8705 §3) or the key (RFC 9449 §7) that it is bound to.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::response::{IntoResponse, Response};
use countersign::clock::{self, Clock, Timestamp};
use countersign::jose::dpop::{Call, Proof};
use countersign::secret::{Digest, Secret};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::holder::Binding;
use crate::message::{Message, Role};
use crate::places::Places;
use crate::signer::{ASSERTION_TYPE, Signer};
use crate::story::{Story, Told};

/// Alice's number at this bank: the `sub` of everything that is about her. It says nothing about her, and never becomes anybody else's.
pub(crate) const ALICE: &str = "customer-204117";

const CLIENT_ID: &str = "accounts-api";
const SCOPE: &str = "accounts";

/// More proofs than anybody makes in a minute. Nobody is let in beyond that.
const MOST: usize = 10_000;
const SERVER: (Role, Role) = (Role::Bank, Role::Countersign);

/// The API and how it asks the server about tokens.
pub(crate) struct Accounts {
    caller: Caller,
    es256: Signer,
    issuer: String,
    /// The one URL that a proof may be of.
    url: [String; 1],
    shown: Mutex<Shown>,
    story: Story,
}

/// Proofs that were shown, by the second from which on they are too old for anybody: until then each is good once.
type Shown = BTreeMap<Timestamp, HashSet<Proven>>;

/// By its key and its `jti` a proof is told from every other.
type Proven = (Digest, String);

/// Why a call is refused.
pub(crate) struct Refused(Binding, Why);

/// RFC 6750 §3.1, RFC 9449 §7.1.
enum Why {
    /// There is no token.
    NoToken,
    /// The token is unknown or expired, or the caller does not hold what it is bound to. The caller is not told which.
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
enum Confirmation {
    #[serde(rename = "x5t#S256")]
    Certificate(Digest),
    #[serde(rename = "jkt")]
    Key(Digest),
}

impl Accounts {
    pub(crate) fn new(places: &Places, story: Story) -> Told<Self> {
        let es256 = Signer::new(CLIENT_ID, &places.certs.join("accounts-api-es256.key"))?;
        let caller = Caller::without_certificate(&places.certs)?;
        let (issuer, url) = (places.issuer.clone(), [format!("{}/accounts", places.bank)]);
        Ok(Self { caller, es256, issuer, url, shown: Mutex::default(), story })
    }

    /// `GET /accounts`, by a caller who has proven to hold `certificate`.
    pub(crate) async fn balance(&self, headers: &HeaderMap, certificate: Option<Digest>) -> Result<Value, Refused> {
        let (binding, token) = token(headers).ok_or(Refused(Binding::Certificate, Why::NoToken))?;
        let refused = |why| Refused(binding, why);
        let proof = match binding {
            Binding::Certificate => None,
            Binding::Key => self.proven(headers, &token),
        };
        let shown = match binding {
            Binding::Certificate => certificate,
            Binding::Key => proof.as_ref().map(|((jkt, _), _)| *jkt),
        };
        let said = self.introspect(&token).await.map_err(|_| refused(Why::Unsure))?;
        let Introspection { active: true, sub: Some(sub), scope: Some(scope), cnf: Some(cnf) } = said else {
            return Err(refused(Why::InvalidToken));
        };
        let held = self.is_held(&cnf, binding, shown);
        self.story.pause().await;
        // Last: who has no token has nothing remembered.
        if !held || proof.is_some_and(|proof| !self.is_new(proof)) {
            return Err(refused(Why::InvalidToken));
        }
        if !scope.split(' ').any(|granted| granted == SCOPE) {
            return Err(refused(Why::InsufficientScope));
        }
        if sub != ALICE {
            return Err(refused(Why::InvalidToken));
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

    /// One rule: no certificate, or another than the token's, and the call is refused. The same goes for a key.
    fn is_held(&self, cnf: &Confirmation, binding: Binding, shown: Option<Digest>) -> bool {
        let (bound, held) = match (cnf, binding) {
            (Confirmation::Certificate(bound), Binding::Certificate) | (Confirmation::Key(bound), Binding::Key) => {
                (bound, shown == Some(*bound))
            }
            (Confirmation::Certificate(bound) | Confirmation::Key(bound), _) => (bound, false),
        };
        let word = binding.word();
        let (shown, verdict) = match shown {
            None => (format!("there is no {word} to this call"), "Refused."),
            Some(shown) if held => (format!("to this call there is {shown}"), "The same: go on."),
            Some(shown) => (format!("to this call there is {shown}"), "Another: refused."),
        };
        self.story.note(Role::Bank, &format!("The token is bound to {word} {bound}; {shown}. {verdict}"));
        held
    }

    /// What the one proof in `headers` shows, and until when it could, if it is one of this call and this token.
    fn proven(&self, headers: &HeaderMap, token: &Secret) -> Option<(Proven, Timestamp)> {
        let mut values = headers.get_all("dpop").iter();
        let (only, None) = (values.next()?, values.next()) else { return None };
        let proof = Proof::read(only.to_str().ok()?).ok()?;
        let now = clock::System.now();
        let call = Call { method: "GET", places: &self.url, token: Some(token), now, leeway: 0 };
        let proven = proof.of(&call).ok()?;
        Some(((proven.jkt, proven.jti.to_owned()), proven.until))
    }

    /// Whether it is shown for the first time.
    fn is_new(&self, (proof, until): (Proven, Timestamp)) -> bool {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = shown.split_off(&clock::System.now());
        let known = shown.values().any(|proofs| proofs.contains(&proof));
        let full = shown.values().map(HashSet::len).sum::<usize>() >= MOST;
        !known && !full && shown.entry(until).or_default().insert(proof)
    }
}

/// RFC 6750 §2.1, RFC 9449 §7.1: one header, and the token in it. Its scheme says what the token is bound to.
fn token(headers: &HeaderMap) -> Option<(Binding, Secret)> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (only, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    let binding = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Binding::Certificate,
        "dpop" => Binding::Key,
        _ => return None,
    };
    (!token.is_empty()).then(|| (binding, Secret::new(token.to_owned())))
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(binding, why) = self;
        let scheme = match binding {
            Binding::Certificate => "Bearer",
            Binding::Key => "DPoP",
        };
        let (status, challenge) = match why {
            Why::NoToken => (StatusCode::UNAUTHORIZED, scheme.to_owned()),
            Why::InvalidToken => (StatusCode::UNAUTHORIZED, format!("{scheme} error=\"invalid_token\"")),
            Why::InsufficientScope => {
                (StatusCode::FORBIDDEN, format!("{scheme} error=\"insufficient_scope\", scope=\"accounts\""))
            }
            Why::Unsure => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        };
        (status, [(WWW_AUTHENTICATE, challenge)], Json(json!({}))).into_response()
    }
}
