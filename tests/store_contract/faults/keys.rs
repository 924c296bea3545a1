//! What lies in Redis: nothing but a prefix, a family and a digest in a key, and each key for as long as its record says.

use std::collections::BTreeSet;

use countersign::clock::{Clock, System, Timestamp};
use countersign::secret::Digest;
use countersign::store::backend::{Family, Key, NEVER, Record};

use super::{eventually, on};
use crate::server::RedisServer;
use crate::steps::{exchange, found, insert, load, swap};

/// How each family is called there.
const NAMES: [(Family, &str); 9] = [
    (Family::Grant, "grant"),
    (Family::Pace, "pace"),
    (Family::Slower, "slower"),
    (Family::AccessToken, "access"),
    (Family::RefreshToken, "refresh"),
    (Family::Spent, "spent"),
    (Family::Client, "client"),
    (Family::Standing, "standing"),
    (Family::Attempts, "attempts"),
];

/// For how long a record is put, and then swapped; `None` is for good.
const LIVES: [&[Option<u32>]; 7] = [
    &[Some(100)],
    &[Some(100), Some(7_000)],
    &[Some(7_000), Some(100)],
    &[Some(100), None],
    &[None, Some(100)],
    &[None],
    &[Some(400 * 86_400), Some(100), None, Some(60)],
];

#[tokio::test]
async fn every_key_is_a_digest_and_stays_as_long_as_its_record_says() {
    let server = RedisServer::start();
    let backend = on(server.port).await;
    let mut admin = server.admin().await;
    let mut expected = BTreeSet::from(["test:probe".to_owned()]);
    for (family, name) in NAMES {
        for (n, lives) in LIVES.into_iter().enumerate() {
            let content = format!("till-7 {name} {n}");
            let record = |lasts: Option<u32>| {
                let sweep_at = lasts.map_or(NEVER, |seconds| System.now().plus(seconds));
                Record { bytes: content.clone().into_bytes(), sweep_at }
            };
            let place = Key { family, digest: Digest::of(content.as_bytes()) };
            let mut put = record(lives[0]);
            assert_eq!(insert(&backend, &place, put.clone()).await, Ok(true), "{content}");
            assert_eq!(insert(&backend, &place, record(Some(50_000))).await, Ok(false), "{content}");
            for lasts in &lives[1..] {
                put = record(*lasts);
                assert_eq!(swap(&backend, &place, content.as_bytes(), put.clone()).await, Ok(true), "{content}");
                assert_eq!(swap(&backend, &place, b"else", record(Some(50_000))).await, Ok(false), "{content}");
            }
            assert_eq!(exchange(&backend, &place, b"exchanged").await, found(content.as_bytes()), "{content}");
            let nowhere = Key { family, digest: Digest::of(b"nowhere") };
            assert_eq!(exchange(&backend, &nowhere, b"x").await, Ok(None), "{content}");
            assert_eq!(swap(&backend, &nowhere, b"x", record(None)).await, Ok(false), "{content}");

            let there = format!("test:{name}:{}", place.digest);
            let goes: i64 = redis::cmd("PEXPIRETIME").arg(&there).query_async(&mut admin).await.expect("it is asked");
            if put.sweep_at == NEVER {
                assert_eq!(goes, -1, "{content}");
            } else {
                // The record says it in whole seconds, and not before.
                let late = goes - put.sweep_at.seconds() * 1_000;
                assert!((0..2_000).contains(&late), "{content}: {late} ms late");
            }
            assert!(expected.insert(there), "{content}");
        }
    }
    let keys: BTreeSet<String> = redis::cmd("KEYS").arg("*").query_async(&mut admin).await.expect("they can be listed");
    assert_eq!(keys, expected);
    let probe: i64 = redis::cmd("PTTL").arg("test:probe").query_async(&mut admin).await.expect("it is asked");
    assert!((1..=60_000).contains(&probe), "{probe}");
}

/// What may be forgotten already is put all the same, and goes within a moment.
#[tokio::test]
async fn what_is_over_when_it_is_put_goes_by_itself() {
    let server = RedisServer::start();
    let backend = on(server.port).await;
    let mut admin = server.admin().await;
    for (n, over) in [0, 1, 1_000_000].into_iter().enumerate() {
        let place = Key { family: Family::Grant, digest: Digest::of(&[u8::try_from(n).expect("few")]) };
        let sweep_at = Timestamp::from_seconds(System.now().seconds() - over);
        assert_eq!(insert(&backend, &place, Record { bytes: b"x".to_vec(), sweep_at }).await, Ok(true), "{over}");
        let name = format!("test:grant:{}", place.digest);
        let left: i64 = redis::cmd("PTTL").arg(name).query_async(&mut admin).await.expect("it is asked");
        assert!(left == -2 || (0..=1_000).contains(&left), "{over}: {left}");
        eventually("it is gone", async || {
            load(&backend, &place).await.is_ok_and(|there| there.is_none()).then_some(())
        })
        .await;
    }
}
