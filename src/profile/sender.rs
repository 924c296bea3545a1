//! [`Sender`]: an authenticated client, and the key its tokens hang on (FAPI 1.0 part 2 §5.2.2-5).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Reason, Rejection};
use crate::profile::client::Client;
use crate::secret::Digest;
use crate::wire::inbound::Inbound;

/// What an access token is bound to. RFC 9449 proofs will be a second variant; every match on this enum then has to say what it does with one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Binding {
    /// RFC 8705 §3.1: SHA-256 of the client certificate of the token request.
    #[serde(rename = "x5t#S256")]
    Certificate(Digest),
}

impl Binding {
    /// What `inbound` proves possession of.
    ///
    /// # Errors
    /// No client certificate: FAPI 1.0 part 2 §5.2.2-5 leaves no unbound tokens, so there is nothing to go on with.
    pub(super) fn of(inbound: &Inbound) -> Result<Self, Rejection> {
        let certificate = inbound.certificate.as_ref();
        let none =
            Rejection::new(Reason::InvalidRequest, "FAPI1A-5.2.2-5", "the token request has no client certificate");
        certificate.map(|certificate| Self::Certificate(certificate.thumbprint)).ok_or(none)
    }
}

/// An authenticated client and what its tokens hang on.
#[derive(Debug)]
pub struct Sender {
    /// Who.
    pub client: Arc<Client>,
    /// With which key.
    pub binding: Binding,
}
