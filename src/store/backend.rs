//! [`Backend`]: the seam between the [`Store`](super::Store) and memory or Redis. It holds bytes and swaps them, and knows nothing of what they mean.
//! `tests/store_contract` says what each backend has to do.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::secret::Digest;

/// What a backend keeps apart: a key of one family is never a key of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// A [`Grant`](crate::grant::Grant), by the digest of its `auth_req_id`.
    Grant,
    /// When an `auth_req_id` was last polled, by the digest of it and its client.
    Pace,
    /// By how much the polling of an `auth_req_id` was slowed down, by the same digest.
    Slower,
    /// An [`AccessToken`](super::tokens::AccessToken), by the digest of the token.
    AccessToken,
    /// A [`RefreshToken`](super::tokens::RefreshToken), by the digest of the token.
    RefreshToken,
    /// A one-time id.
    Spent,
    /// A registered client, by the digest of its id.
    Client,
    /// Whether a user is locked, by the digest of the `sub`.
    Standing,
    /// How often user codes were tried, by the digest of who is meant or who tries.
    Attempts,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Grant,
        Self::Pace,
        Self::Slower,
        Self::AccessToken,
        Self::RefreshToken,
        Self::Spent,
        Self::Client,
        Self::Standing,
        Self::Attempts,
    ];
}

/// Where a record lies. Made of digests alone, so nothing a caller sends can reach another record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Which kind of record.
    pub family: Family,
    /// Which one.
    pub digest: Digest,
}

/// What lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The content.
    pub bytes: Vec<u8>,
    /// When it may be forgotten. Not before.
    pub sweep_at: Timestamp,
}

/// When to sweep what stays until somebody says otherwise: a client that registered itself, a locked user.
pub const NEVER: Timestamp = Timestamp::from_seconds(i64::MAX);

/// One thing to do with one key, atomically. The outbox is one key, and the only one whose name is no digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Puts the record where there is none. [`Done`](Outcome::Done), unless there is one.
    Insert(Key, Record),
    /// [Finds](Outcome::Found) what is there.
    Load(Key),
    /// Puts the record where exactly these bytes are. [`Done`](Outcome::Done), unless something else, or nothing, is there.
    Swap(Key, Vec<u8>, Record),
    /// Puts these bytes where any are, to be swept when those would have been, and [finds](Outcome::Found) those. Where nothing is, it puts nothing.
    Exchange(Key, Vec<u8>),
    /// Puts a parcel in the outbox; nobody else [takes it over](Self::TakeOver) until the time that is given. After the last time it may be swept.
    /// [`Done`](Outcome::Done).
    Post(Vec<u8>, Timestamp, Timestamp),
    /// Moves the time of a parcel, if it is still there. [`Done`](Outcome::Done).
    Hold(Vec<u8>, Timestamp),
    /// Takes a parcel out. [`Done`](Outcome::Done).
    CrossOut(Vec<u8>),
    /// [Finds](Outcome::Parcels) parcels whose time has come by `now`, the longest due first, and moves their time to `until`.
    #[expect(missing_docs, reason = "said above; `most` is how many")]
    TakeOver { now: Timestamp, until: Timestamp, most: u32 },
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Whether it was done.
    Done(bool),
    /// What was there.
    Found(Option<Vec<u8>>),
    /// What was in the outbox.
    Parcels(Vec<Vec<u8>>),
}

/// The backend cannot say, or cannot remember any more. Nothing was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub &'static str);

/// What is wrong with a backend, for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It will pass, or somebody has to see to it; meanwhile what needs the backend is refused where it fails.
    #[error("{0}")]
    Passing(String),
    /// It is not what it has to be, and may forget what must not be forgotten.
    #[error("{0}")]
    Unfit(String),
}

/// Where records are kept.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Carries out `steps`, in one round trip where there is a way to go, and says what became of each. No two are of one key, and they are not one
    /// transaction: others may see some of them done and others not.
    ///
    /// # Errors
    /// [`Unavailable`], when full too: nothing is evicted to make room. Some of them may have been carried out all the same.
    async fn run(&self, steps: Vec<Step>) -> Result<Vec<Outcome>, Unavailable>;

    /// Shows `see` what lies there of `family`, for an operator: all that is there from the beginning of the call to its end, and perhaps what comes or goes meanwhile. A
    /// record may be shown twice.
    ///
    /// # Errors
    /// [`Unavailable`]: some of it may have been shown.
    async fn each(&self, family: Family, see: &mut (dyn FnMut(Key, Vec<u8>) + Send)) -> Result<(), Unavailable>;

    /// What is wrong with it at the moment, if anything is.
    fn trouble(&self) -> Option<Trouble> {
        None
    }
}
