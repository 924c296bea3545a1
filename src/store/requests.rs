//! The life of an authentication request, as the store sees it: each operation is one pure step of [`Grant`], and a swap.

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::grant::{Asked, Consent, Grant, Pace, Poll, Undecidable};
use crate::outbound::ping::Notice;
use crate::profile::backchannel::Backchannel;
use crate::profile::decision::{Decision, Verdict};
use crate::profile::redemption::Redemption;
use crate::profile::verified::Verified;
use crate::secret::{Digest, Sealed, Secret};
use crate::store::backend::{Family, Key};
use crate::store::outbox::LEASE;
use crate::store::standing::{self, Word};
use crate::store::trip::Trip;
use crate::store::{REMEMBERED, Store, TRIED_AFTER, contended, taken, write};

/// A request that was accepted.
pub struct Opened {
    /// Its id, said once and kept as a digest.
    pub auth_req_id: Secret,
    /// Seconds it lives.
    pub expires_in: u32,
    /// Seconds to leave between two polls.
    pub interval: u32,
}

/// A decision that can be taken, and has not been.
pub struct Deciding {
    /// Whose request it is about.
    pub client_id: String,
    /// What its client is to be told, if it wants to be told.
    pub notice: Option<Notice>,
    key: Key,
    seen: Vec<u8>,
    decided: Grant,
}

/// An approval that may be redeemed once.
pub struct Ready {
    /// What was approved.
    pub grant: Grant,
    /// How.
    pub consent: Consent,
    pub(super) key: Key,
    pub(super) seen: Vec<u8>,
}

/// Nobody has polled yet.
const NOT_YET: Option<Timestamp> = None;

impl Store {
    /// Accepts an authentication request for the user `sub` (CIBA §7.3).
    ///
    /// # Errors
    /// [`Reason::AccessForbidden`] for a user who is locked, what was [spent](crate::profile::once::Spent::replayed) before,
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn open(&self, request: &Verified<Backchannel>, sub: &str, now: Timestamp) -> Result<Opened, Rejection> {
        let expires_in = request.expires_in(&self.profile);
        let expires_at = now.plus(expires_in);
        let interval = self.profile.rules().authentication_request.interval;
        let acr_wanted = !request.acr_values().is_empty() && !self.profile.issuer().acr_values_supported.is_empty();
        let auth_req_id = Secret::draw(&*self.entropy);
        let notify = request.client_notification_token().map(|token| Sealed::under(&auth_req_id, token));
        let asked = Asked { scope: request.scope(), acr_wanted, at: now, interval, notify };
        let grant = Grant::open(request.client().client_id.clone(), sub.to_owned(), asked, expires_at);
        let (sweep_at, pace) = (expires_at.plus(REMEMBERED), pace(&auth_req_id, &grant.client_id));
        let mut trip = Trip::spending(request.unspent_and_hint());
        let word = trip.load(standing::key(sub));
        let put = [trip.insert(key(&auth_req_id), &grant, sweep_at), trip.insert(pace, &NOT_YET, sweep_at)];
        let refusal = match self.go(trip).await {
            Err(refusal) => refusal,
            Ok(mut back) => {
                let stands = back.found(word).map(|word| Word::lets(word, now));
                match (stands, put.into_iter().all(|put| back.done(put))) {
                    (Ok(true), true) => return Ok(Opened { auth_req_id, expires_in, interval }),
                    (Ok(true), false) => taken(),
                    // A lock that came this very second ends what is asked in it.
                    (Ok(false), _) => Rejection::new(Reason::AccessForbidden, "CIBA-13-11", "the user is locked"),
                    (Err(unread), _) => unread,
                }
            }
        };
        // Nobody knows its id, so what was put is of no use to anybody; it need not stay, either.
        let mut trip = Trip::plain();
        trip.swap(key(&auth_req_id), write(&grant), &grant, now);
        trip.swap(pace, write(&NOT_YET), &NOT_YET, now);
        self.tidy(trip).await;
        Err(refusal)
    }

