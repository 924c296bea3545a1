//! What an operator asks of the store, beside any server: who registered, what lives for whom, and to end it.
//!
//! Nothing here is on the way of a request. Everything is found by looking through all records of a kind, and changed one by one as any server would change it.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Rejection;
use crate::grant::{Grant, Stage};
use crate::profile::enrolled::Enrolled;
use crate::secret::{Digest, Secret};
use crate::store::backend::{Family, Key};
use crate::store::tokens::{AccessToken, RefreshToken};
use crate::store::{REMEMBERED, Store, TRIES, contended, read, unavailable};

/// Whose: a client's, a user's, or a client's for a user.
#[derive(Clone, Debug, Default)]
pub struct Whose {
    /// `client_id`.
    pub client_id: Option<String>,
    /// The `sub` that the bank knows the user by.
    pub sub: Option<String>,
}

impl Whose {
    fn has(&self, client_id: &str, sub: Option<&str>) -> bool {
        self.client_id.as_deref().is_none_or(|wanted| wanted == client_id)
            && self.sub.as_deref().is_none_or(|wanted| sub == Some(wanted))
    }
}

/// What somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A request that nobody has decided.
    Pending,
    /// A request that the user said yes to, and whose client has not come for its tokens.
    Approved,
    /// A refresh token.
    RefreshToken,
    /// An access token.
    AccessToken,
}

/// Something that is live.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "each field is what it is called")]
pub struct Live {
    pub kind: Kind,
    /// SHA-256 of the `auth_req_id` or the token, as the audit file has it.
    pub digest: Digest,
    pub client_id: String,
    /// Nobody, where the client has it in its own name.
    pub sub: Option<String>,
    pub scope: Vec<String>,
    pub since: Timestamp,
    pub until: Timestamp,
}

/// What was found, and the records beside it that this version of the server cannot read: of those nobody knows whose they are.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// What was found.
    pub these: Vec<T>,
    /// Where the others lie.
    pub unread: Vec<Key>,
}

/// How much was ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each field is what it is called")]
pub struct Ended {
    pub requests: usize,
    pub refresh_tokens: usize,
    pub access_tokens: usize,
}

impl Ended {
    const fn of(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Pending | Kind::Approved => &mut self.requests,
            Kind::RefreshToken => &mut self.refresh_tokens,
            Kind::AccessToken => &mut self.access_tokens,
        }
    }

    /// All together.
    pub const fn all(&self) -> usize {
        self.requests + self.refresh_tokens + self.access_tokens
    }
}

/// A record that lives and can be ended.
trait Mortal: Serialize + DeserializeOwned + Send + Sync {
    const FAMILY: Family;
    /// What it is at `now`; nothing, where it has ended.
    fn live(&self, digest: Digest, now: Timestamp) -> Option<Live>;
    fn ended(self) -> Self;
    fn sweep_at(&self) -> Timestamp;
}

impl Mortal for Grant {
    const FAMILY: Family = Family::Grant;

    fn live(&self, digest: Digest, now: Timestamp) -> Option<Live> {
        let kind = match self.stage(now) {
            Stage::Pending => Kind::Pending,
            Stage::Approved => Kind::Approved,
            Stage::Over => return None,
        };
        let (client_id, sub, scope) = (self.client_id.clone(), Some(self.sub.clone()), self.asked.scope.clone());
        Some(Live { kind, digest, client_id, sub, scope, since: self.asked.at, until: self.expires_at })
    }

    fn ended(self) -> Self {
        self.taken_back()
    }

    fn sweep_at(&self) -> Timestamp {
        self.expires_at.plus(REMEMBERED)
    }
}

