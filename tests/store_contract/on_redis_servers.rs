//! The contract on Redis: on one server, and on a cluster of three.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign::clock::Manual;
use countersign::store::redis::Redis;
use countersign::store::redis::place::{Place, Topology};

use crate::cluster::Cluster;
use crate::server::{RedisServer, admin};
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
pub(crate) async fn cluster() -> (Shared, World, Cluster) {
    let cluster = Cluster::start(0, &["--appendonly", "no"], None);
    let (backend, world) = at(Topology::Cluster, cluster.ports()).await;
    (backend, world, cluster)
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
