//! That a request was made by whoever holds a key, by a DPoP proof (RFC 9449 §4.3).

use crate::error::{Reason, Rejection, Scheme};
use crate::jose::dpop::{Call, Proof, Unproven};
use crate::profile::DpopNonce;
use crate::profile::gate::Gate;
use crate::profile::issuer::path;
use crate::profile::nonce::Side;
use crate::profile::once::{Kind, Spent};
use crate::secret::{Digest, Secret};
use crate::wire::inbound::Inbound;

/// What differs between the places where a proof is shown.
struct Place {
    side: Side,
    path: &'static str,
    kind: Kind,
    schemes: &'static [Scheme],
    /// Under which clause there is a proof at all.
    proven: &'static str,
    /// Under which clause it has a nonce.
    nonced: &'static str,
}

const TOKEN: Place = Place {
    side: Side::Token,
    path: path::TOKEN,
    kind: Kind::DpopProof,
    schemes: &[],
    proven: "DPOP-5-1",
    nonced: "DPOP-8-1",
};

const RESOURCE: Place = Place {
    side: Side::Resource,
    path: path::USERINFO,
    kind: Kind::DpopProofAtResource,
    schemes: &[Scheme::Dpop],
    proven: "DPOP-7.1-1",
    nonced: "DPOP-9-1",
};

/// The thumbprint of the key that the proof of `inbound` shows, and what is used up with it. With an access `token`, it is shown at a resource, and has to be a proof of that token.
///
/// # Errors
/// There is no proof, or more than one; it does not hold, is of another request, token or time, or has no good nonce.
pub(super) fn prove(gate: &Gate, (inbound, token): (&Inbound, Option<&Secret>)) -> Result<(Digest, Spent), Rejection> {
    let at = if token.is_some() { RESOURCE } else { TOKEN };
    let refused = |clause, cause| Rejection::new(Reason::InvalidDpopProof, clause, cause).under(at.schemes);
    let proof = match &inbound.dpop[..] {
        [] => return Err(refused(at.proven, "there is no DPoP proof")),
        [proof] => proof,
        _ => return Err(refused("DPOP-4.3-1", "there is more than one DPoP header")),
    };
    let unproven = |Unproven { clause, cause }| refused(clause, cause);
    let proof = Proof::read(proof).map_err(unproven)?;
    let (issuer, now) = (gate.profile.issuer(), gate.now());
    let places = [issuer.url(at.path), issuer.mtls_url(at.path)];
    let leeway = gate.profile.rules().clock.leeway;
    let call = Call { method: inbound.method.as_str(), places: &places, token, now, leeway };
    let shown = proof.of(&call).map_err(unproven)?;
    if let Some(cause) = lacks(gate, (at.side, shown.nonce)) {
        return Err(Rejection::new(Reason::UseDpopNonce, at.nonced, cause).under(at.schemes));
    }
    Ok((shown.jkt, Spent::new(at.kind, (&shown.jkt.to_string(), shown.jti), shown.until)))
}

/// What a proof that is shown at `side` lacks with this `nonce`.
fn lacks(gate: &Gate, (side, nonce): (Side, Option<&str>)) -> Option<&'static str> {
    let (nonces, now) = (gate.nonces.as_ref()?, gate.now());
    match nonce {
        None if gate.profile.rules().sender_constraint.dpop_nonce != DpopNonce::Required => None,
        None => Some("the proof has no nonce"),
        Some(nonce) if nonces.know(side, nonce, now) => None,
        Some(nonce) if nonces.know(side.other(), nonce, now) => Some(match side {
            Side::Token => "the nonce is one for resources",
            Side::Resource => "the nonce is one for the token endpoint",
        }),
        Some(_) => Some("the nonce is none of late"),
    }
}
