//! Client authentication: one method in one request, the one the client registered (RFC 6749 §2.3, CIBA §7.1). Every failure is `invalid_client`,
//! except for two methods at once (RFC 6749 §5.2: `invalid_request`), and whoever fails learns nothing of why.

use std::sync::Arc;

use crate::error::{Reason, Rejection};
use crate::jose::jwk::KeySet;
use crate::profile::assertion;
use crate::profile::client::{Authentication, Client};
use crate::profile::gate::Gate;
use crate::profile::once::Unspent;
use crate::wire::form::Form;
use crate::wire::inbound::{Inbound, PeerCertificate};

/// Finds out who sent `inbound`, whose parameters are `form`.
pub(super) async fn authenticate(
    gate: &Gate,
    (inbound, form): (&Inbound, &Form),
    unspent: &Unspent,
) -> Result<Arc<Client>, Rejection> {
    let asserted = form.has_any(&["client_assertion"]);
    let header = inbound.authorization.is_some();
    if header && !asserted {
        return Err(Rejection::new(Reason::InvalidClientHeader, "CA-16", "the client used the Authorization header"));
    }
    if header || form.has_any(&["client_secret"]) {
        let reason = if asserted { Reason::InvalidRequest } else { Reason::InvalidClient };
        return Err(Rejection::new(reason, "CIBA-7.1-7", "the client used another method, or two"));
    }
    let client = match (form.value("client_id"), &inbound.certificate) {
        (Some(client_id), Some(certificate)) if !form.has_any(&["client_assertion", "client_assertion_type"]) => {
            by_certificate(gate, client_id, certificate).await?
        }
        _ => assertion::authenticate(gate, form, unspent).await?,
    };
    if gate.profile.methods().contains(&client.authentication.method()) {
        Ok(client)
    } else {
        Err(failed("FAPI1A-5.2.2-14", "the profile does not offer the client's method").by(&client.client_id))
    }
}

/// RFC 8705 §2: the certificate on the connection is the client's. A certificate that only binds tokens authenticates nobody.
async fn by_certificate(gate: &Gate, client_id: &str, shown: &PeerCertificate) -> Result<Arc<Client>, Rejection> {
    let client = gate.clients.client(client_id).await?.ok_or_else(|| failed("CA-14", "no such client"))?;
    let registered = |set: &KeySet| set.has_certificate(&shown.thumbprint);
    if !shown.is_valid_at(gate.now().seconds()) {
        return Err(failed("MTLS-2.1-1", "the certificate is not valid now").by(client_id));
    }
    let refusal = match &client.authentication {
        Authentication::PrivateKeyJwt(_) => ("MTLS-2-4", "the client is not registered for a certificate"),
        Authentication::TlsClientAuth(_) if !shown.trusted => {
            ("MTLS-2.1-1", "no authority vouches for the certificate")
        }
        Authentication::TlsClientAuth(subject) if !subject.is_named_by(shown) => {
            ("MTLS-2.1.2-2", "the certificate names another subject")
        }
        Authentication::SelfSignedTlsClientAuth
            if !gate.keys(&client, registered).await.is_ok_and(|set| registered(&set)) =>
        {
            ("MTLS-2.2-1", "the certificate is not one of the registered ones")
        }
        Authentication::TlsClientAuth(_) | Authentication::SelfSignedTlsClientAuth => return Ok(client),
    };
    Err(failed(refusal.0, refusal.1).by(client_id))
}

const fn failed(clause: &'static str, cause: &'static str) -> Rejection {
    Rejection::new(Reason::InvalidClient, clause, cause)
}
