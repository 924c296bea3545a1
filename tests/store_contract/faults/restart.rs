//! A Redis that ends and begins again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use countersign::store::backend::Family;
use tokio::task::JoinSet;

use super::{answered, eventually, kept, on, passing, trouble, unavailable, well};
use crate::server::RedisServer;
use crate::steps::{found, insert, key, load, swap};

#[tokio::test]
async fn a_redis_that_was_stopped_is_used_again_once_it_runs() {
    let mut server = RedisServer::start();
    let backend = on(server.port).await;
    assert_eq!(insert(&backend, &key(1), kept(b"one")).await, Ok(true));
    for end in [RedisServer::stop, RedisServer::kill] {
        end(&mut server);
        trouble(&backend, passing).await;
        assert_eq!(unavailable(load(&backend, &key(1)).await), "there is no connection to Redis");
        server.start_again();
        well(&backend).await;
        assert_eq!(load(&backend, &key(1)).await, found(b"one"));
    }
}

/// Nobody is kept waiting for a Redis that comes up later than the server.
#[tokio::test]
async fn a_redis_that_starts_later_is_used_once_it_runs() {
    let mut server = RedisServer::start();
    server.stop();
    let backend = on(server.port).await;
    assert!(backend.trouble().as_ref().is_some_and(passing));
    unavailable(load(&backend, &key(1)).await);
    server.start_again();
    well(&backend).await;
    assert_eq!(load(&backend, &key(1)).await, Ok(None));
}

/// What was answered is there after a power cut, in the midst of many writes, and what was swapped is as it was last answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_was_answered_outlives_a_kill() {
    let mut server = RedisServer::start();
    let backend = on(server.port).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let ended = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for n in 0..16 {
        let (backend, told, ended) = (backend.clone(), told.clone(), ended.clone());
        writers.spawn(async move {
            for round in (0..=u8::MAX).cycle() {
                let mut place = key(n);
                place.family = if round.is_multiple_of(2) { Family::Spent } else { Family::Grant };
                place.digest = countersign::secret::Digest::of(&[n, round]);
                if insert(&backend, &place, kept(&[round])).await == Ok(true) {
                    told.lock().expect("unpoisoned").push((place, [round].to_vec()));
                }
                let next = [round, 1];
                if swap(&backend, &place, &[round], kept(&next)).await == Ok(true) {
                    told.lock().expect("unpoisoned").push((place, next.to_vec()));
                }
                if ended.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
    }
    eventually("some writes", async || (told.lock().expect("unpoisoned").len() > 500).then_some(())).await;
    server.kill();
    ended.store(true, Ordering::SeqCst);
    writers.join_all().await;
    server.start_again();
    let told = told.lock().expect("unpoisoned").clone();
    for (place, bytes) in told {
        let there = answered(async || load(&backend, &place).await).await.expect("it was answered, so it is there");
        // What was swapped without being told so may have been swapped too.
        assert!(there.starts_with(&bytes), "{bytes:?} became {there:?}");
    }
}
