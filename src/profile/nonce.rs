//! [`Nonces`]: what a DPoP proof shows that it was made a short while ago (RFC 9449 §8, §9). Nothing is remembered: a nonce is a digest of a secret that all servers share, and of the time.

use crate::clock::Timestamp;
use crate::secret::{Digest, Entropy, Secret};

/// How long a nonce is given out, in seconds. It is good for as long again. Taste: short enough that a stolen proof is of little use.
const SLOT: i64 = 300;

/// Where a nonce is good: one of the token endpoint says nothing at a resource (RFC 9449 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The token endpoint.
    Token,
    /// A resource of this server.
    Resource,
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
            Self::Own => Some(Nonces(Secret::draw(entropy))),
            Self::Shared(secret) => Some(Nonces(secret.clone())),
            Self::Missing => None,
        }
    }
}

/// The nonces of an issuer.
#[derive(Clone)]
pub struct Nonces(Secret);

impl Nonces {
    /// The one to be given out at `now`.
    pub fn fresh(&self, side: Side, now: Timestamp) -> String {
        self.of(side, now.seconds().div_euclid(SLOT)).to_string()
    }

    /// Whether `nonce` was given out lately.
    pub fn know(&self, side: Side, nonce: &str, now: Timestamp) -> bool {
        let slot = now.seconds().div_euclid(SLOT);
        // The slot to come, too: another server's clock may be a little ahead.
        let good = [slot, slot - 1, slot + 1].map(|slot| self.of(side, slot));
        nonce.parse::<Digest>().is_ok_and(|nonce| good.contains(&nonce))
    }

    fn of(&self, side: Side, slot: i64) -> Digest {
        let side = match side {
            Side::Token => "token",
            Side::Resource => "resource",
        };
        Digest::of_parts(&["dpop nonce", self.0.reveal(), side, &slot.to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dpop_8_4_a_nonce_is_good_on_every_server_for_one_to_two_slots_and_on_its_side() {
        let nonces = |key: &str| Nonces(Secret::new(key.to_owned()));
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
}
