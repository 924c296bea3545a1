//! What holds when nobody else is there.

use std::collections::BTreeMap;

use countersign::secret::Digest;
use countersign::store::backend::{Family, Key, Outcome, Record, Step};

use tokio::task::JoinSet;

use crate::steps::{START, Shared, World, exchange, found, insert, key, load, record, swap};

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

/// A parcel lies there until it is crossed out, and belongs to whoever took it, until its time comes again.
pub(crate) async fn a_parcel_is_taken_over_when_its_time_has_come_and_no_sooner(backend: Shared, _: World) {
    let at = |seconds| START.plus(seconds);
    let take_over = async |now, most| {
        let outcomes = backend.run(vec![Step::TakeOver { now: at(now), until: at(now + 30), most }]).await;
        let Ok([Outcome::Parcels(parcels)]) = outcomes.as_deref() else { panic!("{outcomes:?}") };
        parcels.iter().map(|parcel| String::from_utf8(parcel.clone()).expect("UTF-8")).collect::<Vec<_>>()
    };
    let one = async |step| backend.run(vec![step]).await;
    assert_eq!(take_over(0, 10).await, [""; 0]);
    for (parcel, due) in [("second", 20), ("first", 10), ("third", 30)] {
        let posted = one(Step::Post(parcel.into(), at(due), at(1_000))).await;
        assert_eq!(posted, Ok(vec![Outcome::Done(true)]));
    }
    assert_eq!(take_over(9, 10).await, [""; 0]);
    assert_eq!(take_over(20, 10).await, ["first", "second"], "the longest due first");
    assert_eq!(take_over(20, 10).await, [""; 0], "they are taken");
    assert_eq!(take_over(30, 10).await, ["third"]);
    assert_eq!(one(Step::Hold("first".into(), at(100))).await, Ok(vec![Outcome::Done(true)]));
    assert_eq!(take_over(60, 1).await, ["second"], "as many as were asked for");
    assert_eq!(take_over(60, 1).await, ["third"]);
    assert_eq!(one(Step::CrossOut("first".into())).await, Ok(vec![Outcome::Done(true)]));
    assert_eq!(one(Step::CrossOut("first".into())).await, Ok(vec![Outcome::Done(false)]));
    assert_eq!(one(Step::Hold("first".into(), at(0))).await, Ok(vec![Outcome::Done(false)]), "it is not put back");
    assert_eq!(take_over(1_000, 10).await, ["second", "third"]);
}

/// Of many who take over at once, each finds parcels that nobody else found.
pub(crate) async fn a_parcel_is_taken_over_by_one(backend: Shared, _: World) {
    for n in 0..50 {
        let posted = backend.run(vec![Step::Post(vec![n], START, START.plus(1_000))]).await;
        assert_eq!(posted, Ok(vec![Outcome::Done(true)]));
    }
    let mut crowd = JoinSet::new();
    for _ in 0..20 {
        let backend = backend.clone();
        crowd.spawn(async move {
            backend.run(vec![Step::TakeOver { now: START, until: START.plus(30), most: 5 }]).await.expect("available")
        });
    }
    let outcomes = crowd.join_all().await.into_iter().flatten();
    let parcels = outcomes.flat_map(|outcome| match outcome {
        Outcome::Parcels(parcels) => parcels,
        other => panic!("{other:?}"),
    });
    let mut taken: Vec<u8> = parcels.flatten().collect();
    taken.sort_unstable();
    assert_eq!(taken, (0..50).collect::<Vec<u8>>());
}

pub(crate) async fn everything_of_a_family_is_shown_and_nothing_of_another(backend: Shared, world: World) {
    let shown = async |family: Family| {
        let mut shown = BTreeMap::new();
        let mut see = |key: Key, bytes: Vec<u8>| {
            assert_eq!(key.family, family);
            shown.insert(*key.digest.bytes(), bytes);
        };
        backend.each(family, &mut see).await.expect("it can be read");
        shown
    };
    assert!(shown(Family::Grant).await.is_empty());
    let mut expected = BTreeMap::new();
    // More than are looked at in one go.
    for n in 0..1_700_u32 {
        let (digest, bytes) = (Digest::of(&n.to_be_bytes()), n.to_be_bytes());
        for family in [Family::Grant, Family::RefreshToken] {
            assert_eq!(insert(&backend, &Key { family, digest }, record(&bytes)).await, Ok(true));
        }
        expected.insert(*digest.bytes(), bytes.to_vec());
    }
    let last = Key { family: Family::Grant, digest: Digest::of(b"brief") };
    let brief = Record { bytes: b"brief".to_vec(), sweep_at: START.plus(5) };
    assert_eq!(insert(&backend, &last, brief).await, Ok(true));
    let mut with_last = expected.clone();
    with_last.insert(*last.digest.bytes(), b"brief".to_vec());
    assert_eq!(shown(Family::Grant).await, with_last);
    assert_eq!(shown(Family::RefreshToken).await, expected);
    assert!(shown(Family::AccessToken).await.is_empty());
    world.pass(10).await;
    assert_eq!(shown(Family::Grant).await, expected, "what was swept is not shown");
}
