//! The life of one `auth_req_id`: [`Grant`], a pure state machine (CIBA §7.3, §10.1, §11). The time is an argument, the store only swaps.
//!
//! `Pending → Approved | Denied`, `Approved → Redeemed`; what is pending or approved expires. A denial outlives the expiry, so that a client that
//! comes late still hears why.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::profile::decision::{Approval, Verdict};
use crate::secret::{Digest, Sealed};

/// CIBA §11: how much longer the client has to wait after each `slow_down`, in seconds.
const SLOWER_BY: u32 = 5;

/// How much too early a poll may arrive, in whole seconds by a clock of whole seconds. Taste: two honest polls can be delayed unequally on their way.
const TOLERANCE: i64 = 1;

/// Everything the tokens will be made of, fixed when the request was accepted: what the person sees is what the client gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Who asked.
    pub client_id: String,
    /// Who is asked.
    pub sub: String,
    /// What for.
    pub asked: Asked,
    /// When the request expires.
    pub expires_at: Timestamp,
    state: State,
}

/// What the client asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The scopes.
    pub scope: Vec<String>,
    /// Whether the ID token has to say how the user was authenticated: the client sent `acr_values`, and this server offers some.
    pub acr_wanted: bool,
    /// When.
    pub at: Timestamp,
    /// How many seconds it was told to leave between two polls.
    pub interval: u32,
    /// `client_notification_token`, sealed under the `auth_req_id`, until there is something to notify of.
    pub notify: Option<Sealed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Pending,
    Approved(Consent),
    Denied,
    /// By whom: the digest of the access token that was handed out, or was about to be.
    Redeemed(Digest),
}

/// The person's yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The authentication context class that was achieved.
    pub acr: Option<String>,
    /// When the user was authenticated.
    pub auth_time: Timestamp,
}

/// Why a decision cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecidable {
    /// It was taken, or the request has expired.
    Settled,
    /// Someone other than the user who was asked approved.
    AnotherUser,
    /// FAPI-CIBA-ID1 §5.2.2-8: the client wants to know how the user was authenticated, and the approval does not say.
    WithoutAcr,
}

/// How fast one request is polled. Kept beside the grant, so that polling never contends with deciding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How many seconds longer than it was told at first the client has to wait by now.
    pub slower: u32,
    /// When it polled last.
    pub last: Option<Timestamp>,
}

/// What a poll finds (CIBA §11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Spent.
    Redeemed,
    /// Too late.
    Expired,
    /// The answer was no.
    Denied,
    /// No answer yet.
    Pending,
    /// No answer yet, and asked too soon. From now on the client has to wait so many seconds longer than at first.
    TooFast(u32),
    /// The answer was yes.
    Approved(Consent),
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody has decided.
    Pending,
    /// The user said yes, and the client has not come for its tokens.
    Approved,
    /// It was denied or redeemed, or has expired.
    Over,
}

impl Grant {
    /// A request that was just accepted.
    pub const fn open(client_id: String, sub: String, asked: Asked, expires_at: Timestamp) -> Self {
        Self { client_id, sub, asked, expires_at, state: State::Pending }
    }

    /// CIBA §8: takes the person's decision, once and before expiry. Where the bank's clock runs ahead, `auth_time` is now: it never lies after
    /// the `iat` of a token.
    ///
    /// # Errors
    /// [`Undecidable`].
    pub fn decide(self, verdict: &Verdict, now: Timestamp) -> Result<Self, Undecidable> {
        match self.state {
            State::Pending if now < self.expires_at => {}
            State::Pending | State::Approved(_) | State::Denied | State::Redeemed(_) => {
                return Err(Undecidable::Settled);
            }
        }
        let state = match verdict {
            Verdict::Approve(Approval { sub, .. }) if *sub != self.sub => return Err(Undecidable::AnotherUser),
            Verdict::Approve(Approval { acr: None, .. }) if self.asked.acr_wanted => {
                return Err(Undecidable::WithoutAcr);
            }
            Verdict::Approve(Approval { acr, auth_time, .. }) => {
                State::Approved(Consent { acr: acr.clone(), auth_time: (*auth_time).min(now) })
            }
            Verdict::Deny => State::Denied,
        };
        let asked = Asked { notify: None, ..self.asked };
        Ok(Self { asked, state, ..self })
    }