    /// What it takes to close a request that nobody could be asked about: a decision on it comes too late. Its client does not know of it, and is not told.
    ///
    /// # Errors
    /// As for [`decide`](Self::decide).
    pub async fn withdraw(&self, opened: &Opened, now: Timestamp) -> Result<Deciding, Rejection> {
        let withdrawn = self.deciding(&opened.auth_req_id, &Verdict::Deny, now).await?;
        Ok(Deciding { notice: None, ..withdrawn })
    }

    /// What it takes to carry out the person's decision.
    ///
    /// # Errors
    /// [`Reason::UnknownDecision`], [`Reason::AlreadySettled`], [`Reason::InvalidRequest`] without an acr that was asked for, [`Reason::AccessForbidden`]
    /// for another user's yes and for one who is locked, [`Reason::TemporarilyUnavailable`].
    pub async fn decide(&self, decision: &Verified<Decision>, now: Timestamp) -> Result<Deciding, Rejection> {
        self.deciding(decision.auth_req_id(), decision.verdict(), now).await
    }

    async fn deciding(&self, auth_req_id: &Secret, verdict: &Verdict, now: Timestamp) -> Result<Deciding, Rejection> {
        let key = key(auth_req_id);
        let mut trip = Trip::plain();
        let grant = trip.load::<Grant>(key);
        let word = match verdict {
            Verdict::Approve(approval) => Some(trip.load(standing::key(&approval.sub))),
            Verdict::Deny => None,
        };
        let mut back = self.go(trip).await?;
        let unknown = || Rejection::new(Reason::UnknownDecision, "CIBA-8-3", "no such request");
        let (grant, seen) = back.found(grant)?.ok_or_else(unknown)?;
        let (asked_at, sealed) = (grant.asked.at, grant.asked.notify.clone());
        let decided = grant.decide(verdict, now).map_err(undecidable)?;
        if let Some(word) = word
            && !Word::lets(back.found(word)?, asked_at)
        {
            return Err(Rejection::new(Reason::AccessForbidden, "CIBA-13-11", "the user is locked, or was"));
        }
        let token = sealed.and_then(|sealed| sealed.open(auth_req_id));
        let whose = (decided.client_id.clone(), decided.expires_at);
        let notice = token.map(|token| self.pack(whose.clone(), token, auth_req_id));
        Ok(Deciding { client_id: whose.0, notice, key, seen, decided })
    }

    /// Carries the decision out, and notes what the client is owed on the same trip. Of several at once, exactly one wins. Where a trip ends without an
    /// answer, the next one can tell: what is there is what was decided, or it is not.
    ///
    /// # Errors
    /// [`Reason::AlreadySettled`] for all but one, [`Reason::TemporarilyUnavailable`].
    pub async fn settle(&self, deciding: &Deciding, now: Timestamp) -> Result<(), Rejection> {
        let Deciding { notice, key, seen, decided, .. } = deciding;
        let sweep_at = decided.expires_at.plus(REMEMBERED);
        let mut unknown = None;
        for wait in TRIED_AFTER {
            tokio::time::sleep(wait).await;
            let mut trip = Trip::plain();
            if let Some(Notice { parcel, .. }) = notice {
                trip.post(parcel, now.plus(LEASE), sweep_at);
            }
            let swapped = trip.swap(*key, seen.clone(), decided, sweep_at);
            let won = match self.go(trip).await {
                Ok(mut back) => back.done(swapped) || (unknown.is_some() && self.is_there(*key, decided).await?),
                Err(refusal) => {
                    unknown = Some(refusal);
                    continue;
                }
            };
            if won {
                return Ok(());
            }
            if let Some(Notice { parcel, .. }) = notice {
                let mut trip = Trip::plain();
                trip.cross_out(parcel);
                self.tidy(trip).await;
            }
            return Err(undecidable(Undecidable::Settled));
        }
        Err(unknown.unwrap_or_else(contended))
    }

