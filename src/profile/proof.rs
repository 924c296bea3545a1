//! That a request was made by whoever holds a key, by a DPoP proof (RFC 9449 §4.3).

use crate::error::{Reason, Rejection, Scheme};
use crate::jose::dpop::{Call, Proof, Unproven};
use crate::profile::DpopNonce;
use crate::profile::gate::Gate;
use crate::profile::issuer::path;
use crate::profile::nonce::Side;
use crate::profile::once::{Kind, Spent};
use crate::secret::{Digest, Secret};
use crate::wire::Malformed;
use crate::wire::inbound::Inbound;

/// The thumbprint of the key that the proof of `inbound` shows, and what is used up with it. With an access `token`, it is shown at a resource, and has to be a proof of that token.
///
/// # Errors
/// There is no proof, or more than one; it does not hold, is of another request, token or time, or has no good nonce.
pub(super) fn prove(gate: &Gate, (inbound, token): (&Inbound, Option<&Secret>)) -> Result<(Digest, Spent), Rejection> {
    let (side, place, kind, schemes): (_, _, _, &[Scheme]) = match token {
        None => (Side::Token, path::TOKEN, Kind::DpopProof, &[]),
        Some(_) => (Side::Resource, path::USERINFO, Kind::DpopProofAtResource, &[Scheme::Dpop]),
    };
    let refused = |clause, cause| Rejection::new(Reason::InvalidDpopProof, clause, cause).under(schemes);
    let [proof] = &inbound.dpop[..] else {
        let cause =
            if inbound.dpop.is_empty() { "there is no DPoP proof" } else { "there is more than one DPoP proof" };
        return Err(refused("DPOP-4.3-1", cause));
    };
    let proof = Proof::read(proof).map_err(|Malformed(cause)| refused("DPOP-4.3-2", cause))?;
    let (issuer, now) = (gate.profile.issuer(), gate.now());
    let rules = gate.profile.rules();
    let places = [issuer.url(place), issuer.mtls_url(place)];
    let call = Call { method: inbound.method.as_str(), places: &places, token, now, leeway: rules.clock.leeway };
    let shown = proof.of(&call).map_err(|Unproven { clause, cause }| refused(clause, cause))?;
    let good = match (&gate.nonces, shown.nonce) {
        (None, _) => true,
        (Some(_), None) => rules.sender_constraint.dpop_nonce != DpopNonce::Required,
        (Some(nonces), Some(nonce)) => nonces.know(side, nonce, now),
    };
    if !good {
        let cause = "the proof has no nonce, or none of late";
        return Err(Rejection::new(Reason::UseDpopNonce, "DPOP-8-1", cause).under(schemes));
    }
    Ok((shown.jkt, Spent::new(kind, (&shown.jkt.to_string(), shown.jti), shown.until)))
}
