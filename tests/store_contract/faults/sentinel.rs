//! A primary that sentinels watch over: when it dies, the backend goes where they say.

use std::time::Duration;

use countersign::store::redis::place::Topology;
use tokio::time::sleep;

use super::{answered, at, eventually, kept, passing, replicated, trouble, unavailable, well};
use crate::on_redis_servers::place;
use crate::server::{RedisServer, admin};
use crate::steps::{found, insert, key, load, swap};

const KEPT: [&str; 6] = ["--appendonly", "yes", "--appendfsync", "everysec", "--repl-diskless-sync-delay", "0"];

/// A sentinel over the primary on `port`, which one sentinel may depose.
fn sentinel(port: u16) -> RedisServer {
    let config = format!(
        "sentinel monitor bank 127.0.0.1 {port} 1\nsentinel down-after-milliseconds bank 500\n\
         sentinel failover-timeout bank 3000\nsentinel parallel-syncs bank 1\n"
    );
    RedisServer::sentinel(&config)
}

/// What the sentinel on `port` says of the primary and its replicas.
async fn watched(port: u16, what: &str) -> String {
    let told: redis::RedisResult<redis::Value> =
        redis::cmd("SENTINEL").arg(what).arg("bank").query_async(&mut admin(port).await).await;
    format!("{told:?}")
}

/// What the Redis on `port` says of itself, unless a sentinel is just ending its connections.
async fn info(port: u16, section: &str) -> Option<String> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.ok()?;
    redis::cmd("INFO").arg(section).query_async(&mut connection).await.ok()
}

#[tokio::test]
async fn the_primary_of_the_sentinels_is_followed() {
    let mut primary = RedisServer::with(&KEPT);
    let old = primary.port;
    let replica = RedisServer::with(&[&KEPT[..], &["--replicaof", "127.0.0.1", &old.to_string()]].concat());
    let sentinels = [sentinel(old), sentinel(old), sentinel(old)];
    let new = format!("{}", replica.port);
    for sentinel in &sentinels {
        eventually("the replica and the sentinels are known", async || {
            let replica = watched(sentinel.port, "REPLICAS").await.contains(&new);
            let others = watched(sentinel.port, "SENTINELS").await.matches("runid").count() == sentinels.len() - 1;
            (replica && others).then_some(())
        })
        .await;
    }
    let mut ports: Vec<u16> = sentinels.iter().map(|sentinel| sentinel.port).collect();
    // One that is not there, before the others.
    ports.insert(0, crate::server::free_port());
    let backend = at(place(Topology::Sentinel("bank".to_owned(), None), &ports)).await;
    assert_eq!(backend.trouble(), None);
    assert_eq!(insert(&backend, &key(1), kept(b"one")).await, Ok(true));
    assert_eq!(swap(&backend, &key(1), b"one", kept(b"two")).await, Ok(true));
    replicated(old).await;

    primary.kill();
    trouble(&backend, passing).await;
    unavailable(load(&backend, &key(1)).await);
    assert_eq!(answered(async || load(&backend, &key(1)).await).await, Some(b"two".to_vec()));
    well(&backend).await;
    assert_eq!(swap(&backend, &key(1), b"two", kept(b"three")).await, Ok(true));
    assert_eq!(load(&backend, &key(1)).await, found(b"three"));

    // The old one comes back, as a primary at first: nobody asks it anything before the sentinels have made it a replica, nor then.
    primary.start_again();
    let mut n = 10;
    while !info(old, "replication").await.is_some_and(|info| info.contains("role:slave")) {
        assert_eq!(insert(&backend, &key(n), kept(b"new")).await, Ok(true), "it stays where it is");
        assert_eq!(swap(&backend, &key(n), b"new", kept(b"newer")).await, Ok(true));
        assert_eq!(load(&backend, &key(n)).await, found(b"newer"));
        n += 1;
        sleep(Duration::from_millis(50)).await;
    }
    let asked = eventually("it answers", async || info(old, "commandstats").await).await;
    assert!(!asked.contains("cmdstat_eval") && !asked.contains("cmdstat_get"), "{asked}");
    assert_eq!(insert(&backend, &key(9), kept(b"new")).await, Ok(true));
    assert_eq!(backend.trouble(), None);
}

#[tokio::test]
async fn sentinels_that_know_no_such_primary_are_trouble() {
    let primary = RedisServer::with(&KEPT);
    let sentinel = sentinel(primary.port);
    let backend = at(place(Topology::Sentinel("another".to_owned(), None), &[sentinel.port])).await;
    let found = backend.trouble().expect("it is known at once").to_string();
    assert!(found.contains("Master with given name not found in sentinel"), "{found}");
    unavailable(load(&backend, &key(1)).await);
}
