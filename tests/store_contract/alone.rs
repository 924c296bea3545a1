//! What holds when nobody else is there.

use countersign::secret::Digest;
use countersign::store::backend::{Family, Key, Outcome, Step};

use crate::steps::{Shared, World, exchange, found, insert, key, load, record, swap};

pub(crate) async fn what_was_put_is_there_and_nothing_else(backend: Shared, _: World) {
    assert_eq!(load(&backend, &key(1)).await, Ok(None));
    assert_eq!(insert(&backend, &key(1), record(b"one")).await, Ok(true));
    assert_eq!(insert(&backend, &key(2), record(b"two")).await, Ok(true));
    assert_eq!(load(&backend, &key(1)).await, found(b"one"));
    assert_eq!(load(&backend, &key(2)).await, found(b"two"));
    assert_eq!(load(&backend, &key(3)).await, Ok(None));
}

pub(crate) async fn bytes_come_back_as_they_went(backend: Shared, _: World) {
    let large = vec![0xA5; 64 * 1024];
    let every = (0..=255).collect::<Vec<u8>>();
    for (n, bytes) in [&b""[..], b"\0", b"\r\n", &every, &large].into_iter().enumerate() {
        let key = key(u8::try_from(n).expect("few"));
        assert_eq!(insert(&backend, &key, record(bytes)).await, Ok(true));
        assert_eq!(load(&backend, &key).await, found(bytes));
        assert_eq!(insert(&backend, &key, record(b"x")).await, Ok(false), "empty is something too");
        assert_eq!(swap(&backend, &key, bytes, record(b"")).await, Ok(true));
        assert_eq!(load(&backend, &key).await, found(b""));
        assert_eq!(swap(&backend, &key, b"", record(bytes)).await, Ok(true));
        assert_eq!(load(&backend, &key).await, found(bytes));
    }
}

pub(crate) async fn insert_puts_once(backend: Shared, _: World) {
    assert_eq!(insert(&backend, &key(1), record(b"same")).await, Ok(true));
    assert_eq!(insert(&backend, &key(1), record(b"same")).await, Ok(false));
    assert_eq!(insert(&backend, &key(1), record(b"other")).await, Ok(false));
}

pub(crate) async fn families_are_apart(backend: Shared, _: World) {
    let digest = Digest::of(b"one digest");
    for (n, family) in (0..).zip(Family::ALL) {
        assert_eq!(load(&backend, &Key { family, digest }).await, Ok(None), "{family:?}");
        assert_eq!(insert(&backend, &Key { family, digest }, record(&[n])).await, Ok(true), "{family:?}");
    }
    for (n, family) in (0..).zip(Family::ALL) {
        assert_eq!(load(&backend, &Key { family, digest }).await, found(&[n]), "{family:?}");
    }
    let grant = Key { family: Family::Grant, digest };
    assert_eq!(swap(&backend, &grant, &[0], record(b"changed")).await, Ok(true));
    assert_eq!(load(&backend, &Key { family: Family::Pace, digest }).await, found(&[1]));
}

pub(crate) async fn swap_replaces_exactly_what_is_there(backend: Shared, _: World) {
    assert_eq!(insert(&backend, &key(1), record(b"seen")).await, Ok(true));
    for wrong in [&b"see"[..], b"seen ", b"Seen", b"", b"seen\0"] {
        assert_eq!(swap(&backend, &key(1), wrong, record(b"stolen")).await, Ok(false), "{wrong:?}");
        assert_eq!(load(&backend, &key(1)).await, found(b"seen"));
    }
    assert_eq!(swap(&backend, &key(1), b"seen", record(b"next")).await, Ok(true));
    assert_eq!(load(&backend, &key(1)).await, found(b"next"));
    assert_eq!(swap(&backend, &key(1), b"seen", record(b"again")).await, Ok(false), "what was seen is stale");
    assert_eq!(load(&backend, &key(1)).await, found(b"next"));
}

pub(crate) async fn swap_on_nothing_is_false_and_puts_nothing(backend: Shared, _: World) {
    for seen in [&b""[..], b"x"] {
        assert_eq!(swap(&backend, &key(1), seen, record(b"y")).await, Ok(false));
    }
    assert_eq!(load(&backend, &key(1)).await, Ok(None));
    assert_eq!(insert(&backend, &key(1), record(b"z")).await, Ok(true));
}

pub(crate) async fn an_exchange_finds_what_was_there_and_puts_nothing_where_nothing_is(backend: Shared, _: World) {
    assert_eq!(exchange(&backend, &key(1), b"x").await, Ok(None));
    assert_eq!(load(&backend, &key(1)).await, Ok(None));
    assert_eq!(insert(&backend, &key(1), record(b"one")).await, Ok(true));
    assert_eq!(exchange(&backend, &key(1), b"two").await, found(b"one"));
    assert_eq!(exchange(&backend, &key(1), b"").await, found(b"two"));
    assert_eq!(exchange(&backend, &key(1), b"three").await, found(b""));
    assert_eq!(load(&backend, &key(1)).await, found(b"three"));
    assert_eq!(swap(&backend, &key(1), b"three", record(b"four")).await, Ok(true));
}

/// Several steps at once are answered each in its place.
pub(crate) async fn a_trip_answers_each_step_in_its_place(backend: Shared, _: World) {
    assert_eq!(insert(&backend, &key(1), record(b"one")).await, Ok(true));
    assert_eq!(insert(&backend, &key(2), record(b"two")).await, Ok(true));
    assert_eq!(backend.run(Vec::new()).await, Ok(Vec::new()));
    let steps = vec![
        Step::Insert(key(1), record(b"x")),
        Step::Load(key(3)),
        Step::Swap(key(2), b"two".to_vec(), record(b"deux")),
        Step::Insert(key(4), record(b"four")),
        Step::Exchange(key(5), b"five".to_vec()),
    ];
    let outcomes = vec![
        Outcome::Done(false),
        Outcome::Found(None),
        Outcome::Done(true),
        Outcome::Done(true),
        Outcome::Found(None),
    ];
    assert_eq!(backend.run(steps).await, Ok(outcomes));
    let steps = (1..=5).map(|n| Step::Load(key(n))).collect();
    let there = [Some(&b"one"[..]), Some(b"deux"), None, Some(b"four"), None];
    let outcomes = there.map(|bytes| Outcome::Found(bytes.map(<[u8]>::to_vec)));
    assert_eq!(backend.run(steps).await, Ok(outcomes.to_vec()));
}
