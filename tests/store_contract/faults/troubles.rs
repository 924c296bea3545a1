//! A Redis that is reached, and has troubles of its own.

use std::process::Command;
use std::sync::Arc;

use countersign::clock::System;
use countersign::store::backend::Trouble;
use countersign::store::redis::Redis;
use countersign::store::redis::place::Topology;
use redis::aio::MultiplexedConnection;

use super::{answered, eventually, kept, on, passing, trouble, unavailable, unfit, well};
use crate::on_redis_servers::place;
use crate::server::RedisServer;
use crate::steps::{Shared, exchange, found, insert, key, load, swap};

async fn running() -> (Shared, RedisServer, MultiplexedConnection) {
    let server = RedisServer::start();
    let (backend, admin) = (on(server.port).await, server.admin().await);
    assert_eq!(backend.trouble(), None);
    (backend, server, admin)
}

async fn set(admin: &mut MultiplexedConnection, (name, value): (&str, &str)) {
    redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec_async(admin).await.expect("an administrator may");
}

/// Full is full: nothing goes to make room, what is there can be read, and it goes on when there is room.
#[tokio::test]
async fn a_full_redis_takes_nothing_new_and_forgets_nothing() {
    let (backend, _server, mut admin) = running().await;
    for n in 0..20 {
        assert_eq!(insert(&backend, &key(n), kept(b"kept")).await, Ok(true));
    }
    set(&mut admin, ("maxmemory", "100kb")).await;
    let words = trouble(&backend, passing).await;
    assert!(words.contains("raise maxmemory"), "{words}");
    assert_eq!(unavailable(insert(&backend, &key(200), kept(b"new")).await), "Redis is out of memory");
    assert_eq!(unavailable(swap(&backend, &key(1), b"kept", kept(b"new")).await), "Redis is out of memory");
    assert_eq!(unavailable(exchange(&backend, &key(1), b"new").await), "Redis is out of memory");
    for n in 0..20 {
        assert_eq!(load(&backend, &key(n)).await, found(b"kept"));
    }
    assert_eq!(load(&backend, &key(200)).await, Ok(None));
    set(&mut admin, ("maxmemory", "0")).await;
    well(&backend).await;
    assert_eq!(insert(&backend, &key(200), kept(b"new")).await, Ok(true));
    assert_eq!(swap(&backend, &key(1), b"kept", kept(b"new")).await, Ok(true));
}

#[tokio::test]
async fn a_redis_that_forgets_its_scripts_swaps_all_the_same() {
    let (backend, _server, mut admin) = running().await;
    assert_eq!(insert(&backend, &key(1), kept(&[0])).await, Ok(true));
    for n in 0..3 {
        assert_eq!(swap(&backend, &key(1), &[n], kept(&[n + 1])).await, Ok(true));
        redis::cmd("SCRIPT").arg("FLUSH").arg("SYNC").exec_async(&mut admin).await.expect("an administrator may");
    }
    assert_eq!(backend.trouble(), None);
}

/// A primary that somebody made a replica takes nothing, until it is the primary again.
#[tokio::test]
async fn a_replica_is_not_used() {
    let (backend, server, mut admin) = running().await;
    let other = RedisServer::start();
    assert_eq!(insert(&backend, &key(1), kept(b"one")).await, Ok(true));
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(other.port).exec_async(&mut admin).await.expect("it may be told so");
    let told = eventually("a refusal", async || insert(&backend, &key(2), kept(b"x")).await.err()).await;
    let words = trouble(&backend, passing).await;
    assert!(words.contains("a replica"), "{told}: {words}");
    unavailable(insert(&backend, &key(2), kept(b"x")).await);
    unavailable(load(&backend, &key(1)).await);
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec_async(&mut admin).await.expect("it may be told so");
    well(&backend).await;
    assert_eq!(insert(&backend, &key(2), kept(b"two")).await, Ok(true));
    drop(server);
}

