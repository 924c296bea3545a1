//! What this server answers: one serde shape per response.

use serde::Serialize;

use crate::secret::{Digest, Secret};
use crate::wire::json::Object;

/// CIBA §7.3: a backchannel authentication request was accepted.
#[derive(Serialize)]
pub struct Acknowledgement {
    /// 43 characters of base64url.
    #[serde(serialize_with = "revealed")]
    pub auth_req_id: Secret,
    /// Seconds until the request expires.
    pub expires_in: u32,
    /// Seconds to leave between two polls.
    pub interval: u32,
}

/// RFC 6749 §5.1, CIBA §10.1.1: tokens.
#[derive(Serialize)]
pub struct Tokens {
    /// 43 characters of base64url.
    #[serde(serialize_with = "revealed")]
    pub access_token: Secret,
    /// `Bearer`, as RFC 8705 §3 leaves it for certificate-bound tokens, or `DPoP` (RFC 9449 §5).
    pub token_type: &'static str,
    /// Seconds the access token lives.
    pub expires_in: u32,
    /// What was granted, space-separated.
    pub scope: String,
    /// 43 characters of base64url, for a client registered for the grant.
    #[serde(serialize_with = "revealed_if_any", skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
    /// A signed JWT (OpenID Connect Core §2), unless the token is the client's own.
    #[serde(serialize_with = "revealed_if_any", skip_serializing_if = "Option::is_none")]
    pub id_token: Option<Secret>,
}

/// OpenID Connect Core §5.3.2: who the user is.
#[derive(Serialize)]
pub struct UserInfo {
    /// As in the ID token.
    pub sub: String,
}

/// RFC 7591 §3.2.1, RFC 7592 §3: a client as it is registered.
#[derive(Serialize)]
pub struct Registered {
    /// Drawn for it.
    pub client_id: String,
    /// Seconds since the epoch.
    pub client_id_issued_at: i64,
    /// What it looks after its registration with.
    #[serde(serialize_with = "revealed")]
    pub registration_access_token: Secret,
    /// Where.
    pub registration_client_uri: String,
    /// The metadata in force.
    #[serde(flatten)]
    pub members: Object,
}

/// RFC 7662 §2.2: what a resource server learns about a token.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Introspection {
    /// Unknown, expired, or not for this resource server: one identical body.
    Inactive {
        /// Always false.
        active: bool,
    },
    /// A live token.
    Active(Box<Live>),
}

/// RFC 7662 §2.2, RFC 8705 §3.2: the claims of a live token.
#[derive(Serialize)]
pub struct Live {
    /// Always true.
    pub active: bool,
    /// This server.
    pub iss: String,
    /// The resource server that asked.
    pub aud: String,
    /// Who holds the token.
    pub client_id: String,
    /// Whose data it opens; nobody's, where the client has it in its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The granted scopes that concern the resource server that asked.
    pub scope: String,
    /// `Bearer` or `DPoP`.
    pub token_type: &'static str,
    /// Seconds since the epoch.
    pub iat: i64,
    /// Seconds since the epoch.
    pub exp: i64,
    /// When the user approved, seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// How the user was authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// What the caller of the API must prove to hold.
    pub cnf: Confirmation,
}

/// RFC 7800 §3.1: one member, which says what the token is bound to.
#[derive(Serialize)]
pub enum Confirmation {
    /// RFC 8705 §3.1: SHA-256 of the DER of a certificate.
    #[serde(rename = "x5t#S256")]
    Certificate(Digest),
    /// RFC 9449 §6.2: SHA-256 of a key (RFC 7638).
    #[serde(rename = "jkt")]
    Key(Digest),
}

/// RFC 6749 §5.2, CIBA §13: a refusal. These two members and no other.
#[derive(Serialize)]
pub struct Problem {
    /// The code.
    pub error: &'static str,
    /// For a developer.
    pub error_description: &'static str,
}

#[expect(clippy::ref_option, reason = "serde passes the field by reference")]
fn revealed_if_any<S: serde::Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => revealed(secret, serializer),
        None => serializer.serialize_none(),
    }
}

fn revealed<S: serde::Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.reveal())
}

/// `/livez`.
#[derive(Debug, Serialize)]
pub struct Life {
    /// Always.
    pub live: bool,
}

/// `/readyz`.
#[derive(Debug, Serialize)]
pub struct Health {
    /// Whether requests can be carried out.
    pub ready: bool,
    /// If not, why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}
