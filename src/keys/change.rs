//! What an operator does to the keys. Each change is a step from one [`Manifest`] to the next and nothing else, so that it can be shown before it is made.

use crate::clock::Timestamp;
use crate::jose::alg::Alg;
use crate::jose::life::{Life, State};
use crate::keys::{Deed, Entry, Manifest};

/// What the times of keys are reckoned by.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The moment.
    pub now: Timestamp,
    /// How long verifiers may know the published keys by heart, in seconds: a key is published for so long before it signs.
    pub lead: u32,
    /// How long what a key signed may be live, in seconds: it is published for so long after it has signed for the last time.
    pub lasts: u32,
}

/// How soon a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// When every verifier can know it.
    InTime,
    /// At once. Verifiers that do not know it yet cannot verify what it signs.
    AtOnce,
}

impl Manifest {
    /// Has `entry` among the keys; it does not sign yet.
    ///
    /// # Errors
    /// It is there already.
    pub fn add(&mut self, entry: Entry) -> Result<(), String> {
        if self.keys.iter().any(|other| other.kid == entry.kid) {
            return Err(format!("{} is there already", entry.kid));
        }
        self.keys.push(entry);
        Ok(())
    }

    /// The key that will sign for `alg` in place of another, if one has been told to.
    pub fn under_way(&self, alg: Alg, now: Timestamp) -> Option<&Entry> {
        let coming = |entry: &&Entry| entry.life.state(now) == State::Next && entry.life.signs_from.is_some();
        self.of(alg).find(coming)
    }

    /// A key for `alg` that is published, and has not been told from when to sign: the one that has been known for longest.
    pub fn waiting(&self, alg: Alg, now: Timestamp) -> Option<&Entry> {
        let waits = |entry: &&Entry| entry.life.state(now) == State::Next && entry.life.signs_from.is_none();
        self.of(alg).filter(waits).min_by_key(|entry| entry.life.published)
    }

    /// The keys that sign for `alg`.
    pub fn active(&self, alg: Alg, now: Timestamp) -> impl Iterator<Item = &Entry> {
        self.of(alg).filter(move |entry| entry.life.state(now) == State::Active)
    }

    /// Has the key of that id sign, and the others for its algorithm not any more from then on.
    ///
    /// # Errors
    /// It signs, or did; it says which.
    pub fn promote(&mut self, kid: &str, haste: Haste, terms: Terms) -> Result<(), String> {
        let entry = self.key(kid)?;
        let state = entry.life.state(terms.now);
        if state != State::Next {
            return Err(format!("{} is {}; only a key that is next can be promoted", entry.kid, state.name()));
        }
        let known = entry.life.published.plus(terms.lead).max(terms.now);
        let from = if haste == Haste::AtOnce { terms.now } else { known };
        let (kid, alg) = (entry.kid.clone(), entry.alg.clone());
        for entry in self.keys.iter_mut().filter(|entry| entry.alg == alg && entry.life.revoked.is_none()) {
            let life = &mut entry.life;
            if entry.kid == kid {
                life.signs_from = Some(from);
            } else if life.state(terms.now) == State::Next && life.signs_from.is_some_and(|begins| begins >= from) {
                // It has been overtaken before it signed, and waits for another turn.
                life.signs_from = None;
            } else if life.signs_from.is_some() && life.signs_until.is_none_or(|until| until > from) {
                life.signs_until = Some(from);
                life.verifies_until = Some(from.plus(terms.lasts));
            }
        }
        Ok(())
    }

    /// Has the key of that id sign no more. What it signed is still good for as long as it may be.
    ///
    /// # Errors
    /// It does not sign, or nobody would.
    pub fn retire(&mut self, kid: &str, terms: Terms) -> Result<(), String> {
        let entry = self.key(kid)?;
        let (kid, alg, state) = (entry.kid.clone(), entry.alg.clone(), entry.life.state(terms.now));
        match state {
            State::Next => {}
            State::Active => {
                let others = self.keys.iter().filter(|other| other.alg == alg && other.kid != kid);
                if !others.into_iter().any(|other| other.life.state(terms.now) == State::Active) {
                    return Err(format!(
                        "no other key signs {alg}; `countersign keys rotate --now` has another one sign first"
                    ));
                }
            }
            State::Retiring | State::Retired | State::Revoked => {
                return Err(format!("{kid} is {} already", state.name()));
            }
        }
        let life = &mut self.entry(&kid)?.life;
        life.verifies_until = Some(if state == State::Active { terms.now.plus(terms.lasts) } else { terms.now });
        life.signs_from = Some(life.signs_from.map_or(terms.now, |from| from.min(terms.now)));
        life.signs_until = Some(terms.now);
        self.go_on(&alg, terms.now);
        Ok(())
    }

