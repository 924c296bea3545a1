//! [`Memory`]: the embedded backend. Bounded, swept, and forgotten when the process ends.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::clock::{Clock, Timestamp};
use crate::secret::Digest;
use crate::store::backend::{Backend, Family, Key, Outcome, Record, Step, Unavailable};

/// Shelves for each family, so that requests seldom wait for each other.
const SHELVES: usize = 16;

/// Records in memory, each family on shelves of its own, so that a flood of one kind leaves room for the others.
pub struct Memory {
    shelves: Vec<Mutex<Shelf>>,
    outbox: Mutex<HashMap<Vec<u8>, Timestamp>>,
    most: usize,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Shelf {
    records: HashMap<Digest, Record>,
    /// When to look at which record. One entry for each record, or more; a record is dropped only if its own `sweep_at` has come.
    due: BinaryHeap<Reverse<(Timestamp, [u8; 32])>>,
}

impl Memory {
    /// Room for about `capacity` records of each family.
    pub fn new(capacity: usize, clock: Arc<dyn Clock>) -> Self {
        let shelves = (0..SHELVES * Family::ALL.len()).map(|_| Mutex::default()).collect();
        Self { shelves, outbox: Mutex::default(), most: capacity.div_ceil(SHELVES), clock }
    }

    fn shelves(&self, family: Family) -> &[Mutex<Shelf>] {
        let at = Family::ALL.iter().position(|other| *other == family).expect("ALL has all of them");
        &self.shelves[at * SHELVES..(at + 1) * SHELVES]
    }

    fn shelf(&self, key: &Key) -> MutexGuard<'_, Shelf> {
        let place = usize::from(key.digest.bytes()[0]) % SHELVES;
        self.shelves(key.family)[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn sweep(&mut self, now: Timestamp) {
        while let Some(Reverse((due, bytes))) = self.due.peek().copied().filter(|Reverse((due, _))| *due <= now) {
            self.due.pop();
            let digest = Digest::from_bytes(bytes);
            match self.records.get(&digest).map(|record| record.sweep_at) {
                Some(later) if later > now => self.due.push(Reverse((later.max(due), bytes))),
                Some(_) => drop(self.records.remove(&digest)),
                None => {}
            }
        }
    }
}

#[async_trait]
impl Backend for Memory {
    async fn run(&self, steps: Vec<Step>) -> Result<Vec<Outcome>, Unavailable> {
        steps
            .into_iter()
            .map(|step| match step {
                Step::Insert(key, record) => self.insert(&key, record).map(Outcome::Done),
                Step::Load(key) => Ok(Outcome::Found(self.load(&key))),
                Step::Swap(key, seen, record) => Ok(Outcome::Done(self.swap(&key, &seen, record))),
                Step::Exchange(key, bytes) => Ok(Outcome::Found(self.exchange(&key, bytes))),
                Step::Post(parcel, due, _) => self.post(parcel, due).map(|()| Outcome::Done(true)),
                Step::Hold(parcel, due) => Ok(Outcome::Done(self.hold(&parcel, due))),
                Step::CrossOut(parcel) => Ok(Outcome::Done(self.outbox().remove(&parcel).is_some())),
                Step::TakeOver { now, until, most } => Ok(Outcome::Parcels(self.take_over(now, until, most))),
            })
            .collect()
    }

    async fn each(&self, family: Family, see: &mut (dyn FnMut(Key, Vec<u8>) + Send)) -> Result<(), Unavailable> {
        for shelf in self.shelves(family) {
            let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
            shelf.sweep(self.clock.now());
            let records: Vec<_> = shelf.records.iter().map(|(at, record)| (*at, record.bytes.clone())).collect();
            drop(shelf);
            for (digest, bytes) in records {
                see(Key { family, digest }, bytes);
            }
        }
        Ok(())
    }
}

impl Memory {
    fn insert(&self, key: &Key, record: Record) -> Result<bool, Unavailable> {
        let now = self.clock.now();
        let mut shelf = self.shelf(key);
        shelf.sweep(now);
        if shelf.records.contains_key(&key.digest) {
            return Ok(false);
        }
        if shelf.records.len() >= self.most {
            return Err(Unavailable("the memory store is full"));
        }
        shelf.due.push(Reverse((record.sweep_at, *key.digest.bytes())));
        shelf.records.insert(key.digest, record);
        Ok(true)
    }

