//! How long what was put stays.

use countersign::clock::Timestamp;
use countersign::secret::Digest;
use countersign::store::backend::{Family, Key, NEVER, Record};

use crate::steps::{Shared, World, exchange, found, insert, key, load, record, swap, until};

/// Neither the content nor the time of a record changes under a second insert.
pub(crate) async fn insert_leaves_what_is_there(backend: Shared, world: World) {
    assert_eq!(insert(&backend, &key(1), until(b"first", 60)).await, Ok(true));
    assert_eq!(insert(&backend, &key(1), until(b"second", 6_000)).await, Ok(false));
    assert_eq!(insert(&backend, &key(1), until(b"third", 1)).await, Ok(false));
    assert_eq!(load(&backend, &key(1)).await, found(b"first"));
    world.pass(59).await;
    assert_eq!(load(&backend, &key(1)).await, found(b"first"));
    world.pass(2).await;
    assert_eq!(insert(&backend, &key(1), until(b"fourth", 120)).await, Ok(true));
}

/// Swapping a record for an equal one succeeds, so that its time can be moved.
pub(crate) async fn swap_does_not_wait_for_a_difference(backend: Shared, world: World) {
    assert_eq!(insert(&backend, &key(1), until(b"same", 10)).await, Ok(true));
    assert_eq!(swap(&backend, &key(1), b"same", until(b"same", 100)).await, Ok(true));
    world.pass(99).await;
    assert_eq!(load(&backend, &key(1)).await, found(b"same"));
}

pub(crate) async fn a_record_is_there_until_its_sweep_at(backend: Shared, world: World) {
    assert_eq!(insert(&backend, &key(1), until(b"long", 600)).await, Ok(true));
    for n in 2..100 {
        assert_eq!(insert(&backend, &key(n), until(b"short", 10)).await, Ok(true));
    }
    world.pass(599).await;
    for n in 2..100 {
        // Others come and go around it.
        assert_eq!(insert(&backend, &key(n), until(b"again", 700)).await, Ok(true));
    }
    assert_eq!(load(&backend, &key(1)).await, found(b"long"));
    assert_eq!(insert(&backend, &key(1), record(b"x")).await, Ok(false));
    assert_eq!(swap(&backend, &key(1), b"long", until(b"longer", 700)).await, Ok(true));
}

pub(crate) async fn a_place_is_free_again_after_sweep_at(backend: Shared, world: World) {
    for lifetime in [1_i64, 60, 86_400] {
        let sweep_at = Timestamp::from_seconds(world.now() + lifetime);
        assert_eq!(
            insert(&backend, &key(1), Record { bytes: b"old".to_vec(), sweep_at }).await,
            Ok(true),
            "{lifetime}"
        );
        world.pass(lifetime - 1).await;
        assert_eq!(insert(&backend, &key(1), record(b"x")).await, Ok(false), "{lifetime}");
        world.pass(2).await;
    }
    assert_eq!(insert(&backend, &key(1), record(b"new")).await, Ok(true));
    assert_eq!(load(&backend, &key(1)).await, found(b"new"));
}

pub(crate) async fn a_swapped_record_lives_by_its_new_sweep_at(backend: Shared, world: World) {
    assert_eq!(insert(&backend, &key(1), until(b"a", 10)).await, Ok(true));
    assert_eq!(swap(&backend, &key(1), b"a", until(b"b", 1_000)).await, Ok(true));
    assert_eq!(swap(&backend, &key(1), b"a", until(b"c", 5)).await, Ok(false), "a swap that failed moves no time");
    assert_eq!(insert(&backend, &key(2), until(b"a", 1_000)).await, Ok(true));
    assert_eq!(swap(&backend, &key(2), b"a", until(b"b", 10)).await, Ok(true));
    world.pass(999).await;
    assert_eq!(insert(&backend, &key(1), record(b"x")).await, Ok(false));
    assert_eq!(load(&backend, &key(1)).await, found(b"b"));
    world.pass(2).await;
    assert_eq!(insert(&backend, &key(1), record(b"x")).await, Ok(true));
    assert_eq!(insert(&backend, &key(2), record(b"x")).await, Ok(true));
}

/// A registered client stays for as long as it likes, and is gone once it was deleted.
pub(crate) async fn a_record_without_end_stays_until_it_is_given_one(backend: Shared, world: World) {
    let never = |bytes: &[u8]| Record { bytes: bytes.to_vec(), sweep_at: NEVER };
    let client = Key { family: Family::Client, digest: Digest::of(b"client") };
    assert_eq!(insert(&backend, &client, never(b"first")).await, Ok(true));
    assert_eq!(swap(&backend, &client, b"first", never(b"second")).await, Ok(true));
    world.pass(100 * 365 * 86_400).await;
    assert_eq!(insert(&backend, &client, never(b"x")).await, Ok(false));
    assert_eq!(load(&backend, &client).await, found(b"second"));
    let gone = Record { bytes: b"gone".to_vec(), sweep_at: Timestamp::from_seconds(world.now()) };
    assert_eq!(swap(&backend, &client, b"second", gone).await, Ok(true));
    world.pass(1).await;
    assert_eq!(insert(&backend, &client, never(b"another")).await, Ok(true));
}

pub(crate) async fn a_clock_that_is_set_back_forgets_nothing(backend: Shared, world: World) {
    assert_eq!(insert(&backend, &key(1), until(b"spent", 60)).await, Ok(true));
    world.clock.advance(-3_600);
    assert_eq!(insert(&backend, &key(1), record(b"x")).await, Ok(false));
    assert_eq!(insert(&backend, &key(2), until(b"other", -3_000)).await, Ok(true));
    world.clock.advance(3_600);
    world.pass(59).await;
    assert_eq!(load(&backend, &key(1)).await, found(b"spent"));
    assert_eq!(insert(&backend, &key(1), record(b"x")).await, Ok(false));
}

pub(crate) async fn an_exchange_moves_no_time(backend: Shared, world: World) {
    assert_eq!(insert(&backend, &key(1), until(b"a", 60)).await, Ok(true));
    world.pass(30).await;
    assert_eq!(exchange(&backend, &key(1), b"b").await, found(b"a"));
    world.pass(29).await;
    assert_eq!(insert(&backend, &key(1), record(b"x")).await, Ok(false));
    world.pass(2).await;
    assert_eq!(insert(&backend, &key(1), record(b"y")).await, Ok(true));
}