macro_rules! mortal_token {
    ($token:ident, $kind:ident, $sub:expr) => {
        impl Mortal for $token {
            const FAMILY: Family = Family::$kind;

            fn live(&self, digest: Digest, now: Timestamp) -> Option<Live> {
                let sub: fn(&Self) -> Option<String> = $sub;
                let (client_id, scope) = (self.client_id.clone(), self.scope.clone());
                let live = Live {
                    kind: Kind::$kind,
                    digest,
                    client_id,
                    sub: sub(self),
                    scope,
                    since: self.iat,
                    until: self.exp,
                };
                (now < self.exp && !self.revoked).then_some(live)
            }

            fn ended(self) -> Self {
                Self { revoked: true, ..self }
            }

            fn sweep_at(&self) -> Timestamp {
                self.exp
            }
        }
    };
}

mortal_token!(RefreshToken, RefreshToken, |token| Some(token.sub.clone()));
mortal_token!(AccessToken, AccessToken, |token| token.sub.clone());

impl Store {
    /// What is live of `whose`, the oldest first. What a lock of the user or a disabled client holds back is among it; what hangs on a client or a refresh token that is no more is not.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`](crate::error::Reason::TemporarilyUnavailable): the store cannot be read.
    pub async fn whatever_lives(&self, whose: &Whose, now: Timestamp) -> Result<Found<Live>, Rejection> {
        let anyone = Whose::default();
        let clients: HashSet<String> =
            self.enrolled_clients().await?.these.into_iter().map(|it| it.client_id).collect();
        let gone = |id: &String| Secret::new(id.clone()).could_be_drawn() && !clients.contains(id);
        let mut found = self.mortals::<Grant>(&anyone, now).await?;
        let refresh_tokens = self.mortals::<RefreshToken>(&anyone, now).await?;
        let mut access_tokens = self.mortals::<AccessToken>(&anyone, now).await?;
        let behind: HashSet<Digest> = refresh_tokens.these.iter().map(|(live, _)| live.digest).collect();
        access_tokens.these.retain(|(_, token)| token.refresh.is_none_or(|refresh| behind.contains(&refresh)));
        let mut these: Vec<Live> = found.these.into_iter().map(|(live, _)| live).collect();
        these.extend(refresh_tokens.these.into_iter().map(|(live, _)| live));
        these.extend(access_tokens.these.into_iter().map(|(live, _)| live));
        these.retain(|live| whose.has(&live.client_id, live.sub.as_deref()) && !gone(&live.client_id));
        these.sort_by_key(|live| (live.since, live.kind));
        found.unread.extend(refresh_tokens.unread);
        found.unread.extend(access_tokens.unread);
        Ok(Found { these, unread: found.unread })
    }

    /// Ends what is live of `whose`: requests first, then what tokens are made from, then tokens, so that nothing is made of what was there; and looks again until it finds nothing. What cannot be read stays as it is.
    ///
    /// # Errors
    /// As for [`whatever_lives`](Self::whatever_lives); some of it may have been ended.
    pub async fn end_all(&self, whose: &Whose, now: Timestamp) -> Result<(Ended, Vec<Key>), Rejection> {
        let mut ended = Ended::default();
        for _ in 0..TRIES {
            let before = ended.all();
            let mut unread = self.end_each::<Grant>(whose, &mut ended, now).await?;
            unread.extend(self.end_each::<RefreshToken>(whose, &mut ended, now).await?);
            unread.extend(self.end_each::<AccessToken>(whose, &mut ended, now).await?);
            if ended.all() == before {
                return Ok((ended, unread));
            }
        }
        Err(contended())
    }

    /// The token of this digest, if it is live for itself.
    ///
    /// # Errors
    /// As for [`whatever_lives`](Self::whatever_lives), or it cannot be read.
    pub async fn token(&self, digest: Digest, now: Timestamp) -> Result<Option<Live>, Rejection> {
        let access = self.get::<AccessToken>(Key { family: AccessToken::FAMILY, digest }).await?;
        if let Some(live) = access.and_then(|(it, _)| it.live(digest, now)) {
            return Ok(Some(live));
        }
        let refresh = self.get::<RefreshToken>(Key { family: RefreshToken::FAMILY, digest }).await?;
        Ok(refresh.and_then(|(it, _)| it.live(digest, now)))
    }

