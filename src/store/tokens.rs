//! Access tokens and refresh tokens, as the store sees them: by digest, live until they expire, are revoked, or lose whom they stand for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::profile::client::Client;
use crate::profile::gate::Clients;
use crate::profile::inspection::Inspection;
use crate::profile::refresh::Refresh;
use crate::profile::resource::ResourceCall;
use crate::profile::revocation::Revocation;
use crate::profile::sender::Binding;
use crate::profile::verified::Verified;
use crate::secret::{Digest, Secret};
use crate::store::{Family, Key, Store, TRIES, contended};

/// What an access token stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is the claim of that name, RFC 7662 §2.2, or documented")]
pub struct AccessToken {
    pub client_id: String,
    pub sub: String,
    pub scope: Vec<String>,
    pub cnf: Binding,
    pub acr: Option<String>,
    pub auth_time: Timestamp,
    pub iat: Timestamp,
    pub exp: Timestamp,
    /// The refresh token beside it or behind it: with that, it ends.
    pub refresh: Option<Digest>,
    /// Given back before its time.
    pub revoked: bool,
}

/// What a refresh token stands for: what the user once said yes to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as for AccessToken")]
pub struct RefreshToken {
    pub client_id: String,
    pub sub: String,
    pub scope: Vec<String>,
    pub acr: Option<String>,
    pub auth_time: Timestamp,
    pub iat: Timestamp,
    pub exp: Timestamp,
    pub revoked: bool,
}

/// Tokens about to be handed out, and what is kept of them.
pub struct Issued<'a> {
    /// The access token.
    pub access: (&'a Secret, &'a AccessToken),
    /// The refresh token, if there is a new one.
    pub refresh: Option<(&'a Secret, &'a RefreshToken)>,
}

/// A token that can be given back.
trait Revocable: Serialize + serde::de::DeserializeOwned + Send + Sync {
    const FAMILY: Family;
    fn belongs_to(&self, client: &Client) -> bool;
    fn revoked(self) -> Self;
    fn exp(&self) -> Timestamp;
}

macro_rules! revocable {
    ($($kind:ident),+) => {
        $(impl Revocable for $kind {
            const FAMILY: Family = Family::$kind;
            fn belongs_to(&self, client: &Client) -> bool {
                self.client_id == client.client_id
            }
            fn revoked(self) -> Self {
                Self { revoked: true, ..self }
            }
            fn exp(&self) -> Timestamp {
                self.exp
            }
        })+
    };
}

revocable!(AccessToken, RefreshToken);

impl Store {
    /// What the client may refresh: the user's yes, still standing. Unknown, revoked, expired and another client's look the same.
    ///
    /// # Errors
    /// [`Reason::InvalidGrant`], [`Reason::InvalidScope`], [`Reason::TemporarilyUnavailable`].
    pub async fn refreshable(&self, request: &Verified<Refresh>, now: Timestamp) -> Result<RefreshToken, Rejection> {
        let key = Key { family: Family::RefreshToken, digest: request.refresh_token().digest() };
        let client = &request.sender().client;
        let found: Option<(RefreshToken, _)> = self.get(key).await?;
        let ours = found.map(|(token, _)| token).filter(|token| token.belongs_to(client) && now < token.exp);
        let refused = |cause| Rejection::new(Reason::InvalidGrant, "RT-1", cause);
        let token = ours.ok_or_else(|| refused("the refresh_token is unknown, expired, or another client's"))?;
        if token.revoked {
            return Err(Rejection::new(Reason::InvalidGrant, "RT-4", "the refresh_token is revoked"));
        }
        if !self.stands(&token.sub, token.iat).await? {
            return Err(refused("the user is locked, or was"));
        }
        let scope = request.scope().unwrap_or(&token.scope);
        if !scope.iter().all(|scope| token.scope.contains(scope)) {
            return Err(Rejection::new(Reason::InvalidScope, "RT-2", "the scope is wider"));
        }
        if !client.may_have(scope) {
            return Err(Rejection::new(
                Reason::InvalidScope,
                "CIBA-7.1-12",
                "the client may not have that scope any more",
            ));
        }
        Ok(RefreshToken { scope: scope.to_vec(), ..token })
    }

