//! [`Sender`]: an authenticated client, and the key its tokens hang on (FAPI 1.0 part 2 §5.2.2-5).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Reason, Rejection};
use crate::profile::BoundBy;
use crate::profile::client::Client;
use crate::profile::gate::Gate;
use crate::profile::once::Unspent;
use crate::profile::proof::prove;
use crate::secret::Digest;
use crate::wire::inbound::Inbound;

/// What an access token is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Binding {
    /// RFC 8705 §3.1: SHA-256 of the client certificate of the token request.
    #[serde(rename = "x5t#S256")]
    Certificate(Digest),
    /// RFC 9449 §6: SHA-256 of the key of the proof at the token request (RFC 7638).
    #[serde(rename = "jkt")]
    Key(Digest),
}

impl Binding {
    /// What the tokens of `client` are bound to: what `inbound` proves possession of, by the way that the client is registered for. Whatever else it has says nothing.
    ///
    /// # Errors
    /// No client certificate, or no good proof: FAPI 1.0 part 2 §5.2.2-5 leaves no unbound tokens, so there is nothing to go on with.
    pub(super) fn of(
        gate: &Gate,
        (inbound, client): (&Inbound, &Client),
        unspent: &Unspent,
    ) -> Result<Self, Rejection> {
        match client.ciba().map(|ciba| ciba.bound_by) {
            Some(BoundBy::Dpop) => {
                let (jkt, id) = prove(gate, (inbound, None))?;
                unspent.note(id);
                Ok(Self::Key(jkt))
            }
            Some(BoundBy::Certificate) | None => Self::shown(inbound),
        }
    }

    /// The certificate of `inbound`.
    ///
    /// # Errors
    /// There is none.
    fn shown(inbound: &Inbound) -> Result<Self, Rejection> {
        let certificate = inbound.certificate.as_ref();
        let cause = if inbound.dpop.is_empty() {
            "the token request has no client certificate"
        } else {
            "the client is bound by certificate (dpop_bound_access_tokens is not set), and shows a proof in place of one"
        };
        let none = Rejection::new(Reason::NoCertificate, "FAPI1A-5.2.2-5", cause);
        certificate.map(|certificate| Self::Certificate(certificate.thumbprint)).ok_or(none)
    }

    /// How a token that is bound like that is called (RFC 6750 §6.1.1, RFC 9449 §5).
    pub const fn token_type(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "Bearer",
            Self::Key(_) => "DPoP",
        }
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
