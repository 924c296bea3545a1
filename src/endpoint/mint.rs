//! What the tokens are made of: an opaque access token bound to the client's certificate, and a signed ID token.

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::endpoint::Server;
use crate::error::{Reason, Rejection};
use crate::profile::client::Role;
use crate::profile::redemption::Redemption;
use crate::profile::verified::Verified;
use crate::secret::Secret;
use crate::store::{AccessToken, Ready};
use crate::wire::answer::Tokens;

/// Tokens that nobody has yet.
pub(super) struct Minted {
    /// What the client will be told.
    pub(super) answer: Tokens,
    /// What the store will know of the access token.
    pub(super) record: AccessToken,
}

/// Makes the tokens for an approval.
pub(super) fn tokens(
    server: &Server,
    (request, ready): (&Verified<Redemption>, &Ready),
    now: Timestamp,
) -> Result<Minted, Rejection> {
    let lifetime = server.profile.rules().access_token.lifetime;
    let record = AccessToken {
        client_id: ready.grant.client_id.clone(),
        sub: ready.grant.sub.clone(),
        scope: ready.grant.asked.scope.clone(),
        cnf: request.sender().binding.clone(),
        acr: ready.consent.acr.clone(),
        auth_time: ready.consent.auth_time,
        iat: now,
        exp: now.plus(lifetime),
    };
    let answer = Tokens {
        access_token: Secret::draw(server.entropy()),
        token_type: "Bearer",
        expires_in: lifetime,
        scope: record.scope.join(" "),
        id_token: id_token(server, (request, &record), now)?,
    };
    Ok(Minted { answer, record })
}

/// OpenID Connect Core §2, CIBA §10.1.1. No `nonce`: CIBA has none to return. `acr` only as the bank reported it.
fn id_token(
    server: &Server,
    (request, record): (&Verified<Redemption>, &AccessToken),
    now: Timestamp,
) -> Result<Secret, Rejection> {
    let failed = |cause| Rejection::new(Reason::ServerError, "CIBA-10.1-11", cause);
    let Role::Ciba { id_token_signed_response_alg: alg, .. } = request.sender().client.role else {
        return Err(failed("the client is not a CIBA client"));
    };
    let mut claims = Map::new();
    claims.insert("iss".into(), server.profile.issuer().issuer.as_str().into());
    claims.insert("sub".into(), record.sub.as_str().into());
    claims.insert("aud".into(), record.client_id.as_str().into());
    claims.insert("iat".into(), now.seconds().into());
    claims.insert("exp".into(), now.plus(server.profile.rules().id_token.lifetime).seconds().into());
    claims.insert("auth_time".into(), record.auth_time.seconds().into());
    if let Some(acr) = &record.acr {
        claims.insert("acr".into(), acr.as_str().into());
    }
    let key = server.keyring.key(alg).ok_or_else(|| failed("there is no key for the client's algorithm"))?;
    key.sign("JWT", &Value::Object(claims)).map_err(|_| failed("signing failed"))
}