    fn load(&self, key: &Key) -> Option<Vec<u8>> {
        self.shelf(key).records.get(&key.digest).map(|record| record.bytes.clone())
    }

    fn swap(&self, key: &Key, seen: &[u8], record: Record) -> bool {
        let mut shelf = self.shelf(key);
        match shelf.records.get_mut(&key.digest) {
            Some(there) if there.bytes == seen => {
                let (before, after) = (there.sweep_at, record.sweep_at);
                *there = record;
                if after < before {
                    shelf.due.push(Reverse((after, *key.digest.bytes())));
                }
                true
            }
            _ => false,
        }
    }

    fn outbox(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Timestamp>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, parcel: Vec<u8>, due: Timestamp) -> Result<(), Unavailable> {
        let mut outbox = self.outbox();
        if outbox.len() >= self.most * SHELVES {
            return Err(Unavailable("the outbox of the memory store is full"));
        }
        outbox.insert(parcel, due);
        Ok(())
    }

    fn hold(&self, parcel: &[u8], due: Timestamp) -> bool {
        self.outbox().get_mut(parcel).map(|held| *held = due).is_some()
    }

    fn take_over(&self, now: Timestamp, until: Timestamp, most: u32) -> Vec<Vec<u8>> {
        let mut outbox = self.outbox();
        let mut taken: Vec<_> = outbox.iter_mut().filter(|(_, due)| **due <= now).collect();
        taken.sort_by(|(one, due), (other, later)| (due, one).cmp(&(later, other)));
        taken
            .into_iter()
            .take(usize::try_from(most).unwrap_or(usize::MAX))
            .map(|(parcel, due)| {
                *due = until;
                parcel.clone()
            })
            .collect()
    }

    fn exchange(&self, key: &Key, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let mut shelf = self.shelf(key);
        let there = shelf.records.get_mut(&key.digest)?;
        Some(std::mem::replace(&mut there.bytes, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Manual;

    const START: Timestamp = Timestamp::from_seconds(1_000);

    fn key(n: u32) -> Key {
        Key { family: Family::Spent, digest: Digest::of(&n.to_be_bytes()) }
    }

    fn record(sweep_at: Timestamp) -> Record {
        Record { bytes: b"x".to_vec(), sweep_at }
    }

    #[test]
    fn a_full_store_refuses_forgets_nothing_and_recovers_when_time_has_passed() {
        let clock = Arc::new(Manual::at(START));
        let memory = Memory::new(64, clock.clone());
        let mut kept = Vec::new();
        for n in 0..10_000 {
            if memory.insert(&key(n), record(START.plus(60))) == Ok(true) {
                kept.push(n);
            }
        }
        assert!((48..=64).contains(&kept.len()), "{}", kept.len());
        for n in &kept {
            assert_eq!(memory.insert(&key(*n), record(START.plus(60))), Ok(false));
        }
        let other = Key { family: Family::Grant, ..key(1) };
        assert_eq!(memory.insert(&other, record(START.plus(60))), Ok(true), "other families have room of their own");
        clock.advance(60);
        for n in 0..64 {
            memory.insert(&key(20_000 + n), record(START.plus(120))).ok();
        }
        assert!(memory.shelves.iter().map(|shelf| shelf.lock().expect("unpoisoned").due.len()).sum::<usize>() <= 66);
    }

    #[test]
    fn a_record_that_was_swapped_to_live_shorter_is_swept_sooner() {
        let clock = Arc::new(Manual::at(START));
        let memory = Memory::new(16, clock.clone());
        assert_eq!(memory.insert(&key(1), record(Timestamp::from_seconds(i64::MAX))), Ok(true));
        assert!(memory.swap(&key(1), b"x", record(START)));
        assert_eq!(memory.insert(&key(1), record(START.plus(60))), Ok(true));
    }

    #[test]
    fn a_record_that_was_swapped_lives_as_long_as_its_last_version_says() {
        let clock = Arc::new(Manual::at(START));
        let memory = Memory::new(16, clock.clone());
        assert_eq!(memory.insert(&key(1), record(START.plus(10))), Ok(true));
        assert!(memory.swap(&key(1), b"x", Record { bytes: b"y".to_vec(), sweep_at: START.plus(100) }));
        clock.advance(50);
        assert_eq!(memory.insert(&key(1), record(START.plus(60))), Ok(false));
        clock.advance(50);
        assert_eq!(memory.insert(&key(1), record(START.plus(160))), Ok(true));
    }
}
