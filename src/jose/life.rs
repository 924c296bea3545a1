//! [`Life`]: when a signing key is published, signs, and still verifies. What it is at a moment follows from the times alone, so that all who read them agree, and nobody has to move anything on.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The times of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Life {
    /// Since when verifiers can know it.
    pub published: Timestamp,
    /// Since when it signs; not decided yet, if not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signs_from: Option<Timestamp>,
    /// Until when it signs; for good, if not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signs_until: Option<Timestamp>,
    /// Until when what it signed may be live, and it is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verifies_until: Option<Timestamp>,
    /// When it was given up, at once and for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

/// What a key is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Published, and does not sign yet.
    Next,
    /// Signs.
    Active,
    /// Published for what it signed.
    Retiring,
    /// Known as one's own, and not published any more.
    Retired,
    /// Nothing that it signed is believed.
    Revoked,
}

impl State {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }

    /// Whether verifiers are told of it.
    pub const fn is_published(self) -> bool {
        match self {
            Self::Next | Self::Active | Self::Retiring => true,
            Self::Retired | Self::Revoked => false,
        }
    }
}

impl Life {
    /// Of a key that has always signed, and will.
    pub const ALWAYS: Self = Self {
        published: Timestamp::from_seconds(0),
        signs_from: Some(Timestamp::from_seconds(0)),
        signs_until: None,
        verifies_until: None,
        revoked: None,
    };

    /// Of a key that is known from `now` on, and does not sign yet.
    pub const fn published(now: Timestamp) -> Self {
        Self { published: now, signs_from: None, signs_until: None, verifies_until: None, revoked: None }
    }

    /// What it is at `now`.
    pub fn state(&self, now: Timestamp) -> State {
        let past = |time: Option<Timestamp>| time.is_some_and(|time| time <= now);
        if self.revoked.is_some() {
            State::Revoked
        } else if !past(self.signs_from) {
            State::Next
        } else if !past(self.signs_until) {
            State::Active
        } else if !past(self.verifies_until) {
            State::Retiring
        } else {
            State::Retired
        }
    }

    /// When it will be something else, by itself.
    pub fn changes(&self, now: Timestamp) -> Option<Timestamp> {
        match self.state(now) {
            State::Next => self.signs_from,
            State::Active => self.signs_until,
            State::Retiring => self.verifies_until,
            State::Retired | State::Revoked => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_is_follows_from_its_times_to_the_second() {
        let at = |seconds| Some(Timestamp::from_seconds(seconds));
        let life = Life {
            published: Timestamp::from_seconds(10),
            signs_from: at(20),
            signs_until: at(30),
            verifies_until: at(40),
            revoked: None,
        };
        for (now, state, changes) in [
            (10, State::Next, at(20)),
            (19, State::Next, at(20)),
            (20, State::Active, at(30)),
            (29, State::Active, at(30)),
            (30, State::Retiring, at(40)),
            (39, State::Retiring, at(40)),
            (40, State::Retired, None),
        ] {
            let now = Timestamp::from_seconds(now);
            assert_eq!((life.state(now), life.changes(now)), (state, changes), "{now:?}");
            let revoked = Life { revoked: at(5), ..life };
            assert_eq!((revoked.state(now), revoked.changes(now)), (State::Revoked, None));
            assert_eq!(Life::ALWAYS.state(now), State::Active);
            assert_eq!(Life::published(now).state(now), State::Next, "nobody has said from when");
        }
    }
}
