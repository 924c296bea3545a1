//! [`Trip`]: what the store asks of its [`Backend`](crate::store::backend::Backend) in one go. Steps are written down, carried out together, and each answer is taken by the [`Slot`]
//! of its step.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Timestamp;
use crate::error::Rejection;
use crate::outbound::ping::Parcel;
use crate::profile::once::Spent;
use crate::store::backend::{Family, Key, Outcome, Record, Step};
use crate::store::{Store, read, unavailable, write};

/// How long a one-time id is kept beyond its token's `exp`, in seconds: the store's clock may be read a moment later than the gate's, and may be
/// set back.
const SPENT_LONGER: u32 = 60;

/// Where the answer of a step that is done or not will be.
pub(super) struct Done(usize);

/// Where the parcels that are due will be.
pub(super) struct Due(usize);

/// Where the answer of a step that finds a `T` or not will be.
pub(super) struct Slot<T>(usize, PhantomData<fn() -> T>);

/// A record as it was read, and the bytes it was read from.
pub(super) type Seen<T> = (T, Vec<u8>);

/// Steps that travel together. None waits for another's answer.
pub(super) struct Trip {
    spends: Vec<Spent>,
    steps: Vec<Step>,
}

/// What came back.
pub(super) struct Back(Vec<Option<Outcome>>);

impl Trip {
    /// A trip that spends `ids` before anything else counts.
    pub(super) fn spending(ids: Vec<Spent>) -> Self {
        let insert = |id: &Spent| {
            let key = Key { family: Family::Spent, digest: id.digest };
            Step::Insert(key, Record { bytes: Vec::new(), sweep_at: id.until.plus(SPENT_LONGER) })
        };
        Self { steps: ids.iter().map(insert).collect(), spends: ids }
    }

    /// A trip for something that uses nothing up.
    pub(super) const fn plain() -> Self {
        Self { spends: Vec::new(), steps: Vec::new() }
    }

    fn step(&mut self, step: Step) -> usize {
        self.steps.push(step);
        self.steps.len() - 1
    }

    /// Puts `value` where nothing is.
    pub(super) fn insert(&mut self, key: Key, value: &impl Serialize, sweep_at: Timestamp) -> Done {
        Done(self.step(Step::Insert(key, Record { bytes: write(value), sweep_at })))
    }

    /// Looks.
    pub(super) fn load<T>(&mut self, key: Key) -> Slot<T> {
        Slot(self.step(Step::Load(key)), PhantomData)
    }

    /// Puts `value` where exactly `seen` is.
    pub(super) fn swap(&mut self, key: Key, seen: Vec<u8>, value: &impl Serialize, sweep_at: Timestamp) -> Done {
        Done(self.step(Step::Swap(key, seen, Record { bytes: write(value), sweep_at })))
    }

    /// Puts `value` where `seen` was seen, or where nothing was.
    pub(super) fn place(
        &mut self,
        key: Key,
        seen: Option<Vec<u8>>,
        value: &impl Serialize,
        sweep_at: Timestamp,
    ) -> Done {
        match seen {
            None => self.insert(key, value, sweep_at),
            Some(seen) => self.swap(key, seen, value, sweep_at),
        }
    }

    /// Puts `parcel` in the outbox.
    pub(super) fn post(&mut self, Parcel(parcel): &Parcel, due: Timestamp, sweep_at: Timestamp) -> Done {
        Done(self.step(Step::Post(parcel.clone(), due, sweep_at)))
    }

    /// Moves the time of `parcel`.
    pub(super) fn hold(&mut self, Parcel(parcel): &Parcel, due: Timestamp) -> Done {
        Done(self.step(Step::Hold(parcel.clone(), due)))
    }

    /// Takes `parcel` out.
    pub(super) fn cross_out(&mut self, Parcel(parcel): &Parcel) -> Done {
        Done(self.step(Step::CrossOut(parcel.clone())))
    }

    /// Takes over what is due.
    pub(super) fn take_over(&mut self, now: Timestamp, until: Timestamp, most: u32) -> Due {
        Due(self.step(Step::TakeOver { now, until, most }))
    }

    /// Puts `value` where something is, for as long as that would have been there, and finds what was.
    pub(super) fn exchange<T: Serialize>(&mut self, key: Key, value: &T) -> Slot<T> {
        Slot(self.step(Step::Exchange(key, write(value))), PhantomData)
    }
}

impl Back {
    /// The parcels that were due.
    pub(super) fn parcels(&mut self, Due(at): Due) -> Vec<Parcel> {
        match self.outcome(at) {
            Outcome::Parcels(parcels) => parcels.into_iter().map(Parcel).collect(),
            Outcome::Done(_) | Outcome::Found(_) => unreachable!("the backend answers each step in kind"),
        }
    }

    fn outcome(&mut self, at: usize) -> Outcome {
        self.0[at].take().expect("a slot is used once")
    }

    /// Whether the step was done.
    pub(super) fn done(&mut self, Done(at): Done) -> bool {
        match self.outcome(at) {
            Outcome::Done(done) => done,
            Outcome::Found(_) | Outcome::Parcels(_) => unreachable!("the backend answers each step in kind"),
        }
    }

    /// What the step found, unread.
    pub(super) fn bytes<T>(&mut self, Slot(at, _): Slot<T>) -> Option<Vec<u8>> {
        match self.outcome(at) {
            Outcome::Found(bytes) => bytes,
            Outcome::Done(_) | Outcome::Parcels(_) => unreachable!("the backend answers each step in kind"),
        }
    }

    /// What the step found.
    pub(super) fn found<T: DeserializeOwned>(&mut self, slot: Slot<T>) -> Result<Option<Seen<T>>, Rejection> {
        self.bytes(slot).map_or(Ok(None), |bytes| Ok(Some((read(&bytes)?, bytes))))
    }
}

impl Store {
    /// A trip that puts `value` where `seen` was seen, or where nothing was; false where something else is by now.
    pub(super) async fn replace_with(
        &self,
        key: Key,
        seen: Option<Vec<u8>>,
        value: &(impl Serialize + Sync),
        sweep_at: Timestamp,
    ) -> Result<bool, Rejection> {
        let mut trip = Trip::plain();
        let done = trip.place(key, seen, value, sweep_at);
        Ok(self.go(trip).await?.done(done))
    }

    /// Makes a trip that puts away what nobody will ask for. Where it fails, that stays until it is swept.
    pub(super) async fn tidy(&self, trip: Trip) {
        if let Err(refusal) = self.go(trip).await {
            tracing::warn!(cause = refusal.cause, "what is of no use any more stays in the store until it is swept");
        }
    }

    /// Makes the trip. Where an id was spent before, whatever else was done counts for nothing: what a trip puts beside ids has to be of no use to anybody.
    pub(super) async fn go(&self, trip: Trip) -> Result<Back, Rejection> {
        let Trip { spends, steps } = trip;
        if steps.is_empty() {
            return Ok(Back(Vec::new()));
        }
        let outcomes = self.backend.run(steps).await.map_err(unavailable)?;
        for (id, outcome) in spends.iter().zip(&outcomes) {
            if *outcome != Outcome::Done(true) {
                return Err(id.replayed());
            }
        }
        Ok(Back(outcomes.into_iter().map(Some).collect()))
    }
}
