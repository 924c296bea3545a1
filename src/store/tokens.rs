//! Access tokens and refresh tokens, as the store sees them: by digest, live until they expire, are revoked, or lose whom they stand for.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::grant::Grant;
use crate::profile::client::Client;
use crate::profile::client_credentials::ClientCredentials;
use crate::profile::inspection::Inspection;
use crate::profile::refresh::Refresh;
use crate::profile::resource::ResourceCall;
use crate::profile::revocation::Revocation;
use crate::profile::sender::Binding;
use crate::profile::verified::Verified;
use crate::secret::{Digest, Secret};
use crate::store::backend::{Family, Key};
use crate::store::requests::Ready;
use crate::store::standing::{self, Word};
use crate::store::trip::{Done, Seen, Trip};
use crate::store::{REMEMBERED, Store, TRIED_AFTER, TRIES, contended, taken, write};

/// What an access token stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is the claim of that name, RFC 7662 §2.2, or documented")]
pub struct AccessToken {
    pub client_id: String,
    /// Nobody, as there are no `acr` and no `auth_time`, where the client has it in its own name.
    pub sub: Option<String>,
    pub scope: Vec<String>,
    pub cnf: Binding,
    pub acr: Option<String>,
    pub auth_time: Option<Timestamp>,
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
trait Revocable: Serialize + DeserializeOwned + Send + Sync {
    fn belongs_to(&self, client: &Client) -> bool;
    fn revoked(self) -> Self;
    fn exp(&self) -> Timestamp;
}

macro_rules! revocable {
    ($($kind:ident),+) => {
        $(impl Revocable for $kind {
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

impl Issued<'_> {
    /// The digests of the access token and of the refresh token.
    pub fn digests(&self) -> (Digest, Option<Digest>) {
        (self.access.0.digest(), self.refresh.map(|(secret, _)| secret.digest()))
    }

    /// What it is told apart by.
    fn attempt(&self) -> Digest {
        self.digests().0
    }

    fn put(&self, trip: &mut Trip) -> Vec<Done> {
        let (secret, record) = self.access;
        let access = trip.insert(access_key(secret), record, record.exp);
        let refresh = self.refresh.map(|(secret, record)| trip.insert(refresh_key(secret), record, record.exp));
        std::iter::once(access).chain(refresh).collect()
    }

    fn take_back(&self, trip: &mut Trip, now: Timestamp) {
        let (secret, record) = self.access;
        trip.swap(access_key(secret), write(record), &record.clone().revoked(), now);
        if let Some((secret, record)) = self.refresh {
            trip.swap(refresh_key(secret), write(record), &record.clone().revoked(), now);
        }
    }
}

impl Store {
    /// Hands out what was `issued` for an approval. One trip puts it in the store, spends the grant for it and looks whether the user stands; nobody
    /// has it before all three are known. Where a trip ends without an answer, the next one can tell: the grant says for which access token it was spent.
    ///
    /// # Errors
    /// [`Reason::InvalidGrant`] for all but one of several at once, [`Reason::AccessDenied`] for a user who is locked, or was,
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn redeem(&self, ready: Ready, issued: &Issued<'_>, now: Timestamp) -> Result<(), Rejection> {
        let spent =
            || Rejection::new(Reason::InvalidGrant, "CIBA-10.1-9", "the auth_req_id was spent at the same moment");
        let Ready { grant, key, seen, .. } = ready;
        let sweep_at = grant.expires_at.plus(REMEMBERED);
        let redeemed = grant.clone().redeem(issued.attempt(), now).ok_or_else(spent)?;
        let mut unknown = None;
        for wait in TRIED_AFTER {
            tokio::time::sleep(wait).await;
            let mut trip = Trip::plain();
            let word = trip.load(standing::key(&redeemed.sub));
            let put = issued.put(&mut trip);
            let won = trip.swap(key, seen.clone(), &redeemed, sweep_at);
            let mut back = match self.go(trip).await {
                Ok(back) => back,
                Err(refusal) => {
                    unknown = Some(refusal);
                    continue;
                }
            };
            let ours = put.into_iter().all(|put| back.done(put)) || unknown.is_some();
            let won = back.done(won) || (unknown.is_some() && self.was_redeemed_for(key, issued).await?);
            let mut trip = Trip::plain();
            issued.take_back(&mut trip, now);
            let refusal = match (won, back.found(word).map(|word| Word::lets(word, redeemed.asked.at))) {
                (true, Ok(true)) if ours => return Ok(()),
                (true, Ok(true)) => taken(),
                (true, Ok(false)) => {
                    trip.swap(key, write(&redeemed), &redeemed.taken_back(), sweep_at);
                    Rejection::new(Reason::AccessDenied, "CIBA-11-4", "the user is locked, or was")
                }
                // Nobody has read whether the user stands: it is there for whoever can.
                (true, Err(unread)) => {
                    trip.swap(key, write(&redeemed), &grant, sweep_at);
                    unread
                }
                (false, _) => spent(),
            };
            self.tidy(trip).await;
            return Err(refusal);
        }
        Err(unknown.unwrap_or_else(contended))
    }

    /// Ends what was `issued` and given to nobody.
    pub async fn take_back(&self, issued: &Issued<'_>, now: Timestamp) {
        let mut trip = Trip::plain();
        issued.take_back(&mut trip, now);
        self.tidy(trip).await;
    }

    async fn was_redeemed_for(&self, key: Key, issued: &Issued<'_>) -> Result<bool, Rejection> {
        let found: Option<(Grant, _)> = self.get(key).await?;
        Ok(found.is_some_and(|(grant, _)| grant.is_redeemed_for(&issued.attempt())))
    }

    /// What the client may refresh: the user's yes. Unknown, revoked, expired and another client's look the same.
    ///
    /// # Errors
    /// [`Reason::InvalidGrant`], [`Reason::InvalidScope`], what was [spent](crate::profile::once::Spent::replayed) before,
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn refreshable(&self, request: &Verified<Refresh>, now: Timestamp) -> Result<RefreshToken, Rejection> {
        let mut trip = Trip::spending(request.unspent().take());
        let found = trip.load::<RefreshToken>(refresh_key(request.refresh_token()));
        let found = self.go(trip).await?.found(found)?;
        let client = &request.sender().client;
        let ours = found.map(|(token, _)| token).filter(|token| token.belongs_to(client) && now < token.exp);
        let refused = |cause| Rejection::new(Reason::InvalidGrant, "RT-1", cause);
        let token = ours.ok_or_else(|| refused("the refresh_token is unknown, expired, or another client's"))?;
        if token.revoked {
            return Err(Rejection::new(Reason::InvalidGrant, "RT-4", "the refresh_token is revoked"));
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

    /// Hands out what was `issued` for `yes`, if the user still stands.
    ///
    /// # Errors
    /// [`Reason::InvalidGrant`] for a user who is locked, or was; [`Reason::TemporarilyUnavailable`].
    pub async fn refresh(&self, yes: &RefreshToken, issued: &Issued<'_>, now: Timestamp) -> Result<(), Rejection> {
        let mut trip = Trip::plain();
        let word = trip.load(standing::key(&yes.sub));
        let put = issued.put(&mut trip);
        let mut back = self.go(trip).await?;
        let stands = back.found(word).map(|word| Word::lets(word, yes.iat));
        let refusal = match (stands, put.into_iter().all(|put| back.done(put))) {
            (Ok(true), true) => return Ok(()),
            (Ok(true), false) => return Err(taken()),
            (Ok(false), _) => Rejection::new(Reason::InvalidGrant, "RT-1", "the user is locked, or was"),
            (Err(unread), _) => unread,
        };
        self.take_back(issued, now).await;
        Err(refusal)
    }

    /// Hands out what was `issued` to a client in its own name, on the trip that spends what the request uses up.
    ///
    /// # Errors
    /// What was [spent](crate::profile::once::Spent::replayed) before; [`Reason::TemporarilyUnavailable`].
    pub async fn issue(
        &self,
        request: &Verified<ClientCredentials>,
        issued: &Issued<'_>,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let mut trip = Trip::spending(request.unspent().take());
        let put = issued.put(&mut trip);
        let there = self.go(trip).await.map(|mut back| put.into_iter().all(|put| back.done(put)));
        match there {
            Ok(true) => Ok(()),
            Ok(false) => Err(taken()),
            Err(refusal) => {
                self.take_back(issued, now).await;
                Err(refusal)
            }
        }
    }

    /// RFC 7009 §2.1: ends the token, at once, if it is the client's, and says whether it was. With a refresh token end the access tokens that came of it.
    ///
    /// # Errors
    /// What was [spent](crate::profile::once::Spent::replayed) before; [`Reason::TemporarilyUnavailable`]: it may not have ended.
    pub async fn revoke(&self, request: &Verified<Revocation>) -> Result<bool, Rejection> {
        let (access, refresh) = (access_key(request.token()), refresh_key(request.token()));
        for _ in 0..TRIES {
            let mut trip = Trip::spending(request.unspent().take());
            let (access_token, refresh_token) = (trip.load(access), trip.load(refresh));
            let mut back = self.go(trip).await?;
            let mut trip = Trip::plain();
            let ended = [
                ending::<AccessToken>(&mut trip, (access, back.found(access_token)?), request.client()),
                ending::<RefreshToken>(&mut trip, (refresh, back.found(refresh_token)?), request.client()),
            ];
            let mut back = self.go(trip).await?;
            let ended: Vec<_> = ended.into_iter().flatten().map(|ended| back.done(ended)).collect();
            if ended.iter().all(|done| *done) {
                return Ok(!ended.is_empty());
            }
        }
        Err(contended())
    }

    /// The token that was asked about, if it is live, with the scopes that its client may still have.
    ///
    /// # Errors
    /// What was [spent](crate::profile::once::Spent::replayed) before, [`Reason::TemporarilyUnavailable`].
    pub async fn inspect(
        &self,
        request: &Verified<Inspection>,
        now: Timestamp,
    ) -> Result<Option<AccessToken>, Rejection> {
        let trip = Trip::spending(request.unspent().take());
        match self.unexpired(trip, request.token(), now).await? {
            Some(token) => Ok(self.live(Trip::plain(), token).await?.map(|(token, _)| token)),
            None => Ok(None),
        }
    }

    /// The token that a caller brought and proved to hold, and the client it belongs to. A proof is spent on the second trip, for a token that is bound to its key: nobody fills
    /// the store who has no token.
    ///
    /// # Errors
    /// [`Reason::InvalidToken`], what was [spent](crate::profile::once::Spent::replayed) before, [`Reason::TemporarilyUnavailable`].
    pub async fn bearer(
        &self,
        request: &Verified<ResourceCall>,
        now: Timestamp,
    ) -> Result<(AccessToken, Arc<Client>), Rejection> {
        let refused = |(clause, cause)| Rejection::new(Reason::InvalidToken, clause, cause).under(request.schemes());
        let unknown = || refused(("FAPI1B-6.2.1-2", "the token is unknown, expired or revoked"));
        let token = self.unexpired(Trip::plain(), request.token(), now).await?.ok_or_else(unknown)?;
        let spends = request.held().opens(&token.cnf).map_err(|why| refused(why).by(&token.client_id))?;
        self.live(Trip::spending(spends), token).await?.ok_or_else(unknown)
    }

    /// Looks for the token on `trip`.
    async fn unexpired(
        &self,
        mut trip: Trip,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<Option<AccessToken>, Rejection> {
        let found = trip.load::<AccessToken>(access_key(secret));
        let found = self.go(trip).await?.found(found)?.map(|(token, _)| token);
        Ok(found.filter(|token| now < token.exp && !token.revoked))
    }

    /// Looks on `trip` for everything that `token` hangs on.
    async fn live(
        &self,
        mut trip: Trip,
        mut token: AccessToken,
    ) -> Result<Option<(AccessToken, Arc<Client>)>, Rejection> {
        let client = self.load_client(&mut trip, &token.client_id);
        let word = token.sub.as_deref().map(|sub| trip.load(standing::key(sub)));
        let behind =
            token.refresh.map(|digest| trip.load::<RefreshToken>(Key { family: Family::RefreshToken, digest }));
        let mut back = self.go(trip).await?;
        let Some(client) = self.client_on(&mut back, client)? else { return Ok(None) };
        if let Some(word) = word
            && !Word::lets(back.found(word)?, token.iat)
        {
            return Ok(None);
        }
        if let Some(behind) = behind
            && back.found(behind)?.is_none_or(|(refresh, _)| refresh.revoked)
        {
            return Ok(None);
        }
        token.scope.retain(|scope| client.scope().contains(scope));
        Ok(Some((token, client)))
    }
}

/// The step that ends what was found, if it is the client's.
fn ending<T: Revocable>(trip: &mut Trip, (key, found): (Key, Option<Seen<T>>), client: &Client) -> Option<Done> {
    let (token, seen) = found.filter(|(token, _)| token.belongs_to(client))?;
    let exp = token.exp();
    Some(trip.swap(key, seen, &token.revoked(), exp))
}

fn access_key(token: &Secret) -> Key {
    Key { family: Family::AccessToken, digest: token.digest() }
}

fn refresh_key(token: &Secret) -> Key {
    Key { family: Family::RefreshToken, digest: token.digest() }
}