    /// Gives the key of that id up, at once: nothing that it signed is believed any more.
    ///
    /// # Errors
    /// It was revoked before, or it signs and nobody else would.
    pub fn revoke(&mut self, kid: &str, terms: Terms) -> Result<(), String> {
        let entry = self.key(kid)?;
        if entry.life.revoked.is_some() {
            return Err(format!("{} is revoked already", entry.kid));
        }
        let (kid, alg, state) = (entry.kid.clone(), entry.alg.clone(), entry.life.state(terms.now));
        self.entry(&kid)?.life.revoked = Some(terms.now);
        self.go_on(&alg, terms.now);
        let signs = |entry: &Entry| entry.alg == alg && entry.life.state(terms.now) == State::Active;
        if state == State::Active && !self.keys.iter().any(signs) {
            return Err(format!("no other key signs {alg}"));
        }
        Ok(())
    }

    /// A key that was to sign until another one took over signs on, where that other one will not.
    fn go_on(&mut self, alg: &str, now: Timestamp) {
        let signs_at = |entry: &Entry, at: Timestamp| {
            let Life { signs_from, signs_until, revoked, .. } = entry.life;
            revoked.is_none() && signs_from.is_some_and(|from| from <= at) && signs_until.is_none_or(|until| until > at)
        };
        let same = |entry: &&Entry| entry.alg == alg;
        let stranded = |entry: &Entry| {
            let until = entry.life.signs_until.filter(|until| *until > now && entry.life.revoked.is_none());
            until.is_some_and(|until| !self.keys.iter().filter(same).any(|other| signs_at(other, until)))
        };
        let stranded: Vec<bool> = self.keys.iter().map(|entry| entry.alg == alg && stranded(entry)).collect();
        for (entry, stranded) in self.keys.iter_mut().zip(stranded) {
            if stranded {
                (entry.life.signs_until, entry.life.verifies_until) = (None, None);
            }
        }
    }

    /// Notes what was done.
    pub fn note(&mut self, deed: Deed) {
        self.history.push(deed);
    }

    fn of(&self, alg: Alg) -> impl Iterator<Item = &Entry> {
        self.keys.iter().filter(move |entry| entry.alg == alg.name())
    }