    /// CIBA §11: what a poll at `now` finds. Pace matters only while there is nothing else to say.
    pub fn poll(&self, pace: Pace, now: Timestamp) -> Poll {
        match &self.state {
            State::Redeemed(_) => Poll::Redeemed,
            State::Denied => Poll::Denied,
            State::Pending | State::Approved(_) if now >= self.expires_at => Poll::Expired,
            State::Approved(consent) => Poll::Approved(consent.clone()),
            State::Pending => self.asked.paced(pace, now),
        }
    }

    /// CIBA §10.1: hands the approval out for the access token of that digest. `None`: there is none, or not any more.
    pub fn redeem(self, access_token: Digest, now: Timestamp) -> Option<Self> {
        match self.state {
            State::Approved(_) if now < self.expires_at => Some(Self { state: State::Redeemed(access_token), ..self }),
            State::Approved(_) | State::Pending | State::Denied | State::Redeemed(_) => None,
        }
    }

    /// How far it has come at `now`.
    pub fn stage(&self, now: Timestamp) -> Stage {
        match self.state {
            State::Pending if now < self.expires_at => Stage::Pending,
            State::Approved(_) if now < self.expires_at => Stage::Approved,
            State::Pending | State::Approved(_) | State::Denied | State::Redeemed(_) => Stage::Over,
        }
    }

    /// Whether it was decided as `other` was, redeemed since or not.
    pub fn was_decided_as(&self, other: &Self) -> bool {
        let redeemed = matches!((&self.state, &other.state), (State::Redeemed(_), State::Approved(_)));
        self.state == other.state || redeemed
    }

    /// Whether it was handed out for the access token of that digest, which nobody else can have drawn.
    pub fn is_redeemed_for(&self, access_token: &Digest) -> bool {
        matches!(&self.state, State::Redeemed(digest) if digest == access_token)
    }

    /// What it is once nothing is to come of it, or what came of it was taken back before anybody had it: the answer is no.
    #[must_use]
    pub fn taken_back(self) -> Self {
        let asked = Asked { notify: None, ..self.asked };
        Self { state: State::Denied, asked, ..self }
    }
}

impl Asked {
    /// CIBA §7.3, §11: the first poll is never too fast; each one that is adds five seconds to the interval, for good.
    fn paced(&self, Pace { slower, last }: Pace, now: Timestamp) -> Poll {
        let interval = i64::from(self.interval) + i64::from(slower);
        match last {
            Some(last) if now.since(last).saturating_add(TOLERANCE) < interval => {
                Poll::TooFast(slower.saturating_add(SLOWER_BY))
            }
            Some(_) | None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_000 + seconds)
    }

    fn open() -> Grant {
        asking(false)
    }

    fn asking(acr_wanted: bool) -> Grant {
        let asked = Asked { scope: vec!["openid".into()], acr_wanted, at: at(0), interval: 5, notify: None };
        Grant::open("till".into(), "alice".into(), asked, at(120))
    }

    fn yes(sub: &str) -> Verdict {
        Verdict::Approve(Approval { sub: sub.into(), acr: None, auth_time: at(3) })
    }

    const FRESH: Pace = Pace { slower: 0, last: None };

    fn token() -> Digest {
        Digest::of(b"token")
    }

    #[test]
    fn ciba_8_3_a_decision_is_taken_once_and_before_expiry() {
        for first in [yes("alice"), Verdict::Deny] {
            let decided = open().decide(&first, at(119)).expect("in time");
            for second in [yes("alice"), Verdict::Deny] {
                assert_eq!(decided.clone().decide(&second, at(119)), Err(Undecidable::Settled));
            }
            assert_eq!(open().decide(&first, at(120)), Err(Undecidable::Settled), "expiry at equality");
        }
        let redeemed = open().decide(&yes("alice"), at(1)).expect("in time").redeem(token(), at(2)).expect("approved");
        assert_eq!(redeemed.decide(&Verdict::Deny, at(3)), Err(Undecidable::Settled));
    }

