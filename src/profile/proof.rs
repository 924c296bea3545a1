//! That a request was made by whoever holds a key, by a DPoP proof (RFC 9449 §4.3).

use crate::error::{Reason, Rejection};
use crate::jose::claims::is_an_id;
use crate::jose::dpop::{Proof, is_same_place};
use crate::profile::DpopNonce;
use crate::profile::gate::Gate;
use crate::profile::issuer::path;
use crate::profile::nonce::Side;
use crate::profile::once::{Kind, Spent, Unspent};
use crate::secret::{Digest, Secret};
use crate::wire::Malformed;
use crate::wire::inbound::Inbound;

/// How old a proof may be, in seconds (RFC 9449 §11.1).
const OLDEST: i64 = 60;

/// The thumbprint of the key that the proof of `inbound` shows. With an access `token`, it is shown at a resource, and has to be a proof of that token.
///
/// # Errors
/// There is no proof, or more than one; it does not hold, is of another request, token or time, or has no good nonce.
pub(super) fn prove(
    gate: &Gate,
    (inbound, token): (&Inbound, Option<&Secret>),
    unspent: &Unspent,
) -> Result<Digest, Rejection> {
    let (side, place) = match token {
        None => (Side::Token, path::TOKEN),
        Some(_) => (Side::Resource, path::USERINFO),
    };
    let refused = |clause, cause| Rejection::new(refusal(side), clause, cause);
    let malformed = |clause| move |Malformed(cause)| refused(clause, cause);
    let [proof] = &inbound.dpop[..] else {
        let cause =
            if inbound.dpop.is_empty() { "there is no DPoP proof" } else { "there is more than one DPoP proof" };
        return Err(refused("DPOP-4.3-1", cause));
    };
    let proof = Proof::read(proof).map_err(malformed("DPOP-4.3-2"))?;
    let (claims, now) = (proof.claims(), gate.now());
    let text = |name| claims.string(name).map_err(malformed("DPOP-4.3-3"));
    let jti = text("jti")?.filter(|jti| is_an_id(jti)).ok_or_else(|| refused("DPOP-4.3-3", "there is no jti"))?;
    if text("htm")? != Some(inbound.method.as_str()) {
        return Err(refused("DPOP-4.3-8", "the htm is another method"));
    }
    let issuer = gate.profile.issuer();
    let places = [issuer.url(place), issuer.mtls_url(place)];
    if !text("htu")?.is_some_and(|htu| places.iter().any(|place| is_same_place(htu, place))) {
        return Err(refused("DPOP-4.3-9", "the htu is another place"));
    }
    let time = |name| claims.time(name).map_err(malformed("DPOP-4.3-3"));
    let iat = time("iat")?.ok_or_else(|| refused("DPOP-4.3-3", "there is no iat"))?;
    if now.since(iat) > OLDEST || !gate.profile.allows(Some(iat), now) {
        return Err(refused("DPOP-4.3-13", "the iat is too long ago, or ahead"));
    }
    if time("exp")?.is_some_and(|exp| exp <= now) || !gate.profile.allows(time("nbf")?, now) {
        return Err(refused("DPOP-4.3-14", "the proof has expired, or is not good yet"));
    }
    if let Some(token) = token
        && text("ath")? != Some(&token.digest().to_string())
    {
        return Err(refused("DPOP-4.3-15", "the proof is of another token"));
    }
    let nonce = text("nonce")?;
    let good = match (&gate.nonces, nonce) {
        (None, _) => true,
        (Some(_), None) => gate.profile.rules().sender_constraint.dpop_nonce != DpopNonce::Required,
        (Some(nonces), Some(nonce)) => nonces.know(side, nonce, now),
    };
    if !good {
        let reason = if side == Side::Token { Reason::UseDpopNonce } else { Reason::UseDpopNonceHere };
        return Err(Rejection::new(reason, "DPOP-8-1", "the proof has no nonce, or none of late"));
    }
    let (jkt, until) = (proof.jkt(), iat.plus(u32::try_from(OLDEST).unwrap_or_default()));
    let kind = if side == Side::Token { Kind::DpopProof } else { Kind::DpopProofAtResource };
    unspent.note(Spent::new(kind, (&jkt.to_string(), jti), until));
    Ok(jkt)
}

const fn refusal(side: Side) -> Reason {
    match side {
        Side::Token => Reason::InvalidDpopProof,
        Side::Resource => Reason::InvalidDpopProofHere,
    }
}
