//! [`Inbound`]: a request as it arrived, before anyone believed a word of it.

use std::net::IpAddr;

use bytes::Bytes;

use crate::secret::Digest;
use crate::wire::Malformed;
use crate::wire::form::Form;
use crate::wire::json;

/// What arrived. Untrusted, and holds no decision. The `Host` header is not kept: it decides nothing.
pub struct Inbound {
    /// Whether the URI had a query. No endpoint reads one (RFC 6749 §2.3.1: credentials never travel in the URI).
    pub query: bool,
    /// The media type of the body, without parameters, in lower case.
    pub content_type: Option<String>,
    /// Whether there was an `Authorization` header. No registered method uses one.
    pub authorization: bool,
    /// The certificate whose key the peer proved in the TLS handshake.
    pub certificate: Option<PeerCertificate>,
    /// The body, 64 KiB at most.
    pub body: Bytes,
}

impl Inbound {
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
