//! What every [`Backend`] has to do. Written against the trait; a new backend joins with one line at the end.

use std::sync::Arc;

use countersign::clock::{Clock, Manual, Timestamp};
use countersign::profile::gate::{Kind, Replay, Spent};
use countersign::profile::issuer::Issuer;
use countersign::profile::{FAPI_CIBA_ID1, Profile};
use countersign::secret::{Digest, Seeded};
use countersign::store::memory::Memory;
use countersign::store::{Backend, Family, Key, Record, Store, Unavailable};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

const START: Timestamp = Timestamp::from_seconds(1_000_000);
const CROWD: u8 = 64;

/// Defines one module of tests for a backend: each clause against a backend of its own, made by `$make` for a clock.
macro_rules! contract {
    ($name:ident, $make:expr, [$($clause:ident),+ $(,)?]) => {
        mod $name {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $clause() {
                    let clock = Arc::new(Manual::at(START));
                    let make: fn(Arc<Manual>) -> Arc<dyn Backend> = $make;
                    super::$clause(make(clock.clone()), clock).await;
                }
            )+
        }
    };
    ($name:ident, $make:expr) => {
        contract!($name, $make, [
            what_was_put_is_there_and_nothing_else,
            bytes_come_back_as_they_went,
            insert_puts_once,
            insert_leaves_what_is_there,
            of_many_inserts_one_puts,
            families_are_apart,
            swap_replaces_exactly_what_is_there,
            swap_on_nothing_is_false_and_puts_nothing,
            swap_does_not_wait_for_a_difference,
            of_many_swaps_one_wins,
            no_swap_is_lost,
            a_record_is_there_until_its_sweep_at,
            a_place_is_free_again_after_sweep_at,
            a_swapped_record_lives_by_its_new_sweep_at,
            a_record_without_end_stays_until_it_is_given_one,
            a_clock_that_is_set_back_forgets_nothing,
        ]);
    };
}

async fn what_was_put_is_there_and_nothing_else(backend: Arc<dyn Backend>, _: Arc<Manual>) {
    assert_eq!(backend.load(&key(1)).await, Ok(None));
    assert_eq!(backend.insert(&key(1), record(b"one")).await, Ok(true));
    assert_eq!(backend.insert(&key(2), record(b"two")).await, Ok(true));
    assert_eq!(backend.load(&key(1)).await, found(b"one"));
    assert_eq!(backend.load(&key(2)).await, found(b"two"));
    assert_eq!(backend.load(&key(3)).await, Ok(None));
}

async fn bytes_come_back_as_they_went(backend: Arc<dyn Backend>, _: Arc<Manual>) {
    let large = vec![0xA5; 64 * 1024];
    let every = (0..=255).collect::<Vec<u8>>();
    for (n, bytes) in [&b""[..], b"\0", b"\r\n", &every, &large].into_iter().enumerate() {
        let key = key(u8::try_from(n).expect("few"));
        assert_eq!(backend.insert(&key, record(bytes)).await, Ok(true));
        assert_eq!(backend.load(&key).await, found(bytes));
        assert_eq!(backend.insert(&key, record(b"x")).await, Ok(false), "empty is something too");
        assert_eq!(backend.swap(&key, bytes, record(b"")).await, Ok(true));
        assert_eq!(backend.load(&key).await, found(b""));
        assert_eq!(backend.swap(&key, b"", record(bytes)).await, Ok(true));
        assert_eq!(backend.load(&key).await, found(bytes));
    }
}

async fn insert_puts_once(backend: Arc<dyn Backend>, _: Arc<Manual>) {
    assert_eq!(backend.insert(&key(1), record(b"same")).await, Ok(true));
    assert_eq!(backend.insert(&key(1), record(b"same")).await, Ok(false));
    assert_eq!(backend.insert(&key(1), record(b"other")).await, Ok(false));
}

