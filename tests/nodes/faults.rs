//! Two processes under load, and a Redis that dies, restarts, fills up, forgets its scripts or may forget more, behind a line that is slow, dead or
//! cut: clients are told to come back, and afterwards everything goes on.

use std::time::Duration;

use countersign::secret::{Entropy, System};
use tokio::time::sleep;

use crate::process::redis;
use crate::proxy::{Proxy, Way};
use crate::sales::Sales;
use crate::server::RedisServer;

/// So many milliseconds, and up to as many more.
async fn for_about(milliseconds: u64) {
    let mut chance = [0; 8];
    System.fill(&mut chance);
    sleep(Duration::from_millis(milliseconds + u64::from_le_bytes(chance) % milliseconds)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_again_and_again() {
    let mut redis = redis(&[]);
    let sales = Sales::open(redis.port).await;
    for _ in 0..6 {
        sales.go_on(20).await;
        for_about(100).await;
        redis.kill();
        for_about(100).await;
        redis.start_again();
    }
    sales.recover().await;
    sales.go_on(20).await;
    let takings = sales.close().await;
    println!("{} made, {} lost, {} times told to come back", takings.made, takings.lost, takings.refused);
    assert!(takings.refused > 0 && takings.made > 140);
}

/// As an administrator would.
async fn config(redis: &RedisServer, name: &str, value: &str) {
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg(name).arg(value).exec_async(&mut redis.admin().await).await.expect("an administrator may");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_stopped_and_started_and_forgets_its_scripts() {
    let mut redis = redis(&[]);
    let sales = Sales::open(redis.port).await;
    for _ in 0..2 {
        sales.go_on(20).await;
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut redis.admin().await).await.expect("an administrator may");
        sales.go_on(10).await;
        redis.stop();
        sales.falter(3).await;
        redis.start_again();
    }
    sales.recover().await;
    sales.go_on(20).await;
    assert!(sales.close().await.made > 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_to_redis_is_slow_or_dead_or_cut_in_the_middle_of_an_answer() {
    let redis = redis(&[]);
    let proxy = Proxy::before(redis.port).await;
    let sales = Sales::open(proxy.port).await;
    sales.go_on(20).await;
    proxy.set(Way::Slow(Duration::from_millis(100)));
    sales.go_on(6).await;
    for _ in 0..2 {
        proxy.set(Way::Hang);
        sales.falter(6).await;
        proxy.set(Way::Pass);
        sales.recover().await;
        sales.go_on(10).await;
    }
    proxy.set(Way::Refuse);
    sales.falter(6).await;
    proxy.set(Way::Pass);
    sales.recover().await;
    for bytes in 0..12 {
        proxy.set(Way::Cut("EVAL", bytes));
        sales.falter(1).await;
        proxy.set(Way::Pass);
        sales.recover().await;
        sales.go_on(3).await;
    }
    let takings = sales.close().await;
    assert!(takings.refused >= 30 && takings.made > 70);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_full_or_may_forget() {
    let redis = redis(&[]);
    let sales = Sales::open(redis.port).await;
    for (name, wrong, right, says) in [
        ("maxmemory", "100kb", "0", "Redis has reached its maxmemory"),
        ("maxmemory-policy", "allkeys-lru", "noeviction", "may forget spent ids"),
    ] {
        sales.go_on(20).await;
        config(&redis, name, wrong).await;
        sales.falter(20).await;
        for node in sales.nodes.iter() {
            let heard = sales.till.ready(node).await;
            assert_eq!(heard.status, 503, "{heard:#?}");
            assert!(heard.body["because"].as_str().is_some_and(|why| why.contains(says)), "{heard:#?}");
        }
        config(&redis, name, right).await;
        sales.recover().await;
    }
    sales.go_on(20).await;
    let info: String = redis::cmd("INFO").arg("stats").query_async(&mut redis.admin().await).await.expect("it runs");
    assert!(info.contains("evicted_keys:0"), "{info}");
    assert!(sales.close().await.made > 60);
}