    async fn is_there(&self, key: Key, decided: &Grant) -> Result<bool, Rejection> {
        let found: Option<(Grant, _)> = self.get(key).await?;
        Ok(found.is_some_and(|(grant, _)| grant.was_decided_as(decided)))
    }

    /// What a poll finds: an approval, or the refusal CIBA §11 has for everything else. Unknown and another client's look the same.
    ///
    /// # Errors
    /// [`Reason::InvalidGrant`], [`Reason::ExpiredToken`], [`Reason::AccessDenied`], [`Reason::AuthorizationPending`], [`Reason::SlowDown`], what was
    /// [spent](crate::profile::once::Spent::replayed) before, [`Reason::TemporarilyUnavailable`].
    pub async fn poll(&self, request: &Verified<Redemption>, now: Timestamp) -> Result<Ready, Rejection> {
        let client = &request.sender().client;
        let (grant_key, pace_key) = (key(request.auth_req_id()), pace(request.auth_req_id(), &client.client_id));
        let slower_key = Key { family: Family::Slower, ..pace_key };
        let mut trip = Trip::spending(request.unspent().take());
        let grant = trip.load::<Grant>(grant_key);
        // Whoever polls takes the place of the one before: of several at once, each is too fast for the one before it.
        let last = trip.exchange::<Option<Timestamp>>(pace_key, &Some(now));
        let slower = trip.load::<u32>(slower_key);
        let mut back = self.go(trip).await?;
        let foreign =
            || Rejection::new(Reason::InvalidGrant, "CIBA-11-5", "the auth_req_id is unknown, or another client's");
        let ours = back.found(grant)?.filter(|(grant, _)| grant.client_id == client.client_id);
        let ((grant, seen), (last, _)) = ours.zip(back.found(last)?).ok_or_else(foreign)?;
        let (slower, slower_seen) = back.found(slower)?.unzip();
        let refusal = match grant.poll(Pace { slower: slower.unwrap_or(0), last }, now) {
            Poll::Approved(consent) if client.may_have(&grant.asked.scope) => {
                return Ok(Ready { grant, consent, key: grant_key, seen });
            }
            Poll::Approved(_) => (Reason::AccessDenied, "CIBA-11-4", "the client may not have that scope any more"),
            Poll::Redeemed => (Reason::InvalidGrant, "CIBA-10.1-9", "the auth_req_id is spent"),
            Poll::Expired => (Reason::ExpiredToken, "CIBA-11-3", "the auth_req_id has expired"),
            Poll::Denied => (Reason::AccessDenied, "CIBA-11-4", "the answer was no"),
            Poll::Pending => (Reason::AuthorizationPending, "CIBA-11-1", "no decision yet"),
            Poll::TooFast(slower) => {
                // Where another poll raised it in the same moment, once is enough.
                self.replace_with(slower_key, slower_seen, &slower, grant.expires_at.plus(REMEMBERED)).await?;
                (Reason::SlowDown, "CIBA-11-2", "no decision yet, polled too soon")
            }
        };
        Err(Rejection::new(refusal.0, refusal.1, refusal.2))
    }
}

fn key(auth_req_id: &Secret) -> Key {
    Key { family: Family::Grant, digest: auth_req_id.digest() }
}

/// Of a request and a client: who polls for what is another's leaves no trace on it.
fn pace(auth_req_id: &Secret, client_id: &str) -> Key {
    Key { family: Family::Pace, digest: Digest::of_parts(&["pace", auth_req_id.reveal(), client_id]) }
}

const fn undecidable(why: Undecidable) -> Rejection {
    match why {
        Undecidable::Settled => Rejection::new(Reason::AlreadySettled, "CIBA-8-3", "decided before, or expired"),
        Undecidable::WithoutAcr => {
            Rejection::new(Reason::InvalidRequest, "FAPICIBA-5.2.2-8", "an acr was asked for and not reported")
        }
        Undecidable::AnotherUser => Rejection::new(Reason::AccessForbidden, "CIBA-10.1-12", "another user approved"),
    }
}
