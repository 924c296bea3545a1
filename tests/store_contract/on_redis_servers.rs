//! The contract on Redis: on one server, and on a cluster of three.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign::clock::Manual;
use countersign::store::redis::Redis;
use countersign::store::redis::place::{Place, Topology};

use crate::server::{RedisServer, admin, free_port};
use crate::steps::{Elsewhere, START, Shared, World, found, insert, key, load, record};

/// The servers whose time passes.
struct Servers(Vec<u16>);

#[async_trait]
impl Elsewhere for Servers {
    /// What is to go within `seconds` goes now, and everything else that much sooner.
    async fn pass(&self, seconds: i64) {
        for port in &self.0 {
            let mut admin = admin(*port).await;
            let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut admin).await.expect("all of them");
            for key in keys {
                let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut admin).await.expect("its time");
                if left >= 0 {
                    let sooner =
                        redis::cmd("PEXPIRE").arg(&key).arg(left - seconds * 1_000).exec_async(&mut admin).await;
                    sooner.expect("it is there");
                }
            }
        }
    }
}

/// Where those servers are.
pub(crate) fn place(topology: Topology, ports: &[u16]) -> Place {
    let addresses = ports.iter().map(|port| ("127.0.0.1".to_owned(), *port)).collect();
    Place { topology, addresses, credentials: None, tls: None, prefix: "test".into() }
}

async fn at(topology: Topology, ports: Vec<u16>) -> (Shared, World) {
    let clock = Arc::new(Manual::at(START));
    let redis = Redis::at(place(topology, &ports), clock.clone(), false).await;
    (Arc::new(redis), World { clock, elsewhere: Some(Arc::new(Servers(ports))) })
}

/// A server of its own.
pub(crate) async fn standalone() -> (Shared, World, RedisServer) {
    let server = RedisServer::start();
    let (backend, world) = at(Topology::Standalone, vec![server.port]).await;
    (backend, world, server)
}

/// Three primaries that share the keys.
pub(crate) async fn cluster() -> (Shared, World, Vec<RedisServer>) {
    let node = |_| {
        RedisServer::with(&[
            "--appendonly",
            "no",
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &free_port().to_string(),
        ])
    };
    let nodes: Vec<RedisServer> = (0..3).map(node).collect();
    let mut create = Command::new("redis-cli");
    create.args(["--cluster", "create"]).args(nodes.iter().map(RedisServer::address)).arg("--cluster-yes");
    let created = create.output().expect("redis-cli is installed");
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
    for node in &nodes {
        let mut admin = node.admin().await;
        loop {
            let info: String = redis::cmd("CLUSTER").arg("INFO").query_async(&mut admin).await.expect("a node");
            if info.contains("cluster_state:ok") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let (backend, world) = at(Topology::Cluster, nodes.iter().map(|node| node.port).collect()).await;
    (backend, world, nodes)
}

/// What was answered is on the disk.
#[tokio::test]
async fn what_was_put_outlives_redis() {
    let (backend, _, mut server) = standalone().await;
    for end in [RedisServer::stop, RedisServer::kill] {
        let place = key(1);
        assert_eq!(insert(&backend, &place, record(b"kept")).await, Ok(true));
        end(&mut server);
        assert!(insert(&backend, &place, record(b"x")).await.is_err(), "it is down");
        server.start_again();
        let there = loop {
            match load(&backend, &place).await {
                Ok(there) => break there,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        assert_eq!(Ok(there), found(b"kept"));
        redis::cmd("FLUSHALL").exec_async(&mut server.admin().await).await.expect("an administrator may");
    }
}
