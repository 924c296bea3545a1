//! What the tokens are made of: an opaque access token bound to a key of the client, a signed ID token, and a refresh token for those who may.

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::endpoint::Server;
use crate::error::{Reason, Rejection};
use crate::profile::client::Ciba;
use crate::profile::sender::Sender;
use crate::secret::{Digest, Secret};
use crate::store::requests::Ready;
use crate::store::tokens::{AccessToken, Issued, RefreshToken};
use crate::wire::answer::Tokens;

/// Tokens that nobody has yet.
pub(super) struct Minted {
    access: (Secret, AccessToken),
    refresh: Option<(Secret, RefreshToken)>,
    id_token: Option<Secret>,
    expires_in: u32,
}

impl Minted {
    /// For an approval (CIBA §10.1.1).
    pub(super) fn of_approval(
        server: &Server,
        (sender, ready): (&Sender, &Ready),
        now: Timestamp,
    ) -> Result<Self, Rejection> {
        let yes = RefreshToken {
            client_id: ready.grant.client_id.clone(),
            sub: ready.grant.sub.clone(),
            scope: ready.grant.asked.scope.clone(),
            acr: ready.consent.acr.clone(),
            auth_time: ready.consent.auth_time,
            iat: now,
            exp: now.plus(server.profile.rules().refresh_token.lifetime),
            revoked: false,
        };
        let refreshes = ciba(sender)?.refreshes;
        let secret = refreshes.then(|| Secret::draw(server.entropy()));
        let minted = Self::of(server, (sender, &yes, secret.as_ref().map(Secret::digest)), now)?;
        Ok(Self { refresh: secret.map(|secret| (secret, yes)), ..minted })
    }

    /// For the refresh token of that digest, which stands for `yes` (RFC 6749 §6). It stays as it is.
    pub(super) fn of_refresh(
        server: &Server,
        (sender, yes, digest): (&Sender, &RefreshToken, Digest),
        now: Timestamp,
    ) -> Result<Self, Rejection> {
        Self::of(server, (sender, yes, Some(digest)), now)
    }

    /// An access token never outlives what it came of.
    fn of(
        server: &Server,
        (sender, yes, refresh): (&Sender, &RefreshToken, Option<Digest>),
        now: Timestamp,
    ) -> Result<Self, Rejection> {
        let left = u32::try_from(yes.exp.since(now)).unwrap_or(0);
        let expires_in = server.profile.rules().access_token.lifetime.min(left);
        let record = AccessToken {
            client_id: yes.client_id.clone(),
            sub: Some(yes.sub.clone()),
            scope: yes.scope.clone(),
            cnf: sender.binding.clone(),
            acr: yes.acr.clone(),
            auth_time: Some(yes.auth_time),
            iat: now,
            exp: now.plus(expires_in),
            refresh,
            revoked: false,
        };
        let id_token = Some(id_token(server, (sender, yes), now)?);
        Ok(Self { access: (Secret::draw(server.entropy()), record), refresh: None, id_token, expires_in })
    }

    /// For a client in its own name (RFC 6749 §4.4.3): an access token and nothing else, as there is nobody to speak of.
    pub(super) fn of_client(server: &Server, (sender, scope): (&Sender, Vec<String>), now: Timestamp) -> Self {
        let expires_in = server.profile.rules().access_token.lifetime;
        let record = AccessToken {
            client_id: sender.client.client_id.clone(),
            sub: None,
            scope,
            cnf: sender.binding.clone(),
            acr: None,
            auth_time: None,
            iat: now,
            exp: now.plus(expires_in),
            refresh: None,
            revoked: false,
        };
        Self { access: (Secret::draw(server.entropy()), record), refresh: None, id_token: None, expires_in }
    }

    /// What the store has to know before anybody has them.
    pub(super) fn issued(&self) -> Issued<'_> {
        let (secret, record) = &self.access;
        let refresh = self.refresh.as_ref().map(|(secret, record)| (secret, record));
        Issued { access: (secret, record), refresh }
    }

    /// What the client is told.
    pub(super) fn into_answer(self) -> Tokens {
        let (access_token, record) = self.access;
        Tokens {
            access_token,
            token_type: record.cnf.token_type(),
            expires_in: self.expires_in,
            scope: record.scope.join(" "),
            refresh_token: self.refresh.map(|(secret, _)| secret),
            id_token: self.id_token,
        }
    }
}

/// OpenID Connect Core §2, §12.2, CIBA §10.1.1. No `nonce`: CIBA has none to return. `acr` only as the bank reported it, and `auth_time` that of the
/// approval, however often it is refreshed.
fn id_token(server: &Server, (sender, yes): (&Sender, &RefreshToken), now: Timestamp) -> Result<Secret, Rejection> {
    let alg = ciba(sender)?.id_token_signed_response_alg;
    let mut claims = Map::new();
    claims.insert("iss".into(), server.profile.issuer().issuer.as_str().into());
    claims.insert("sub".into(), server.sub_for(&sender.client, &yes.sub).into());
    claims.insert("aud".into(), yes.client_id.as_str().into());
    claims.insert("iat".into(), now.seconds().into());
    claims.insert("exp".into(), now.plus(server.profile.rules().id_token.lifetime).seconds().into());
    claims.insert("auth_time".into(), yes.auth_time.seconds().into());
    if let Some(acr) = &yes.acr {
        claims.insert("acr".into(), acr.as_str().into());
    }
    let key = server.keyring.key(alg, now).ok_or_else(|| failed("there is no key for the client's algorithm"))?;
    key.sign("JWT", &Value::Object(claims)).map_err(|_| failed("signing failed"))
}

fn ciba(sender: &Sender) -> Result<&Ciba, Rejection> {
    sender.client.ciba().ok_or_else(|| failed("the client is not a CIBA client"))
}

fn failed(cause: &'static str) -> Rejection {
    Rejection::new(Reason::ServerError, "CIBA-10.1-11", cause)
}
