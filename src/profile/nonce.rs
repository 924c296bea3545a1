//! [`Nonces`]: what a DPoP proof shows that it was made a short while ago (RFC 9449 §8, §9). Nothing is remembered: a nonce is a code of the time, under a key that all servers make of a secret they share.

use crate::clock::Timestamp;
use crate::secret::{Entropy, Mac, Secret};

/// How long a nonce is given out, in seconds. It is good for as long again. Taste: short enough that a stolen proof is of little use.
const SLOT: i64 = 300;

/// How long a key makes nonces, in seconds: whoever learns one has a day of them.
const DAY: i64 = 24 * 3_600;

/// Where a nonce is good: one of the token endpoint says nothing at a resource (RFC 9449 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The token endpoint.
    Token,
    /// A resource of this server.
    Resource,
}

impl Side {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Token => Self::Resource,
            Self::Resource => Self::Token,
        }
    }
}

/// What nonces are made of.
#[derive(Clone)]
pub enum Source {
    /// There is one server: of a secret that it draws.
    Own,
    /// Of a secret that all servers share.
    Shared(Secret),
    /// There are several servers, which share none: there are no nonces.
    Missing,
}

impl Source {
    /// The nonces, if there are any.
    pub fn nonces(&self, entropy: &dyn Entropy) -> Option<Nonces> {
        match self {
            Self::Own => Some(Nonces::under(&Secret::draw(entropy))),
            Self::Shared(secret) => Some(Nonces::under(secret)),
            Self::Missing => None,
        }
    }
}

/// The nonces of an issuer.
#[derive(Clone)]
pub struct Nonces(Mac);

impl Nonces {
    /// Whoever has the same secret has the same.
    fn under(secret: &Secret) -> Self {
        Self(Mac::under(secret))
    }

    /// The one to be given out at `now`.
    pub fn fresh(&self, side: Side, now: Timestamp) -> String {
        let slot = now.seconds().div_euclid(SLOT);
        self.key(slot).code(&text(side, slot))
    }

    /// Whether `nonce` was given out lately.
    pub fn know(&self, side: Side, nonce: &str, now: Timestamp) -> bool {
        let slot = now.seconds().div_euclid(SLOT);
        // The slot to come, too: another server's clock may be a little ahead.
        [slot, slot - 1, slot + 1].iter().any(|slot| self.key(*slot).made(nonce, &text(side, *slot)))
    }

    /// The key of the day that the slot begins on.
    fn key(&self, slot: i64) -> Mac {
        self.0.derived(&format!("nonces of day {}", (slot * SLOT).div_euclid(DAY)))
    }
}

fn text(side: Side, slot: i64) -> String {
    let side = match side {
        Side::Token => "token",
        Side::Resource => "resource",
    };
    format!("{side} {slot}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dpop_8_4_a_nonce_is_good_on_every_server_for_one_to_two_slots_and_on_its_side() {
        let nonces = |key: &str| Nonces::under(&Secret::new(key.to_owned()));
        let (one, other, stranger) = (nonces("shared"), nonces("shared"), nonces("another"));
        let at = Timestamp::from_seconds;
        let nonce = one.fresh(Side::Token, at(600));
        assert!(nonce.len() == 43 && nonce == one.fresh(Side::Token, at(899)));
        assert_ne!(nonce, one.fresh(Side::Token, at(900)));
        for (now, good) in [(299, false), (300, true), (600, true), (899, true), (1_199, true), (1_200, false)] {
            assert_eq!(other.know(Side::Token, &nonce, at(now)), good, "{now}");
        }
        assert!(!one.know(Side::Resource, &nonce, at(600)) && !stranger.know(Side::Token, &nonce, at(600)));
        for odd in ["", "x", &nonce[1..], &format!("{nonce} ")] {
            assert!(!one.know(Side::Token, odd, at(600)), "{odd}");
        }
    }

    #[test]
    fn dpop_8_4_a_nonce_outlives_the_day_of_its_key_and_the_next_day_has_another() {
        let nonces = |key: &str| Nonces::under(&Secret::new(key.to_owned()));
        let (one, other) = (nonces("shared"), nonces("shared"));
        let at = Timestamp::from_seconds;
        let last = one.fresh(Side::Token, at(DAY - 1));
        assert!(other.know(Side::Token, &last, at(DAY)) && other.know(Side::Token, &last, at(DAY + SLOT - 1)));
        assert!(other.know(Side::Token, &one.fresh(Side::Token, at(DAY)), at(DAY - 1)), "a clock that is behind");
        let (today, tomorrow) = (one.key(0), one.key(DAY / SLOT));
        assert!(today.code("x") == other.key(DAY / SLOT - 1).code("x") && today.code("x") != tomorrow.code("x"));
    }
}