    #[test]
    fn ciba_10_1_12_only_the_user_who_was_asked_can_approve() {
        assert_eq!(open().decide(&yes("mallory"), at(1)), Err(Undecidable::AnotherUser));
    }

    #[test]
    fn fapiciba_5_2_2_8_who_asks_for_an_acr_gets_one() {
        assert_eq!(asking(true).decide(&yes("alice"), at(1)), Err(Undecidable::WithoutAcr));
        assert!(asking(true).decide(&Verdict::Deny, at(1)).is_ok());
        let acr = Some("urn:bank:acr:app-pin".into());
        let told = Verdict::Approve(Approval { sub: "alice".into(), acr, auth_time: at(1) });
        assert!(asking(true).decide(&told, at(1)).is_ok());
    }

    #[test]
    fn ciba_10_1_9_an_approval_is_redeemed_once_and_before_expiry() {
        let approved = open().decide(&yes("alice"), at(1)).expect("in time");
        assert!(approved.clone().redeem(token(), at(120)).is_none());
        let redeemed = approved.redeem(token(), at(119)).expect("in time");
        assert_eq!(redeemed.poll(FRESH, at(119)), Poll::Redeemed);
        assert_eq!(redeemed.poll(FRESH, at(500)), Poll::Redeemed);
        assert!(redeemed.clone().redeem(token(), at(119)).is_none());
        assert!(redeemed.is_redeemed_for(&token()) && !redeemed.is_redeemed_for(&Digest::of(b"another")));
        assert_eq!(redeemed.taken_back().poll(FRESH, at(119)), Poll::Denied);
        assert!(open().redeem(token(), at(1)).is_none());
        assert!(open().decide(&Verdict::Deny, at(1)).expect("in time").redeem(token(), at(2)).is_none());
    }

    #[test]
    fn ciba_11_3_and_4_expiry_and_denial_are_told_for_as_long_as_they_are_remembered() {
        assert_eq!(open().poll(FRESH, at(120)), Poll::Expired);
        assert_eq!(open().decide(&yes("alice"), at(1)).expect("in time").poll(FRESH, at(120)), Poll::Expired);
        let denied = open().decide(&Verdict::Deny, at(1)).expect("in time");
        assert_eq!((denied.poll(FRESH, at(1)), denied.poll(FRESH, at(500))), (Poll::Denied, Poll::Denied));
    }

    #[test]
    fn ciba_11_2_slow_down_adds_five_seconds_for_good_and_an_obedient_client_recovers() {
        let poll = |slower, last, now| open().poll(Pace { slower, last: Some(at(last)) }, at(now));
        assert_eq!(open().poll(FRESH, at(0)), Poll::Pending, "the first poll is free");
        assert_eq!(poll(0, 0, 3), Poll::TooFast(5), "3 s is too soon for 5 s");
        assert_eq!(poll(5, 3, 11), Poll::TooFast(10), "8 s is too soon for 10 s");
        assert_eq!(poll(10, 11, 26), Poll::Pending, "15 s is the pace");
        assert_eq!(poll(10, 26, 40), Poll::Pending, "one second of jitter is forgiven");
        assert_eq!(poll(10, 26, 39), Poll::TooFast(15));
        assert_eq!(poll(0, 50, 26), Poll::TooFast(5), "a clock that was set back is no reason to poll faster");
    }

    #[test]
    fn once_decided_the_pace_no_longer_matters() {
        let pace = Pace { slower: 60, last: Some(at(2)) };
        assert!(matches!(open().decide(&yes("alice"), at(1)).expect("in time").poll(pace, at(2)), Poll::Approved(_)));
        assert_eq!(open().decide(&Verdict::Deny, at(1)).expect("in time").poll(pace, at(2)), Poll::Denied);
    }
}
