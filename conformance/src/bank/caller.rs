//! [`Caller`]: whoever calls one of the bank's APIs, once the server has said what their token is worth (FAPI 1.0 part 1 §6.2.1).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, Request};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use countersign::clock::Timestamp;
use countersign::jose::dpop::ALGS;
use countersign::secret::{self, Secret};
use countersign::wire::inbound::PeerCertificate;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::bank::Bank;
use crate::bank::proof::holder;
use crate::fault::Fault;

/// How long the server may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

const INTERACTION: HeaderName = HeaderName::from_static("x-fapi-interaction-id");

/// Somebody with a live token, bound to the certificate that they showed or to the key of their proof, for accounts.
pub(super) struct Caller {
    /// Who was given the token.
    pub(super) client_id: String,
    /// Who approved; nobody, where the client has it in its own name.
    pub(super) sub: Option<String>,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    /// There is no token where one belongs: nobody is told more than what to bring (RFC 6750 §3).
    NoToken,
    /// RFC 6750 §3.1.
    InvalidToken,
    /// RFC 9449 §7.1: the same, under the scheme `DPoP`.
    InvalidDpopToken,
    /// RFC 9449 §7.1.
    InvalidDpopProof,
    /// RFC 6750 §3.1: it is good, but not for this.
    InsufficientScope,
    /// Nobody can say what the token is worth.
    Unknown,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut scheme = "Bearer".to_owned();
        let (status, error) = match self {
            Self::InvalidDpopToken | Self::InvalidDpopProof => {
                scheme = format!("DPoP algs=\"{}\",", ALGS.join(" "));
                let proof = matches!(self, Self::InvalidDpopProof);
                (StatusCode::UNAUTHORIZED, if proof { "invalid_dpop_proof" } else { "invalid_token" })
            }
            Self::NoToken => return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")]).into_response(),
            Self::Unknown => {
                let body = Json(json!({"error": "temporarily_unavailable"}));
                return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
            }
            Self::InvalidToken => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::InsufficientScope => (StatusCode::FORBIDDEN, "insufficient_scope"),
        };
        let challenge = [(WWW_AUTHENTICATE, format!("{scheme} error=\"{error}\""))];
        (status, challenge, Json(json!({"error": error}))).into_response()
    }
}

impl FromRequestParts<Arc<Bank>> for Caller {
    type Rejection = Refusal;

    /// The token in the header alone (§6.2.1-3), live, and bound to the caller's certificate (RFC 8705 §3), or to the key of a proof of this call (RFC 9449 §7.1). That it is for accounts, the server says: this API sees no others.
    async fn from_request_parts(head: &mut Parts, bank: &Arc<Bank>) -> Result<Self, Refusal> {
        let mut headers = head.headers.get_all(AUTHORIZATION).iter();
        let header = headers.next().and_then(|value| value.to_str().ok());
        let (scheme, token) = header.and_then(|value| value.split_once(' ')).ok_or(Refusal::NoToken)?;
        let dpop = scheme.eq_ignore_ascii_case("dpop");
        if !dpop && !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refusal::NoToken);
        }
        let refused = if dpop { Refusal::InvalidDpopToken } else { Refusal::InvalidToken };
        let query = head.uri.query().unwrap_or_default();
        let in_query = form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token");
        if headers.next().is_some() || in_query || !is_token(token) {
            return Err(refused);
        }
        let proof = if dpop { Some(holder(bank, head, token).ok_or(Refusal::InvalidDpopProof)?) } else { None };
        let (member, holds) = match &proof {
            Some(proof) => ("jkt", proof.jkt),
            None => ("x5t#S256", head.extensions.get::<PeerCertificate>().ok_or(refused)?.thumbprint),
        };
        let live = bank.introspect(token).await.map_err(|fault| {
            eprintln!("bank: the server does not say what a token is worth: {fault}");
            Refusal::Unknown
        })?;
        if live["active"] != true || live["cnf"][member] != holds.to_string() {
            return Err(refused);
        }
        if proof.is_some_and(|proof| !bank.shown.first(proof, bank.now())) {
            return Err(Refusal::InvalidDpopProof);
        }
        let text = |member: &str| live[member].as_str().map(str::to_owned);
        Ok(Self { client_id: text("client_id").ok_or(Refusal::Unknown)?, sub: text("sub") })
    }
}

/// RFC 6750 §2.1, so that nothing else gets into the form below.
fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

impl Bank {
    async fn introspect(&self, token: &str) -> Result<Value, Fault> {
        let now = self.now().seconds();
        let jti = Secret::draw(&secret::System);
        let claims = json!({"iss": "accounts-api", "sub": "accounts-api", "aud": self.settings.issuer, "jti": jti.reveal(), "iat": now, "exp": now + 60});
        let assertion = self.api_key.sign("client-authentication+jwt", &claims)?;
        let form = format!(
            "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion={}&token={token}",
            assertion.reveal()
        );
        let request = self.http.post(format!("{}/introspect", self.settings.issuer));
        let answer = request.header("content-type", "application/x-www-form-urlencoded").body(form).send().await?;
        Ok(serde_json::from_slice(&answer.error_for_status()?.bytes().await?)?)
    }
}

/// FAPI 1.0 part 1 §6.2.1-10 and -11: every answer has a date (which the transport adds) and the interaction id of its request, or a new one.
pub(super) async fn interaction(request: Request, next: Next) -> Response {
    let given = request.headers().get(&INTERACTION).filter(|value| value.to_str().is_ok_and(|text| text.len() <= 64));
    let id = given.cloned().unwrap_or_else(|| HeaderValue::from_str(&uuid()).expect("hexadecimal"));
    // A body that does not come is not waited for.
    let answer = tokio::time::timeout(2 * PATIENCE, next.run(request)).await;
    let mut response = answer.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response());
    response.headers_mut().insert(INTERACTION, id);
    response
}

/// RFC 9562 §5.4, from 16 of the 32 bytes of a digest.
fn uuid() -> String {
    let drawn = Secret::draw(&secret::System).digest();
    let half = drawn.bytes().first_chunk().copied().expect("a digest has 32 bytes");
    let bits = (u128::from_be_bytes(half) & !(0xf << 76) & !(0b11 << 62)) | (0x4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// `now` as RFC 3339 has it.
pub(super) fn date_time(now: Timestamp) -> String {
    let now = time::OffsetDateTime::from_unix_timestamp(now.seconds()).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (date, time) = (now.date(), now.time());
    format!("{date}T{:02}:{:02}:{:02}+00:00", time.hour(), time.minute(), time.second())
}
