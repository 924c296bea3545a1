//! Who is locked, and who has tried too often: what a user's standing with the bank means for what the store holds.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::profile::backchannel::Backchannel;
use crate::profile::standing::Standing;
use crate::profile::verified::Verified;
use crate::secret::Digest;
use crate::store::{Family, Key, NEVER, REMEMBERED, Store, TRIES, contended};

/// How many wrong codes in a quarter of an hour: about one user, and by one client. Taste: a person mistypes, a client does not guess.
const MOST_ABOUT_ONE: u32 = 5;
const MOST_BY_ONE: u32 = 50;
const QUARTER: u32 = 900;

/// What the bank last said of a user who was ever locked.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Word {
    locked: bool,
    /// Whatever was asked for or given out until then stays dead, whoever approved it.
    since: Timestamp,
}

/// Wrong codes, and codes that are being judged.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
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
        let (key, rules) = (standing(word.sub()), self.profile.rules());
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
                None => self.insert(key, &said, sweep_at).await?,
                Some((_, seen)) => self.swap(key, &seen, &said, sweep_at).await?,
            };
            if taken {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// Whether what the user `sub` was asked, or said yes to, at `since` still stands.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn stands(&self, sub: &str, since: Timestamp) -> Result<bool, Rejection> {
        let found: Option<(Word, _)> = self.get(standing(sub)).await?;
        Ok(found.is_none_or(|(word, _)| !word.locked && since > word.since))
    }

    /// Counts a user code that is about to be judged, before it is: guesses made at once are guesses all the same.
    ///
    /// # Errors
    /// [`Reason::AccessForbidden`] after too many wrong ones, [`Reason::TemporarilyUnavailable`].
    pub async fn try_code(&self, request: &Verified<Backchannel>, now: Timestamp) -> Result<(), Rejection> {
        let [by_one, about_one] = attempts(request);
        self.count(by_one, now, |count| (count < MOST_BY_ONE).then_some(count + 1)).await?;
        self.count(about_one, now, |count| (count < MOST_ABOUT_ONE).then_some(count + 1)).await
    }

    /// The code was right: it counts for nothing, and nor do the wrong ones before it.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn code_was_right(&self, request: &Verified<Backchannel>, now: Timestamp) -> Result<(), Rejection> {
        let [by_one, about_one] = attempts(request);
        self.count(by_one, now, |count| Some(count.saturating_sub(1))).await?;
        self.count(about_one, now, |_| Some(0)).await
    }

    /// Nobody said whether the code was right: it counts for nothing.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`].
    pub async fn code_was_not_judged(&self, request: &Verified<Backchannel>, now: Timestamp) -> Result<(), Rejection> {
        for key in attempts(request) {
            self.count(key, now, |count| Some(count.saturating_sub(1))).await?;
        }
        Ok(())
    }

    async fn count(&self, key: Key, now: Timestamp, next: impl Fn(u32) -> Option<u32>) -> Result<(), Rejection> {
        for _ in 0..TRIES {
            let found: Option<(Attempts, _)> = self.get(key).await?;
            let running = found.as_ref().map(|(attempts, _)| *attempts).filter(|attempts| now < attempts.until);
            let Attempts { count, until } = running.unwrap_or(Attempts { count: 0, until: now.plus(QUARTER) });
            let too_many = || Rejection::new(Reason::AccessForbidden, "CIBA-7.1.2-4", "too many wrong user codes");
            let attempts = Attempts { count: next(count).ok_or_else(too_many)?, until };
            let counted = match found {
                None => self.insert(key, &attempts, until).await?,
                Some((_, seen)) => self.swap(key, &seen, &attempts, until).await?,
            };
            if counted {
                return Ok(());
            }
        }
        Err(contended())
    }
}

fn standing(sub: &str) -> Key {
    Key { family: Family::Standing, digest: Digest::of_parts(&["sub", sub]) }
}

fn attempts(request: &Verified<Backchannel>) -> [Key; 2] {
    let hint = request.hint();
    [&["client", &request.client().client_id][..], &["hint", hint.hint_type, &hint.value][..]]
        .map(|parts| Key { family: Family::Attempts, digest: Digest::of_parts(parts) })
}