/// Neither the content nor the time of a record changes under a second insert.
async fn insert_leaves_what_is_there(backend: Arc<dyn Backend>, clock: Arc<Manual>) {
    assert_eq!(backend.insert(&key(1), until(b"first", 60)).await, Ok(true));
    assert_eq!(backend.insert(&key(1), until(b"second", 6_000)).await, Ok(false));
    assert_eq!(backend.insert(&key(1), until(b"third", 1)).await, Ok(false));
    assert_eq!(backend.load(&key(1)).await, found(b"first"));
    clock.advance(59);
    assert_eq!(backend.load(&key(1)).await, found(b"first"));
    clock.advance(2);
    assert_eq!(backend.insert(&key(1), until(b"fourth", 120)).await, Ok(true));
}

async fn of_many_inserts_one_puts(backend: Arc<dyn Backend>, _: Arc<Manual>) {
    for round in 0..16 {
        let place = key(round);
        let winners =
            together(&backend, move |backend, n| async move { backend.insert(&place, record(&[n])).await }).await;
        let [winner] = winners[..] else { panic!("round {round}: {} put it", winners.len()) };
        assert_eq!(backend.load(&place).await, found(&[winner]));
    }
}

async fn families_are_apart(backend: Arc<dyn Backend>, _: Arc<Manual>) {
    let digest = Digest::of(b"one digest");
    for (n, family) in (0..).zip(Family::ALL) {
        assert_eq!(backend.load(&Key { family, digest }).await, Ok(None), "{family:?}");
        assert_eq!(backend.insert(&Key { family, digest }, record(&[n])).await, Ok(true), "{family:?}");
    }
    for (n, family) in (0..).zip(Family::ALL) {
        assert_eq!(backend.load(&Key { family, digest }).await, found(&[n]), "{family:?}");
    }
    let grant = Key { family: Family::Grant, digest };
    assert_eq!(backend.swap(&grant, &[0], record(b"changed")).await, Ok(true));
    assert_eq!(backend.load(&Key { family: Family::Pace, digest }).await, found(&[1]));
}

async fn swap_replaces_exactly_what_is_there(backend: Arc<dyn Backend>, _: Arc<Manual>) {
    assert_eq!(backend.insert(&key(1), record(b"seen")).await, Ok(true));
    for wrong in [&b"see"[..], b"seen ", b"Seen", b"", b"seen\0"] {
        assert_eq!(backend.swap(&key(1), wrong, record(b"stolen")).await, Ok(false), "{wrong:?}");
        assert_eq!(backend.load(&key(1)).await, found(b"seen"));
    }
    assert_eq!(backend.swap(&key(1), b"seen", record(b"next")).await, Ok(true));
    assert_eq!(backend.load(&key(1)).await, found(b"next"));
    assert_eq!(backend.swap(&key(1), b"seen", record(b"again")).await, Ok(false), "what was seen is stale");
    assert_eq!(backend.load(&key(1)).await, found(b"next"));
}

async fn swap_on_nothing_is_false_and_puts_nothing(backend: Arc<dyn Backend>, _: Arc<Manual>) {
    for seen in [&b""[..], b"x"] {
        assert_eq!(backend.swap(&key(1), seen, record(b"y")).await, Ok(false));
    }
    assert_eq!(backend.load(&key(1)).await, Ok(None));
    assert_eq!(backend.insert(&key(1), record(b"z")).await, Ok(true));
}

/// Swapping a record for an equal one succeeds, so that its time can be moved.
async fn swap_does_not_wait_for_a_difference(backend: Arc<dyn Backend>, clock: Arc<Manual>) {
    assert_eq!(backend.insert(&key(1), until(b"same", 10)).await, Ok(true));
    assert_eq!(backend.swap(&key(1), b"same", until(b"same", 100)).await, Ok(true));
    clock.advance(99);
    assert_eq!(backend.load(&key(1)).await, found(b"same"));
}

