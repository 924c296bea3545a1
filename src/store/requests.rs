//! The life of an authentication request, as the store sees it: each operation is one pure step of [`Grant`], and a swap.

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::grant::{Asked, Consent, Grant, Pace, Poll, Undecidable};
use crate::profile::backchannel::Backchannel;
use crate::profile::decision::{Decision, Verdict};
use crate::profile::redemption::Redemption;
use crate::profile::verified::Verified;
use crate::secret::{Sealed, Secret};
use crate::store::tokens::Issued;
use crate::store::{Family, Key, REMEMBERED, Store, TRIES, contended};

/// A request that was accepted.
pub struct Opened {
    /// Its id, said once and kept as a digest.
    pub auth_req_id: Secret,
    /// Seconds it lives.
    pub expires_in: u32,
    /// Seconds to leave between two polls.
    pub interval: u32,
}

/// A request that was just decided.
pub struct Decided {
    /// Whose it was.
    pub client_id: String,
    /// What its client wants to be told with, if it wants to be told.
    pub client_notification_token: Option<Secret>,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// An approval that may be redeemed once.
pub struct Ready {
    /// What was approved.
    pub grant: Grant,
    /// How.
    pub consent: Consent,
    key: Key,
    seen: Vec<u8>,
}

impl Store {
    /// Accepts an authentication request for the user `sub` (CIBA §7.3).
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn open(&self, request: &Verified<Backchannel>, sub: &str, now: Timestamp) -> Result<Opened, Rejection> {
        let expires_in = request.expires_in(&self.profile);
        let expires_at = now.plus(expires_in);
        let acr_wanted = !request.acr_values().is_empty() && !self.profile.issuer().acr_values_supported.is_empty();
        let auth_req_id = Secret::draw(&*self.entropy);
        let notify = request.client_notification_token().map(|token| Sealed::under(&auth_req_id, token));
        let asked = Asked { scope: request.scope(), acr_wanted, at: now, notify };
        let grant = Grant::open(request.client().client_id.clone(), sub.to_owned(), asked, expires_at);
        let digest = auth_req_id.digest();
        let sweep_at = expires_at.plus(REMEMBERED);
        let interval = self.profile.rules().authentication_request.interval;
        self.put(Key { family: Family::Pace, digest }, &Pace::every(interval), sweep_at).await?;
        self.put(Key { family: Family::Grant, digest }, &grant, sweep_at).await?;
        Ok(Opened { auth_req_id, expires_in, interval })
    }

    /// Closes a request that nobody could be asked about: a decision on it comes too late.
    ///
    /// # Errors
    /// As for [`decide`](Self::decide).
    pub async fn withdraw(&self, opened: &Opened, now: Timestamp) -> Result<(), Rejection> {
        self.settle(&opened.auth_req_id, &Verdict::Deny, now).await.map(drop)
    }

    /// Takes the person's decision. Of several at once, exactly one wins.
    ///
    /// # Errors
    /// [`Reason::UnknownDecision`], [`Reason::AlreadySettled`], [`Reason::InvalidRequest`] without an acr that was asked for, [`Reason::AccessForbidden`] for another user's yes, [`Reason::TemporarilyUnavailable`].
    pub async fn decide(&self, decision: &Verified<Decision>, now: Timestamp) -> Result<Decided, Rejection> {
        self.settle(decision.auth_req_id(), decision.verdict(), now).await
    }

    async fn settle(&self, auth_req_id: &Secret, verdict: &Verdict, now: Timestamp) -> Result<Decided, Rejection> {
        let key = Key { family: Family::Grant, digest: auth_req_id.digest() };
        for _ in 0..TRIES {
            let unknown = || Rejection::new(Reason::UnknownDecision, "CIBA-8-3", "no such request");
            let (grant, seen): (Grant, _) = self.get(key).await?.ok_or_else(unknown)?;
            if matches!(verdict, Verdict::Approve(_)) && !self.stands(&grant.sub, grant.asked.at).await? {
                return Err(Rejection::new(Reason::AccessForbidden, "CIBA-13-11", "the user is locked, or was"));
            }
            let (expires_at, sealed) = (grant.expires_at, grant.asked.notify.clone());
            let decided = grant.decide(verdict, now).map_err(|why| match why {
                Undecidable::Settled => {
                    Rejection::new(Reason::AlreadySettled, "CIBA-8-3", "decided before, or expired")
                }
                Undecidable::WithoutAcr => {
                    Rejection::new(Reason::InvalidRequest, "FAPICIBA-5.2.2-8", "an acr was asked for and not reported")
                }
                Undecidable::AnotherUser => {
                    Rejection::new(Reason::AccessForbidden, "CIBA-10.1-12", "another user approved")
                }
            })?;
            if self.swap(key, &seen, &decided, expires_at.plus(REMEMBERED)).await? {
                let client_notification_token = sealed.and_then(|sealed| sealed.open(auth_req_id));
                return Ok(Decided { client_id: decided.client_id, client_notification_token, expires_at });
            }
        }
        Err(contended())
    }