/// While Redis reads its file it says so, and is used as soon as it has read it.
#[tokio::test]
async fn a_redis_that_loads_is_waited_for() {
    let mut server =
        RedisServer::with(&["--appendonly", "yes", "--appendfsync", "everysec", "--key-load-delay", "200"]);
    let backend = on(server.port).await;
    let mut admin = server.admin().await;
    assert_eq!(insert(&backend, &key(1), kept(b"one")).await, Ok(true));
    // Enough that it takes some seconds, unless it is told to hurry.
    for hundred in 0..400 {
        let mut fill = redis::pipe();
        for n in 0..100 {
            fill.cmd("SET").arg(hundred * 100 + n).arg("");
        }
        fill.exec_async(&mut admin).await.expect("it takes them");
    }
    server.kill();
    server.start_again();
    eventually("it loads", async || {
        backend.trouble().filter(|found| *found == Trouble::Passing("Redis is loading its data".to_owned()))
    })
    .await;
    let told = unavailable(load(&backend, &key(1)).await);
    assert_eq!(told, "Redis is loading, is a replica, or has no primary");
    set(&mut server.admin().await, ("key-load-delay", "0")).await;
    well(&backend).await;
    assert_eq!(answered(async || load(&backend, &key(1)).await).await, Some(b"one".to_vec()));
}

/// A disk that takes no more: what is new is refused, what is there can be read.
#[tokio::test]
async fn a_redis_that_cannot_write_its_file_takes_nothing_new() {
    let server = RedisServer::with(&["--appendonly", "yes", "--appendfsync", "everysec"]);
    let backend = on(server.port).await;
    assert_eq!(insert(&backend, &key(1), kept(b"one")).await, Ok(true));
    let largest_file = |size: &str| {
        let told =
            Command::new("prlimit").args(["--pid", &server.pid().to_string(), &format!("--fsize={size}:")]).status();
        assert!(told.expect("prlimit is there").success());
    };
    largest_file("1");
    let told = eventually("a refusal", async || insert(&backend, &key(2), kept(b"two")).await.err());
    assert_eq!(told.await.0, "Redis refused a command");
    let words = trouble(&backend, passing).await;
    assert!(words.contains("append-only file"), "{words}");
    assert_eq!(load(&backend, &key(1)).await, found(b"one"));
    largest_file("unlimited");
    well(&backend).await;
    assert_eq!(insert(&backend, &key(3), kept(b"three")).await, Ok(true));
}

/// Strict, an unfit Redis is not used; otherwise it is used, and it is said that it is unfit.
#[tokio::test]
async fn a_redis_that_may_forget_is_unfit_until_it_may_not() {
    let (backend, server, mut admin) = running().await;
    let strict: Shared = Arc::new(Redis::at(place(Topology::Standalone, &[server.port]), Arc::new(System), true).await);
    assert_eq!(insert(&strict, &key(1), kept(b"one")).await, Ok(true));
    for (wrong, right) in [
        (("maxmemory-policy", "allkeys-lru"), ("maxmemory-policy", "noeviction")),
        (("maxmemory-policy", "volatile-ttl"), ("maxmemory-policy", "noeviction")),
        (("appendonly", "no"), ("appendonly", "yes")),
    ] {
        set(&mut admin, wrong).await;
        for backend in [&backend, &strict] {
            let words = trouble(backend, unfit).await;
            assert!(words.contains(&format!("CONFIG SET {} {}", right.0, right.1)), "{words}");
        }
        assert_eq!(unavailable(load(&strict, &key(1)).await), "Redis is not fit to be relied on");
        assert_eq!(unavailable(insert(&strict, &key(2), kept(b"x")).await), "Redis is not fit to be relied on");
        assert_eq!(load(&backend, &key(1)).await, found(b"one"));
        set(&mut admin, right).await;
        well(&backend).await;
        well(&strict).await;
        assert_eq!(load(&strict, &key(1)).await, found(b"one"));
    }
}

#[tokio::test]
async fn a_redis_that_keeps_no_file_is_unfit_from_the_start() {
    let server = RedisServer::with(&["--appendonly", "no"]);
    for strict in [false, true] {
        let place = place(Topology::Standalone, &[server.port]);
        let backend: Shared = Arc::new(Redis::at(place, Arc::new(System), strict).await);
        assert!(backend.trouble().as_ref().is_some_and(unfit), "it is known before the first request");
        assert_eq!(insert(&backend, &key(1), kept(b"one")).await.is_ok(), !strict);
    }
}
