//! [`Inbound`]: a request as it arrived, before anyone believed a word of it.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use bytes::Bytes;
use http::Method;

use crate::secret::{Digest, Secret};
use crate::wire::Malformed;
use crate::wire::form::Form;
use crate::wire::json;

/// What arrived. Untrusted, and holds no decision. The `Host` header is not kept: it decides nothing.
pub struct Inbound {
    /// The method.
    pub method: Method,
    /// The `DPoP` headers (RFC 9449 §4.1), of which there may be one.
    pub dpop: Vec<String>,
    /// Whether the URI had a query. No endpoint reads one (RFC 6749 §2.3.1: credentials never travel in the URI).
    pub query: bool,
    /// The media type of the body, without parameters, in lower case.
    pub content_type: Option<String>,
    /// The `Authorization` header. No client authenticates by one; a bearer of a token does.
    pub authorization: Option<Authorization>,
    /// The last segment of the path, as it was written: which client, at the configuration endpoint (RFC 7592 §2).
    pub place: String,
    /// The media types of `Accept`, without parameters, in lower case.
    pub accept: Vec<String>,
    /// The certificate whose key the peer proved in the TLS handshake.
    pub certificate: Option<PeerCertificate>,
    /// Where it came from: the other end of the connection, also behind a balancer. It opens nothing; it is recorded.
    pub address: Option<IpAddr>,
    /// The body, 64 KiB at most.
    pub body: Bytes,
}

impl Inbound {
    /// The token of a bearer (RFC 6750 §2.1).
    pub const fn bearer(&self) -> Option<&Secret> {
        match &self.authorization {
            Some(Authorization::Bearer(token)) => Some(token),
            Some(Authorization::Dpop(_) | Authorization::Several | Authorization::Other) | None => None,
        }
    }

    /// The body as `application/x-www-form-urlencoded` (CIBA §7.1, RFC 6749 §3.2).
    ///
    /// # Errors
    /// The content type is another, or the form is [`Malformed`].
    pub fn form(&self) -> Result<Form, Malformed> {
        if self.content_type.as_deref() != Some("application/x-www-form-urlencoded") {
            return Err(Malformed("the body is not application/x-www-form-urlencoded"));
        }
        Form::parse(&self.body)
    }

    /// The body as one JSON object.
    ///
    /// # Errors
    /// The content type is another, or the text breaks the limits of [`json::object`].
    pub fn json(&self) -> Result<json::Object, Malformed> {
        if self.content_type.as_deref() != Some("application/json") {
            return Err(Malformed("the body is not application/json"));
        }
        json::object(&self.body)
    }
}

/// What the `Authorization` header held.
pub enum Authorization {
    /// RFC 6750 §2.1: `Bearer` and one token.
    Bearer(Secret),
    /// RFC 9449 §7.1: `DPoP` and one token.
    Dpop(Secret),
    /// There is more than one header.
    Several,
    /// Anything else.
    Other,
}

/// The longest bearer token that is looked at.
const LONGEST_BEARER: usize = 1024;

impl Authorization {
    /// Reads the value of the header.
    pub fn parse(value: &str) -> Self {
        // RFC 9110 §11.4: with one space or more between them.
        let parts = value.split_once(' ').map(|(scheme, token)| (scheme, token.trim_start_matches(' ')));
        let Some((scheme, token)) = parts.filter(|(_, token)| is_b64token(token, 1..=LONGEST_BEARER)) else {
            return Self::Other;
        };
        let token = || Secret::new(token.to_owned());
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Self::Bearer(token()),
            "dpop" => Self::Dpop(token()),
            _ => Self::Other,
        }
    }
}

/// RFC 6750 §2.1 `b64token`, of a length within `lengths`.
pub fn is_b64token(token: &str, lengths: RangeInclusive<usize>) -> bool {
    let body = token.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    lengths.contains(&token.len()) && !body.is_empty() && body.bytes().all(allowed)
}

/// A client certificate, read once when the connection was accepted. Possession of its key is proven; whom it names is for the application to judge
/// (RFC 8705 §2, §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// SHA-256 of the DER: the `x5t#S256` of RFC 8705 §3.1.
    pub thumbprint: Digest,
    /// First second of its validity, since the epoch.
    pub not_before: i64,
    /// Last second of its validity, since the epoch.
    pub not_after: i64,
    /// Whether a configured authority vouched for it, for TLS clients, unrevoked, when the connection was accepted.
    pub trusted: bool,
    /// Its subject, in its own order.
    pub subject: Vec<Rdn>,
    /// Its alternative names.
    pub alt_names: Vec<AltName>,
}

/// A relative distinguished name: attribute types, as OIDs, and their values.
pub type Rdn = Vec<(String, String)>;

/// An alternative name, of the kinds that RFC 8705 §2.1.2 can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the kind of name it says")]
pub enum AltName {
    Dns(String),
    Uri(String),
    Email(String),
    Ip(IpAddr),
}

impl PeerCertificate {
    /// Whether `now`, in seconds since the epoch, lies within its validity.
    pub const fn is_valid_at(&self, now: i64) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6750_2_1_a_bearer_is_one_b64token() {
        let token = |value: &str| match Authorization::parse(value) {
            Authorization::Bearer(token) => Some(token.reveal().to_owned()),
            Authorization::Dpop(_) | Authorization::Several | Authorization::Other => None,
        };
        assert_eq!(token("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(token("bEARER a-._~+/0==").as_deref(), Some("a-._~+/0=="));
        assert_eq!(token("Bearer  a").as_deref(), Some("a"), "1*SP");
        for other in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer  ",
            "Bearer \ta",
            " Bearer a",
            "Bearer a ",
            "Bearer a b",
            "Bearer a,b",
            "Bearer =",
            "Bearer a=b",
            "Basic a",
        ] {
            assert_eq!(token(other), None, "{other}");
        }
        assert_eq!(token(&format!("Bearer {}", "a".repeat(LONGEST_BEARER + 1))), None);
    }
}
