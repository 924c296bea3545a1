//! Two processes under load, and a Redis that dies, restarts, fills up, forgets its scripts or may forget more, behind a line that is slow, dead or
//! cut: clients are told to come back, and afterwards everything goes on.

use std::time::Duration;

use countersign::secret::{Entropy, System};
use tokio::time::sleep;

use crate::node::until;
use crate::process::redis;
use crate::proxy::{Proxy, Way};
use crate::sales::{Sales, Takings};
use crate::server::RedisServer;

/// Sales between two faults.
const SOME: usize = 15;

/// So many milliseconds, and up to as many more.
async fn for_about(milliseconds: u64) {
    let mut chance = [0; 8];
    System.fill(&mut chance);
    sleep(Duration::from_millis(milliseconds + u64::from_le_bytes(chance) % milliseconds)).await;
}

/// Everything goes on, and what was recorded fits to what the tills got.
async fn all_is_well(sales: Sales) -> Takings {
    sales.recover().await;
    sales.go_on(SOME).await;
    let takings = sales.close().await;
    println!("{takings:?}");
    assert!(takings.made > SOME);
    assert!(takings.lost <= takings.refused, "nothing is lost where everybody heard how it was: {takings:?}");
    takings
}

async fn configure(redis: &RedisServer, setting: &str, value: &str) {
    let mut admin = redis.admin().await;
    redis::cmd("CONFIG").arg("SET").arg(setting).arg(value).exec_async(&mut admin).await.expect("it can be set");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_again_and_again() {
    let mut redis = redis(&[]);
    let sales = Sales::open(redis.port).await;
    for _ in 0..6 {
        sales.go_on(SOME).await;
        for_about(100).await;
        redis.kill();
        for_about(100).await;
        redis.start_again();
    }
    assert!(all_is_well(sales).await.refused > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_restarted() {
    let mut redis = redis(&[]);
    let sales = Sales::open(redis.port).await;
    for _ in 0..3 {
        sales.go_on(SOME).await;
        redis.stop();
        sales.falter(2).await;
        redis.start_again();
    }
    assert!(all_is_well(sales).await.refused >= 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_is_slow() {
    let redis = redis(&[]);
    let line = Proxy::before(redis.port).await;
    let sales = Sales::open(line.port).await;
    sales.go_on(SOME).await;
    line.set(Way::Slow(Duration::from_millis(100)));
    sales.go_on(SOME).await;
    line.set(Way::Pass);
    all_is_well(sales).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_hangs_and_breaks() {
    let redis = redis(&[]);
    let line = Proxy::before(redis.port).await;
    let sales = Sales::open(line.port).await;
    for way in [Way::Hang, Way::Refuse, Way::Hang] {
        sales.go_on(SOME).await;
        line.set(way);
        sales.falter(6).await;
        line.set(Way::Pass);
        sales.recover().await;
    }
    assert!(all_is_well(sales).await.refused >= 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_is_cut_in_the_middle_of_what_is_answered() {
    let redis = redis(&[]);
    let line = Proxy::before(redis.port).await;
    let sales = Sales::open(line.port).await;
    for bytes in [0, 1, 5, 9, 10, 14, 15, 40] {
        sales.go_on(SOME).await;
        line.set(Way::Cut("EVAL", bytes));
        sales.falter(2).await;
        line.set(Way::Pass);
        sales.recover().await;
    }
    assert!(all_is_well(sales).await.refused >= 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_full() {
    let redis = redis(&[]);
    let sales = Sales::open(redis.port).await;
    for _ in 0..3 {
        sales.go_on(SOME).await;
        configure(&redis, "maxmemory", "1").await;
        sales.falter(12).await;
        configure(&redis, "maxmemory", "0").await;
    }
    assert!(all_is_well(sales).await.refused >= 36);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_forgets_its_scripts_and_nobody_notices() {
    let redis = redis(&[]);
    let sales = Sales::open(redis.port).await;
    let mut admin = redis.admin().await;
    for _ in 0..20 {
        sales.go_on(2).await;
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut admin).await.expect("an administrator may");
    }
    assert_eq!(all_is_well(sales).await.refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_forget_and_is_not_used_until_it_may_not() {
    let redis = redis(&[]);
    let sales = Sales::open(redis.port).await;
    sales.go_on(SOME).await;
    configure(&redis, "maxmemory-policy", "allkeys-lru").await;
    for node in sales.nodes.iter() {
        until(async || sales.till.ready(node).await.status == 503).await;
        let because = sales.till.ready(node).await.text;
        assert!(because.contains("CONFIG SET maxmemory-policy noeviction"), "{because}");
        sales.till.ask(node).await.refused(503, "temporarily_unavailable");
        sales.till.poll(node, &"a".repeat(43)).await.refused(503, "temporarily_unavailable");
    }
    configure(&redis, "maxmemory-policy", "noeviction").await;
    assert!(all_is_well(sales).await.refused > 0);
}
