//! Who is locked, and who has tried too often: what a user's standing with the bank means for what the store holds.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::profile::backchannel::Backchannel;
use crate::profile::standing::Standing;
use crate::profile::verified::Verified;
use crate::secret::Digest;
use crate::store::backend::{Family, Key, NEVER};
use crate::store::trip::{Seen, Trip};
use crate::store::{REMEMBERED, Store, TRIES, contended};

/// How many wrong codes in a quarter of an hour: about one user, and by one client. Taste: a person mistypes, a client does not guess.
const MOST_ABOUT_ONE: u32 = 5;
const MOST_BY_ONE: u32 = 50;
const QUARTER: u32 = 900;

/// What the bank last said of a user who was ever locked.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Word {
    locked: bool,
    /// Whatever was asked for or given out until then stays dead, whoever approved it.
    since: Timestamp,
}

impl Word {
    /// Whether what a user was asked, or said yes to, at `at` stands, after the bank said what was `found`.
    pub(super) fn lets(found: Option<Seen<Self>>, at: Timestamp) -> bool {
        found.is_none_or(|(word, _)| !word.locked && at > word.since)
    }
}

/// Wrong codes, and codes that are being judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Attempts {
    count: u32,
    until: Timestamp,
}

impl Store {
    /// Takes the bank's word about a user. A lock ends everything the user has with any client, for good; a user who is not locked is none the worse
    /// for being called good.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn hear(&self, word: &Verified<Standing>, now: Timestamp) -> Result<(), Rejection> {
        let (key, rules) = (key(word.sub()), self.profile.rules());
        let longest = rules.refresh_token.lifetime.max(rules.authentication_request.longest_expiry);
        // A lock lasts until it is lifted; after that, until nothing from before it is left.
        let sweep_at = if word.locked() { NEVER } else { now.plus(longest).plus(REMEMBERED) };
        for _ in 0..TRIES {
            let found: Option<(Word, _)> = self.get(key).await?;
            let said = Word { locked: word.locked(), since: now };
            // Where somebody else has the first word at the same moment, this one is the second.
            let taken = match found {
                None if !word.locked() => true,
                Some((before, _)) if !before.locked && !word.locked() => true,
                found => self.replace_with(key, found.map(|(_, seen)| seen), &said, sweep_at).await?,
            };
            if taken {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// Counts a user code that is about to be judged, before it is: guesses made at once are guesses all the same.
    ///
    /// # Errors
    /// [`Reason::AccessForbidden`] after too many wrong ones, [`Reason::TemporarilyUnavailable`].
    pub async fn try_code(&self, request: &Verified<Backchannel>, now: Timestamp) -> Result<(), Rejection> {
        let below = |most: u32| move |count: u32| (count < most).then_some(count + 1);
        self.count(request, (&below(MOST_BY_ONE), &below(MOST_ABOUT_ONE)), now).await
    }

    /// The code was right: it counts for nothing, and nor do the wrong ones before it.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn code_was_right(&self, request: &Verified<Backchannel>, now: Timestamp) -> Result<(), Rejection> {
        self.count(request, (&|count| Some(count.saturating_sub(1)), &|_| Some(0)), now).await
    }

    /// Nobody said whether the code was right: it counts for nothing.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn code_was_not_judged(&self, request: &Verified<Backchannel>, now: Timestamp) -> Result<(), Rejection> {
        let taken_off = |count: u32| Some(count.saturating_sub(1));
        self.count(request, (&taken_off, &taken_off), now).await
    }

    /// Counts on, by the client and about the user, or refuses. Where others count at the same moment, one may have been counted before the other refuses.
    async fn count(
        &self,
        request: &Verified<Backchannel>,
        (by_one, about_one): (Next<'_>, Next<'_>),
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let mut left: Vec<_> = attempts(request).into_iter().zip([by_one, about_one]).collect();
        for _ in 0..TRIES {
            let mut trip = Trip::spending(request.unspent().take());
            let slots: Vec<_> = left.iter().map(|(key, _)| trip.load::<Attempts>(*key)).collect();
            let mut back = self.go(trip).await?;
            let mut trip = Trip::plain();
            let mut put = Vec::new();
            for ((key, next), slot) in left.into_iter().zip(slots) {
                let (found, seen) = back.found(slot)?.unzip();
                let running = found.filter(|attempts| now < attempts.until);
                let Attempts { count, until } = running.unwrap_or(Attempts { count: 0, until: now.plus(QUARTER) });
                let too_many = || Rejection::new(Reason::AccessForbidden, "CIBA-7.1.2-4", "too many wrong user codes");
                let attempts = Attempts { count: next(count).ok_or_else(too_many)?, until };
                put.push((trip.place(key, seen, &attempts, until), (key, next)));
            }
            let mut back = self.go(trip).await?;
            left = put.into_iter().filter_map(|(put, again)| (!back.done(put)).then_some(again)).collect();
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(contended())
    }
}

/// What comes after a count; nothing where there has been too much of it.
type Next<'a> = &'a (dyn Fn(u32) -> Option<u32> + Sync);

/// Where the bank's word about a user lies.
pub(super) fn key(sub: &str) -> Key {
    Key { family: Family::Standing, digest: Digest::of_parts(&["sub", sub]) }
}

fn attempts(request: &Verified<Backchannel>) -> [Key; 2] {
    let hint = request.hint();
    [&["client", &request.client().client_id][..], &["hint", hint.hint_type, &hint.value][..]]
        .map(|parts| Key { family: Family::Attempts, digest: Digest::of_parts(parts) })
}