    /// Ends the access token or refresh token of this digest; what it was, if it was live.
    ///
    /// # Errors
    /// As for [`whatever_lives`](Self::whatever_lives).
    pub async fn end_token(&self, digest: Digest, now: Timestamp) -> Result<Option<Live>, Rejection> {
        let anyone = Whose::default();
        match self.end_one::<AccessToken>(&anyone, digest, now).await? {
            Some(live) => Ok(Some(live)),
            None => self.end_one::<RefreshToken>(&anyone, digest, now).await,
        }
    }

    /// The clients that registered themselves, or were added to the store, by when.
    ///
    /// # Errors
    /// As for [`whatever_lives`](Self::whatever_lives).
    pub async fn enrolled_clients(&self) -> Result<Found<Enrolled>, Rejection> {
        let Found { these, unread } = self.everything::<Option<Enrolled>>(Family::Client).await?;
        let mut these: Vec<Enrolled> = these.into_iter().filter_map(|(_, enrolled)| enrolled).collect();
        these.sort_by(|one, other| (one.issued_at, &one.client_id).cmp(&(other.issued_at, &other.client_id)));
        Ok(Found { these, unread })
    }

    async fn mortals<T: Mortal>(&self, whose: &Whose, now: Timestamp) -> Result<Found<(Live, T)>, Rejection> {
        let Found { these, unread } = self.everything::<T>(T::FAMILY).await?;
        let live = |(key, it): (Key, T)| Some((it.live(key.digest, now)?, it));
        let mut these: Vec<(Live, T)> = these.into_iter().filter_map(live).collect();
        these.retain(|(live, _)| whose.has(&live.client_id, live.sub.as_deref()));
        Ok(Found { these, unread })
    }

    async fn end_each<T: Mortal>(
        &self,
        whose: &Whose,
        ended: &mut Ended,
        now: Timestamp,
    ) -> Result<Vec<Key>, Rejection> {
        let Found { these, unread } = self.mortals::<T>(whose, now).await?;
        for (live, _) in these {
            if let Some(live) = self.end_one::<T>(whose, live.digest, now).await? {
                *ended.of(live.kind) += 1;
            }
        }
        Ok(unread)
    }

    /// Ends what lies there, unless it has ended, or is somebody else's.
    async fn end_one<T: Mortal>(
        &self,
        whose: &Whose,
        digest: Digest,
        now: Timestamp,
    ) -> Result<Option<Live>, Rejection> {
        let key = Key { family: T::FAMILY, digest };
        for _ in 0..TRIES {
            let Some((it, seen)) = self.get::<T>(key).await? else { return Ok(None) };
            let live = it.live(digest, now).filter(|it| whose.has(&it.client_id, it.sub.as_deref()));
            let Some(live) = live else { return Ok(None) };
            let sweep_at = it.sweep_at();
            if self.replace_with(key, Some(seen), &it.ended(), sweep_at).await? {
                return Ok(Some(live));
            }
        }
        Err(contended())
    }

    /// All records of a family, read as far as they can be.
    async fn everything<T: for<'de> Deserialize<'de> + Send>(
        &self,
        family: Family,
    ) -> Result<Found<(Key, T)>, Rejection> {
        let (mut seen, mut these, mut unread) = (HashSet::new(), Vec::new(), Vec::new());
        let mut see = |key: Key, bytes: Vec<u8>| {
            // The backend may show a record twice.
            if seen.insert(key.digest) {
                match read(&bytes) {
                    Ok(record) => these.push((key, record)),
                    Err(_) => unread.push(key),
                }
            }
        };
        self.backend.each(family, &mut see).await.map_err(unavailable)?;
        Ok(Found { these, unread })
    }
}