    /// What a poll finds: an approval, or the refusal CIBA §11 has for everything else. Unknown and another client's look the same.
    ///
    /// # Errors
    /// [`Reason::InvalidGrant`], [`Reason::ExpiredToken`], [`Reason::AccessDenied`], [`Reason::AuthorizationPending`], [`Reason::SlowDown`],
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn poll(&self, request: &Verified<Redemption>, now: Timestamp) -> Result<Ready, Rejection> {
        let digest = request.auth_req_id().digest();
        let (grant_key, pace_key) = (Key { family: Family::Grant, digest }, Key { family: Family::Pace, digest });
        for _ in 0..TRIES {
            let found: Option<(Grant, _)> = self.get(grant_key).await?;
            let ours = found.filter(|(grant, _)| grant.client_id == request.sender().client.client_id);
            let foreign =
                || Rejection::new(Reason::InvalidGrant, "CIBA-11-5", "the auth_req_id is unknown, or another client's");
            let (grant, seen) = ours.ok_or_else(foreign)?;
            let (pace, seen_pace): (Pace, _) = self.get(pace_key).await?.ok_or_else(foreign)?;
            let (refusal, pace) = match grant.poll(pace, now) {
                Poll::Approved(consent) => {
                    let scope_stands = request.sender().client.may_have(&grant.asked.scope);
                    if !scope_stands || !self.stands(&grant.sub, grant.asked.at).await? {
                        let cause = "the user is locked, or the client may not have that scope any more";
                        return Err(Rejection::new(Reason::AccessDenied, "CIBA-11-4", cause));
                    }
                    return Ok(Ready { grant, consent, key: grant_key, seen });
                }
                Poll::Redeemed => {
                    return Err(Rejection::new(Reason::InvalidGrant, "CIBA-10.1-9", "the auth_req_id is spent"));
                }
                Poll::Expired => {
                    return Err(Rejection::new(Reason::ExpiredToken, "CIBA-11-3", "the auth_req_id has expired"));
                }
                Poll::Denied => return Err(Rejection::new(Reason::AccessDenied, "CIBA-11-4", "the answer was no")),
                Poll::Pending(pace) => {
                    (Rejection::new(Reason::AuthorizationPending, "CIBA-11-1", "no decision yet"), pace)
                }
                Poll::TooFast(pace) => {
                    (Rejection::new(Reason::SlowDown, "CIBA-11-2", "no decision yet, polled too soon"), pace)
                }
            };
            if self.swap(pace_key, &seen_pace, &pace, grant.expires_at.plus(REMEMBERED)).await? {
                return Err(refusal);
            }
        }
        // Others polled for the same id in the same moment, again and again: each of them was too fast.
        Err(Rejection::new(Reason::SlowDown, "CIBA-11-2", "no decision yet, polled many times at once"))
    }

    /// Hands out what was `issued` for an approval. It is in the store before the grant is spent, so what was answered is always live; when
    /// another poll spent the grant first, it is taken back, known to nobody.
    ///
    /// # Errors
    /// [`Reason::InvalidGrant`] for all but one of several at once, [`Reason::TemporarilyUnavailable`].
    pub async fn redeem(&self, ready: Ready, issued: &Issued<'_>, now: Timestamp) -> Result<(), Rejection> {
        let spent =
            || Rejection::new(Reason::InvalidGrant, "CIBA-10.1-9", "the auth_req_id was spent at the same moment");
        let sweep_at = ready.grant.expires_at.plus(REMEMBERED);
        let redeemed = ready.grant.redeem(now).ok_or_else(spent)?;
        self.keep(issued).await?;
        if self.swap(ready.key, &ready.seen, &redeemed, sweep_at).await? {
            return Ok(());
        }
        self.take_back(issued, now).await?;
        Err(spent())
    }
}
