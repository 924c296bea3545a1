//! What holds when many come at the same moment.

use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use crate::steps::{CROWD, Shared, World, exchange, found, insert, key, load, record, swap, together};

pub(crate) async fn of_many_inserts_one_puts(backend: Shared, _: World) {
    for round in 0..16 {
        let place = key(round);
        let winners =
            together(&backend, move |backend, n| async move { insert(&backend, &place, record(&[n])).await }).await;
        let [winner] = winners[..] else { panic!("round {round}: {} put it", winners.len()) };
        assert_eq!(load(&backend, &place).await, found(&[winner]));
    }
}

pub(crate) async fn of_many_swaps_one_wins(backend: Shared, _: World) {
    for round in 0..16 {
        let place = key(round);
        assert_eq!(insert(&backend, &place, record(b"start")).await, Ok(true));
        let winners =
            together(&backend, move |backend, n| async move { swap(&backend, &place, b"start", record(&[n])).await })
                .await;
        let [winner] = winners[..] else { panic!("round {round}: {} won", winners.len()) };
        assert_eq!(load(&backend, &place).await, found(&[winner]));
    }
}

/// A counter that everyone raises by load and swap ends at the number of those who did.
pub(crate) async fn no_swap_is_lost(backend: Shared, _: World) {
    assert_eq!(insert(&backend, &key(1), record(&[0])).await, Ok(true));
    let raise = |backend: Shared, _| async move {
        loop {
            let seen = load(&backend, &key(1)).await?.expect("it is there");
            if swap(&backend, &key(1), &seen, record(&[seen[0] + 1])).await? {
                return Ok(true);
            }
        }
    };
    assert_eq!(together(&backend, raise).await.len(), usize::from(CROWD));
    assert_eq!(load(&backend, &key(1)).await, found(&[CROWD]));
}

/// Everybody finds what exactly one other, or the first record, put there.
pub(crate) async fn of_many_exchanges_each_finds_another(backend: Shared, _: World) {
    assert_eq!(insert(&backend, &key(1), record(b"first")).await, Ok(true));
    let before = Arc::new(Mutex::new(Vec::new()));
    let mut crowd = JoinSet::new();
    for n in 0..CROWD {
        let (backend, before) = (backend.clone(), before.clone());
        crowd.spawn(async move {
            let there = exchange(&backend, &key(1), &[n]).await.expect("available").expect("it is there");
            before.lock().expect("unpoisoned").push(there);
        });
    }
    crowd.join_all().await;
    let mut found = before.lock().expect("unpoisoned").clone();
    found.push(load(&backend, &key(1)).await.expect("available").expect("it is there"));
    found.sort();
    let mut all: Vec<Vec<u8>> = (0..CROWD).map(|n| vec![n]).chain([b"first".to_vec()]).collect();
    all.sort();
    assert_eq!(found, all);
}
