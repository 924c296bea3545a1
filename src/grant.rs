//! The life of one `auth_req_id`: [`Grant`], a pure state machine (CIBA §7.3, §10.1, §11). The time is an argument, the store only swaps.
//!
//! `Pending → Approved | Denied`, `Approved → Redeemed`; what is pending or approved expires. A denial outlives the expiry, so that a client that
//! comes late still hears why.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::profile::decision::{Approval, Verdict};
use crate::secret::Sealed;

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
    /// `client_notification_token`, sealed under the `auth_req_id`, until there is something to notify of.
    pub notify: Option<Sealed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Pending,
    Approved(Consent),
    Denied,
    Redeemed,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    interval: u32,
    last: Option<Timestamp>,
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
    /// No answer yet. Ask again at the pace to be kept from now on.
    Pending(Pace),
    /// No answer yet, and asked too soon.
    TooFast(Pace),
    /// The answer was yes.
    Approved(Consent),
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
            State::Pending | State::Approved(_) | State::Denied | State::Redeemed => return Err(Undecidable::Settled),
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
            State::Redeemed => Poll::Redeemed,
            State::Denied => Poll::Denied,
            State::Pending | State::Approved(_) if now >= self.expires_at => Poll::Expired,
            State::Approved(consent) => Poll::Approved(consent.clone()),
            State::Pending => pace.at(now),
        }
    }

    /// CIBA §10.1: hands the approval out. `None`: there is none, or not any more.
    pub fn redeem(self, now: Timestamp) -> Option<Self> {
        match self.state {
            State::Approved(_) if now < self.expires_at => Some(Self { state: State::Redeemed, ..self }),
            State::Approved(_) | State::Pending | State::Denied | State::Redeemed => None,
        }
    }
}

impl Pace {
    /// The pace of a request that has not been polled.
    pub const fn every(interval: u32) -> Self {
        Self { interval, last: None }
    }

    /// CIBA §7.3, §11: the first poll is never too fast; each one that is adds five seconds to the interval, for good.
    fn at(self, now: Timestamp) -> Poll {
        let too_fast = self.last.is_some_and(|last| now.since(last) + TOLERANCE < i64::from(self.interval));
        let interval = if too_fast { self.interval.saturating_add(SLOWER_BY) } else { self.interval };
        let pace = Self { interval, last: Some(now) };
        if too_fast { Poll::TooFast(pace) } else { Poll::Pending(pace) }
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
        let asked = Asked { scope: vec!["openid".into()], acr_wanted, at: at(0), notify: None };
        Grant::open("till".into(), "alice".into(), asked, at(120))
    }

    fn yes(sub: &str) -> Verdict {
        Verdict::Approve(Approval { sub: sub.into(), acr: None, auth_time: at(3) })
    }

    const FRESH: Pace = Pace::every(5);

    #[test]
    fn ciba_8_3_a_decision_is_taken_once_and_before_expiry() {
        for first in [yes("alice"), Verdict::Deny] {
            let decided = open().decide(&first, at(119)).expect("in time");
            for second in [yes("alice"), Verdict::Deny] {
                assert_eq!(decided.clone().decide(&second, at(119)), Err(Undecidable::Settled));
            }
            assert_eq!(open().decide(&first, at(120)), Err(Undecidable::Settled), "expiry at equality");
        }
        let redeemed = open().decide(&yes("alice"), at(1)).expect("in time").redeem(at(2)).expect("approved");
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
        assert!(approved.clone().redeem(at(120)).is_none());
        let redeemed = approved.redeem(at(119)).expect("in time");
        assert_eq!(redeemed.poll(FRESH, at(119)), Poll::Redeemed);
        assert_eq!(redeemed.poll(FRESH, at(500)), Poll::Redeemed);
        assert!(redeemed.redeem(at(119)).is_none());
        assert!(open().redeem(at(1)).is_none());
        assert!(open().decide(&Verdict::Deny, at(1)).expect("in time").redeem(at(2)).is_none());
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
        let grant = open();
        let Poll::Pending(pace) = grant.poll(FRESH, at(0)) else { panic!("the first poll is free") };
        let Poll::TooFast(pace) = grant.poll(pace, at(3)) else { panic!("3 s is too soon for 5 s") };
        assert_eq!(pace.interval, 10);
        let Poll::TooFast(pace) = grant.poll(pace, at(11)) else { panic!("8 s is too soon for 10 s") };
        assert_eq!(pace.interval, 15);
        let Poll::Pending(pace) = grant.poll(pace, at(26)) else { panic!("15 s is the pace") };
        assert_eq!(pace.interval, 15);
        assert!(matches!(grant.poll(pace, at(40)), Poll::Pending(_)), "one second of jitter is forgiven");
        assert!(matches!(grant.poll(pace, at(39)), Poll::TooFast(_)));
    }

    #[test]
    fn once_decided_the_pace_no_longer_matters() {
        let pace = Pace { interval: 60, last: Some(at(2)) };
        assert!(matches!(open().decide(&yes("alice"), at(1)).expect("in time").poll(pace, at(2)), Poll::Approved(_)));
        assert_eq!(open().decide(&Verdict::Deny, at(1)).expect("in time").poll(pace, at(2)), Poll::Denied);
    }
}