async fn of_many_swaps_one_wins(backend: Arc<dyn Backend>, _: Arc<Manual>) {
    for round in 0..16 {
        let place = key(round);
        assert_eq!(backend.insert(&place, record(b"start")).await, Ok(true));
        let winners =
            together(&backend, move |backend, n| async move { backend.swap(&place, b"start", record(&[n])).await })
                .await;
        let [winner] = winners[..] else { panic!("round {round}: {} won", winners.len()) };
        assert_eq!(backend.load(&place).await, found(&[winner]));
    }
}

/// A counter that everyone raises by load and swap ends at the number of those who did.
async fn no_swap_is_lost(backend: Arc<dyn Backend>, _: Arc<Manual>) {
    assert_eq!(backend.insert(&key(1), record(&[0])).await, Ok(true));
    let raise = |backend: Arc<dyn Backend>, _| async move {
        loop {
            let seen = backend.load(&key(1)).await?.expect("it is there");
            if backend.swap(&key(1), &seen, record(&[seen[0] + 1])).await? {
                return Ok(true);
            }
        }
    };
    assert_eq!(together(&backend, raise).await.len(), usize::from(CROWD));
    assert_eq!(backend.load(&key(1)).await, found(&[CROWD]));
}

async fn a_record_is_there_until_its_sweep_at(backend: Arc<dyn Backend>, clock: Arc<Manual>) {
    assert_eq!(backend.insert(&key(1), until(b"long", 600)).await, Ok(true));
    for n in 2..100 {
        assert_eq!(backend.insert(&key(n), until(b"short", 10)).await, Ok(true));
    }
    clock.advance(599);
    for n in 2..100 {
        // Others come and go around it.
        assert_eq!(backend.insert(&key(n), until(b"again", 700)).await, Ok(true));
    }
    assert_eq!(backend.load(&key(1)).await, found(b"long"));
    assert_eq!(backend.insert(&key(1), record(b"x")).await, Ok(false));
    assert_eq!(backend.swap(&key(1), b"long", until(b"longer", 700)).await, Ok(true));
}

async fn a_place_is_free_again_after_sweep_at(backend: Arc<dyn Backend>, clock: Arc<Manual>) {
    for lifetime in [1_i64, 60, 86_400] {
        let sweep_at = Timestamp::from_seconds(now(&clock) + lifetime);
        assert_eq!(backend.insert(&key(1), Record { bytes: b"old".to_vec(), sweep_at }).await, Ok(true), "{lifetime}");
        clock.advance(lifetime - 1);
        assert_eq!(backend.insert(&key(1), record(b"x")).await, Ok(false), "{lifetime}");
        clock.advance(2);
    }
    assert_eq!(backend.insert(&key(1), record(b"new")).await, Ok(true));
    assert_eq!(backend.load(&key(1)).await, found(b"new"));
}

async fn a_swapped_record_lives_by_its_new_sweep_at(backend: Arc<dyn Backend>, clock: Arc<Manual>) {
    assert_eq!(backend.insert(&key(1), until(b"a", 10)).await, Ok(true));
    assert_eq!(backend.swap(&key(1), b"a", until(b"b", 1_000)).await, Ok(true));
    assert_eq!(backend.swap(&key(1), b"a", until(b"c", 5)).await, Ok(false), "a swap that failed moves no time");
    assert_eq!(backend.insert(&key(2), until(b"a", 1_000)).await, Ok(true));
    assert_eq!(backend.swap(&key(2), b"a", until(b"b", 10)).await, Ok(true));
    clock.advance(999);
    assert_eq!(backend.insert(&key(1), record(b"x")).await, Ok(false));
    assert_eq!(backend.load(&key(1)).await, found(b"b"));
    clock.advance(2);
    assert_eq!(backend.insert(&key(1), record(b"x")).await, Ok(true));
    assert_eq!(backend.insert(&key(2), record(b"x")).await, Ok(true));
}