    fn entry(&mut self, kid: &str) -> Result<&mut Entry, String> {
        self.keys.iter_mut().find(|entry| entry.kid == kid).ok_or_else(|| format!("there is no key {kid}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    const TERMS: Terms = Terms { now: at(10_000), lead: 360, lasts: 3_660 };

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn key(kid: &str, life: Life) -> Entry {
        Entry { kid: kid.into(), alg: "ES256".into(), file: Some(format!("{kid}.pem")), public: Map::new(), life }
    }

    /// One that signs, and one that was published just now.
    fn two() -> Manifest {
        let mut manifest = Manifest::empty();
        manifest.add(key("old", Life::ALWAYS)).expect("it is new");
        manifest.add(key("new", Life::published(TERMS.now))).expect("it is new");
        manifest
    }

    fn states(manifest: &Manifest, now: i64) -> Vec<State> {
        manifest.keys.iter().map(|entry| entry.life.state(at(now))).collect()
    }

    #[test]
    fn a_key_signs_when_everybody_can_know_it_and_the_one_before_is_published_until_nothing_of_it_lives() {
        let mut manifest = two();
        manifest.promote("new", Haste::InTime, TERMS).expect("it is next");
        for (now, expected) in [
            (10_000, [State::Active, State::Next]),
            (10_359, [State::Active, State::Next]),
            (10_360, [State::Retiring, State::Active]),
            (14_019, [State::Retiring, State::Active]),
            (14_020, [State::Retired, State::Active]),
        ] {
            assert_eq!(states(&manifest, now), expected, "{now}");
        }
    }

    #[test]
    fn at_every_moment_one_key_signs_however_often_it_is_rotated() {
        let mut manifest = two();
        manifest.promote("new", Haste::InTime, TERMS).expect("it is next");
        manifest.add(key("newer", Life::published(TERMS.now))).expect("it is new");
        manifest.promote("newer", Haste::AtOnce, TERMS).expect("it is next");
        for now in [10_000, 10_359, 10_360, 10_361, 20_000] {
            let active = manifest.active(Alg::Es256, at(now)).map(|entry| entry.kid.as_str());
            assert_eq!(active.collect::<Vec<_>>(), ["newer"], "{now}");
        }
    }

    #[test]
    fn a_key_that_is_overtaken_before_it_signs_waits_for_the_next_turn() {
        let mut manifest = two();
        manifest.promote("new", Haste::InTime, TERMS).expect("it is next");
        manifest.add(key("newer", Life::published(TERMS.now))).expect("it is new");
        manifest.promote("newer", Haste::AtOnce, TERMS).expect("it is next");
        assert_eq!(manifest.under_way(Alg::Es256, TERMS.now), None);
        assert_eq!(manifest.waiting(Alg::Es256, TERMS.now).map(|entry| entry.kid.as_str()), Some("new"));
        manifest.promote("new", Haste::AtOnce, TERMS).expect("it is next");
        assert_eq!(states(&manifest, 10_000), [State::Retiring, State::Active, State::Retiring], "it may have signed");
    }

    /// A verifier fetches the keys and knows them by heart for five minutes; a token is live for as long as the terms say. Whatever it is shown, it can verify.
    #[test]
    fn a_verifier_that_knows_the_keys_by_heart_verifies_everything_through_many_rotations() {
        const BY_HEART: u32 = 300;
        let (mut manifest, mut made) = (Manifest::empty(), 0);
        manifest.add(key("0", Life::ALWAYS)).expect("it is new");
        for second in 0..20_000 {
            let terms = Terms { now: at(10_000 + second), ..TERMS };
            // An operator who cannot wait: again and again, and each time nothing is under way.
            if second % 2 == 0 && manifest.under_way(Alg::Es256, terms.now).is_none() {
                made += 1;
                let kid = made.to_string();
                manifest.add(key(&kid, Life::published(terms.now))).expect("it is new");
                manifest.promote(&kid, Haste::InTime, terms).expect("it is next");
            }
            let signing: Vec<&Entry> = manifest.active(Alg::Es256, terms.now).collect();
            let [signing] = signing[..] else { panic!("{second}: {} keys sign", signing.len()) };
            // Fetched any time within the last five minutes, the key was published then.
            assert!(signing.life.published.plus(BY_HEART) <= terms.now, "{second}");
        }
        assert!(made > 50, "{made}");
        for entry in &manifest.keys {
            // What it signed last is shown to somebody who fetches the keys at the token's last moment.
            let last = entry.life.signs_until.unwrap_or(at(i64::MAX / 2));
            assert!(entry.life.verifies_until.is_none_or(|until| until.since(last) == 3_660), "{}", entry.kid);
        }
    }

    #[test]
    fn a_key_that_has_been_known_for_long_enough_signs_at_once() {
        let mut manifest = two();
        let later = Terms { now: at(11_000), ..TERMS };
        manifest.promote("new", Haste::InTime, later).expect("it is next");
        assert_eq!(manifest.key("new").expect("there").life.signs_from, Some(at(11_000)));
    }

    #[test]
    fn what_cannot_be_done_is_refused_and_nothing_changes() {
        let mut manifest = two();
        for (refused, says) in [
            (manifest.promote("old", Haste::InTime, TERMS), "only a key that is next"),
            (manifest.promote("other", Haste::InTime, TERMS), "there is no key other"),
            (manifest.promote("", Haste::InTime, TERMS), "more than one key"),
            (manifest.retire("old", TERMS), "no other key signs ES256"),
            (manifest.add(key("old", Life::ALWAYS)), "is there already"),
        ] {
            assert!(refused.as_ref().is_err_and(|why| why.contains(says)), "{refused:?}");
        }
        assert_eq!(manifest, two());
        assert!(manifest.clone().revoke("old", TERMS).is_err_and(|why| why.contains("no other key signs")));
        manifest.revoke("new", TERMS).expect("the other one signs");
        assert!(manifest.revoke("new", TERMS).is_err_and(|why| why.contains("revoked already")));
    }

    #[test]
    fn when_a_rotation_is_called_off_the_key_before_signs_on() {
        for retires in [true, false] {
            let mut manifest = two();
            let before = manifest.key("old").expect("there").life;
            manifest.promote("new", Haste::InTime, TERMS).expect("it is next");
            let called_off = if retires { manifest.retire("new", TERMS) } else { manifest.revoke("new", TERMS) };
            called_off.expect("it may be");
            assert_eq!(manifest.key("old").expect("there").life, before);
            assert_eq!(states(&manifest, 1_000_000)[0], State::Active);
        }
    }

    #[test]
    fn of_three_in_a_row_the_one_before_the_one_that_is_given_up_signs_on() {
        let mut manifest = two();
        manifest.promote("new", Haste::AtOnce, TERMS).expect("it is next");
        manifest.add(key("newer", Life::published(TERMS.now))).expect("it is new");
        manifest.promote("newer", Haste::InTime, TERMS).expect("it is next");
        manifest.revoke("newer", TERMS).expect("another one signs");
        assert_eq!(states(&manifest, 20_000), [State::Retired, State::Active, State::Revoked]);
        assert_eq!(manifest.key("new").expect("there").life.signs_until, None);
    }

    #[test]
    fn a_key_that_does_not_sign_can_be_given_up_where_nobody_does() {
        let mut manifest = Manifest::empty();
        manifest.add(key("only", Life::published(TERMS.now))).expect("it is new");
        manifest.revoke("only", TERMS).expect("it signs nothing");
    }

    #[test]
    fn a_key_that_is_retired_before_it_ever_signed_is_gone() {
        let mut manifest = two();
        manifest.retire("new", TERMS).expect("it may be");
        assert_eq!(states(&manifest, 10_000), [State::Active, State::Retired]);
        assert!(manifest.retire("new", TERMS).is_err());
    }
}