    /// Remembers what is about to be handed out.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn keep(&self, issued: &Issued<'_>) -> Result<(), Rejection> {
        // The one that lives shorter first: without the other it is dead, and soon gone.
        let (secret, record) = issued.access;
        self.put(Key { family: Family::AccessToken, digest: secret.digest() }, record, record.exp).await?;
        match issued.refresh {
            None => Ok(()),
            Some((secret, record)) => {
                self.put(Key { family: Family::RefreshToken, digest: secret.digest() }, record, record.exp).await
            }
        }
    }

    /// Forgets what was about to be handed out and was not.
    pub(super) async fn take_back(&self, issued: &Issued<'_>, now: Timestamp) -> Result<(), Rejection> {
        if let Some((secret, record)) = issued.refresh {
            let key = Key { family: Family::RefreshToken, digest: secret.digest() };
            self.swap(key, &super::write(record), &record.clone().revoked(), now).await?;
        }
        let (secret, record) = issued.access;
        let key = Key { family: Family::AccessToken, digest: secret.digest() };
        self.swap(key, &super::write(record), &record.clone().revoked(), now).await.map(drop)
    }

    /// RFC 7009 §2.1: ends the token, at once, if it is the client's. With a refresh token end the access tokens that came of it.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`]: it may not have ended.
    pub async fn revoke(&self, request: &Verified<Revocation>) -> Result<(), Rejection> {
        let digest = request.token().digest();
        self.end::<AccessToken>(digest, request.client()).await?;
        self.end::<RefreshToken>(digest, request.client()).await
    }

    async fn end<T: Revocable>(&self, digest: Digest, client: &Client) -> Result<(), Rejection> {
        let key = Key { family: T::FAMILY, digest };
        for _ in 0..TRIES {
            let found: Option<(T, _)> = self.get(key).await?;
            let Some((token, seen)) = found.filter(|(token, _)| token.belongs_to(client)) else { return Ok(()) };
            let exp = token.exp();
            if self.swap(key, &seen, &token.revoked(), exp).await? {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// The token that was asked about, if it is live, with the scopes that its client may still have.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn inspect(
        &self,
        request: &Verified<Inspection>,
        now: Timestamp,
    ) -> Result<Option<AccessToken>, Rejection> {
        Ok(self.live(request.token(), now).await?.map(|(token, _)| token))
    }

    /// The token that a caller brought and proved to hold, and the client it belongs to.
    ///
    /// # Errors
    /// [`Reason::InvalidToken`], [`Reason::TemporarilyUnavailable`].
    pub async fn bearer(
        &self,
        request: &Verified<ResourceCall>,
        now: Timestamp,
    ) -> Result<(AccessToken, Arc<Client>), Rejection> {
        let refused = |clause, cause| Rejection::new(Reason::InvalidToken, clause, cause);
        let live = self.live(request.token(), now).await?;
        let (token, client) =
            live.ok_or_else(|| refused("FAPI1B-6.2.1-2", "the token is unknown, expired or revoked"))?;
        if token.cnf == *request.binding() {
            Ok((token, client))
        } else {
            Err(refused("MTLS-3-2", "the token is bound to another certificate").by(&client.client_id))
        }
    }

    async fn live(&self, secret: &Secret, now: Timestamp) -> Result<Option<(AccessToken, Arc<Client>)>, Rejection> {
        let key = Key { family: Family::AccessToken, digest: secret.digest() };
        let found: Option<(AccessToken, _)> = self.get(key).await?;
        let Some((mut token, _)) = found.filter(|(token, _)| now < token.exp && !token.revoked) else {
            return Ok(None);
        };
        let Some(client) = self.client(&token.client_id).await? else { return Ok(None) };
        if !self.stands(&token.sub, token.iat).await? {
            return Ok(None);
        }
        if let Some(digest) = token.refresh {
            let behind: Option<(RefreshToken, _)> = self.get(Key { family: Family::RefreshToken, digest }).await?;
            if behind.is_none_or(|(refresh, _)| refresh.revoked) {
                return Ok(None);
            }
        }
        token.scope.retain(|scope| client.scope().contains(scope));
        Ok(Some((token, client)))
    }
}