/// A registered client stays for as long as it likes, and is gone once it was deleted.
async fn a_record_without_end_stays_until_it_is_given_one(backend: Arc<dyn Backend>, clock: Arc<Manual>) {
    let never = |bytes: &[u8]| Record { bytes: bytes.to_vec(), sweep_at: Timestamp::from_seconds(i64::MAX) };
    let client = Key { family: Family::Client, digest: Digest::of(b"client") };
    assert_eq!(backend.insert(&client, never(b"first")).await, Ok(true));
    assert_eq!(backend.swap(&client, b"first", never(b"second")).await, Ok(true));
    clock.advance(100 * 365 * 86_400);
    assert_eq!(backend.insert(&client, never(b"x")).await, Ok(false));
    assert_eq!(backend.load(&client).await, found(b"second"));
    let gone = Record { bytes: b"gone".to_vec(), sweep_at: Timestamp::from_seconds(now(&clock)) };
    assert_eq!(backend.swap(&client, b"second", gone).await, Ok(true));
    clock.advance(1);
    assert_eq!(backend.insert(&client, never(b"another")).await, Ok(true));
}

async fn a_clock_that_is_set_back_forgets_nothing(backend: Arc<dyn Backend>, clock: Arc<Manual>) {
    assert_eq!(backend.insert(&key(1), until(b"spent", 60)).await, Ok(true));
    clock.advance(-3_600);
    assert_eq!(backend.insert(&key(1), record(b"x")).await, Ok(false));
    assert_eq!(backend.insert(&key(2), until(b"other", -3_000)).await, Ok(true));
    clock.advance(3_600 + 59);
    assert_eq!(backend.load(&key(1)).await, found(b"spent"));
    assert_eq!(backend.insert(&key(1), record(b"x")).await, Ok(false));
}

/// Has a crowd do `act` at the same moment; returns who was told true.
async fn together<F, Told>(backend: &Arc<dyn Backend>, act: F) -> Vec<u8>
where
    F: Fn(Arc<dyn Backend>, u8) -> Told + Copy + Send + 'static,
    Told: Future<Output = Result<bool, Unavailable>> + Send,
{
    let start = Arc::new(Barrier::new(usize::from(CROWD)));
    let mut crowd = JoinSet::new();
    for n in 0..CROWD {
        let (backend, start) = (backend.clone(), start.clone());
        crowd.spawn(async move {
            start.wait().await;
            (n, act(backend, n).await.expect("it is available"))
        });
    }
    let told = crowd.join_all().await;
    assert_eq!(told.len(), usize::from(CROWD));
    told.into_iter().filter_map(|(n, told)| told.then_some(n)).collect()
}

fn key(n: u8) -> Key {
    Key { family: Family::Spent, digest: Digest::of(&[n]) }
}

fn record(bytes: &[u8]) -> Record {
    until(bytes, 1_000_000)
}

/// A record that may go this many seconds after the start.
fn until(bytes: &[u8], seconds: i64) -> Record {
    Record { bytes: bytes.to_vec(), sweep_at: Timestamp::from_seconds(START.seconds() + seconds) }
}

fn now(clock: &Manual) -> i64 {
    clock.now().seconds()
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what a backend says")]
fn found(bytes: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
    Ok(Some(bytes.to_vec()))
}

contract!(memory, |clock| Arc::new(Memory::new(100_000, clock)));

/// The gate and the store each ask for the time, and a second may pass in between.
#[tokio::test]
async fn ca_11_a_spent_id_is_remembered_past_the_expiry_of_its_token() {
    let clock = Arc::new(Manual::at(START));
    let backend = Arc::new(Memory::new(1_000, clock.clone()));
    let profile = Profile::load(FAPI_CIBA_ID1, Issuer::at("https://as.example").expect("an issuer")).expect("it ships");
    let store = Store::new(backend, Vec::new(), (Arc::new(profile), Arc::new(Seeded::default())));
    let id = Spent { kind: Kind::ClientAssertion, client_id: "till-7", jti: "once" };
    assert_eq!(store.first_use(&id, START.plus(10)).await, Ok(true));
    for _ in 0..7 {
        clock.advance(10);
        assert_eq!(store.first_use(&id, clock.now().plus(10)).await, Ok(clock.now() >= START.plus(70)));
    }
}
