//! A cluster that changes while it is used: slots move, replicas become primaries, lines to nodes hang.

use std::process::Stdio;

use countersign::store::backend::{Family, Key, Step};
use countersign::store::redis::place::Topology;

use super::{answered, at, eventually, kept, passing, replicated, trouble, unavailable, well};
use crate::cluster::Cluster;
use crate::on_redis_servers::place;
use crate::proxy::{Proxy, Way};
use crate::steps::{Shared, found, insert, key, load, swap};

const KEPT: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "everysec"];

async fn running(replicas: usize) -> (Shared, Cluster) {
    let cluster = Cluster::start(replicas, &KEPT, None);
    let backend = at(place(Topology::Cluster, &cluster.ports())).await;
    well(&backend).await;
    (backend, cluster)
}

fn slot(cluster: &Cluster, key: &Key) -> u16 {
    assert_eq!(key.family, Family::Spent);
    let name = format!("test:spent:{}", key.digest);
    cluster.say(cluster.nodes[0].port, &["CLUSTER", "KEYSLOT", &name]).parse().expect("a slot")
}

/// While a slot moves, what is in it and what is new in it is served, wherever it is by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_is_served_all_the_time() {
    let (backend, cluster) = running(0).await;
    for (place, old) in [(key(1), true), (key(2), false)] {
        let number = slot(&cluster, &place);
        let (source, source_id) = cluster.owner(number);
        let number = number.to_string();
        let target = *cluster.ports().iter().find(|port| **port != source).expect("there are three");
        let target_id = cluster.say(target, &["CLUSTER", "MYID"]);
        let say = |port, words: &[&str]| assert_eq!(cluster.say(port, words), "OK", "{words:?}");
        if old {
            assert_eq!(insert(&backend, &place, kept(&[0])).await, Ok(true));
        }
        say(target, &["CLUSTER", "SETSLOT", &number, "IMPORTING", &source_id]);
        say(source, &["CLUSTER", "SETSLOT", &number, "MIGRATING", &target_id]);
        if old {
            assert_eq!(insert(&backend, &place, kept(b"x")).await, Ok(false), "it is where it was");
            let name = format!("test:spent:{}", place.digest);
            say(source, &["MIGRATE", "127.0.0.1", &target.to_string(), &name, "0", "5000"]);
        } else {
            assert_eq!(load(&backend, &place).await, Ok(None));
            assert_eq!(insert(&backend, &place, kept(&[0])).await, Ok(true), "what is new begins at the target");
        }
        assert_eq!(load(&backend, &place).await, found(&[0]));
        assert_eq!(insert(&backend, &place, kept(b"x")).await, Ok(false));
        assert_eq!(swap(&backend, &place, &[0], kept(&[1])).await, Ok(true));
        assert_eq!(swap(&backend, &place, &[0], kept(&[2])).await, Ok(false));
        for node in [target, source] {
            say(node, &["CLUSTER", "SETSLOT", &number, "NODE", &target_id]);
        }
        assert_eq!(load(&backend, &place).await, found(&[1]));
        assert_eq!(swap(&backend, &place, &[1], kept(&[2])).await, Ok(true));
    }
    assert_eq!(backend.trouble(), None);
}

/// `redis-cli --cluster reshard` in the midst of requests: none fails for good, and none is made twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_resharded_in_use() {
    let (backend, cluster) = running(0).await;
    for n in 0..200 {
        assert_eq!(insert(&backend, &key(n), kept(&[0])).await, Ok(true));
    }
    let (port, from) = cluster.owner(0);
    let to = cluster.owner(16_383).1;
    let address = format!("127.0.0.1:{port}");
    let mut reshard =
        cluster.command(&["--cluster", "reshard", &address, "--cluster-from", &from, "--cluster-to", &to]);
    let reshard = reshard.args(["--cluster-slots", "1000", "--cluster-yes"]).stdout(Stdio::null());
    let mut reshard = reshard.spawn().expect("redis-cli is installed");
    let mut count = vec![0_u8; 200];
    let done = loop {
        for (n, seen) in (0..).zip(&mut count) {
            let next = seen.wrapping_add(1);
            if !answered(async || swap(&backend, &key(n), &[*seen], kept(&[next])).await).await {
                let there = answered(async || load(&backend, &key(n)).await).await;
                assert_eq!(there, Some(vec![next]), "it was made without an answer, and nobody else swaps");
            }
            *seen = next;
        }
        if let Some(done) = reshard.try_wait().expect("it is ours") {
            break done;
        }
    };
    assert!(done.success());
    assert_ne!(cluster.owner(0).0, port, "slots moved");
    for (n, count) in (0..).zip(count) {
        assert_eq!(load(&backend, &key(n)).await, found(&[count]));
    }
    assert_eq!(backend.trouble(), None);
}

/// One primary hands over to its replica, another dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_becomes_the_primary_is_found() {
    let (backend, mut cluster) = running(1).await;
    for n in 0..50 {
        assert_eq!(insert(&backend, &key(n), kept(&[n])).await, Ok(true));
    }
    let replica_of = |cluster: &Cluster, id: &str| {
        let nodes = cluster.say(cluster.nodes[0].port, &["CLUSTER", "NODES"]);
        let replica =
            nodes.lines().find(|line| line.contains("slave") && line.contains(id)).expect("it has one").to_owned();
        let address = replica.split_whitespace().nth(1).and_then(|words| words.split('@').next()).expect("an address");
        address.rsplit(':').next().expect("a port").parse::<u16>().expect("a port")
    };
    let (_, first) = cluster.owner(0);
    let replica = replica_of(&cluster, &first);
    assert_eq!(cluster.say(replica, &["CLUSTER", "FAILOVER"]), "OK");
    cluster.wait(replica, &["INFO", "replication"], |info| info.contains("role:master"));
    for n in 0..50 {
        let told = answered(async || swap(&backend, &key(n), &[n], kept(&[n, 1])).await);
        assert!(told.await, "{n}: nobody else swaps, and none is made twice");
    }
    well(&backend).await;
    for n in 0..50 {
        assert_eq!(load(&backend, &key(n)).await, found(&[n, 1]));
    }

    let (last, id) = cluster.owner(16_383);
    let replica = replica_of(&cluster, &id);
    replicated(last).await;
    cluster.nodes.iter_mut().find(|node| node.port == last).expect("it is one of them").kill();
    cluster.wait(replica, &["INFO", "replication"], |info| info.contains("role:master"));
    for n in 0..50 {
        assert_eq!(answered(async || load(&backend, &key(n)).await).await, Some(vec![n, 1]));
    }
    well(&backend).await;
}

/// Behind a bad line to one node, what lies there is unavailable, is not carried out twice, and is served again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_line_to_one_node_is_trouble_until_it_carries_again() {
    let cluster = Cluster::start(0, &KEPT, None);
    let mut lines = Vec::new();
    for node in &cluster.nodes {
        let line = Proxy::before(node.port).await;
        assert_eq!(cluster.say(node.port, &["CONFIG", "SET", "cluster-announce-port", &line.port.to_string()]), "OK");
        lines.push(line);
    }
    for node in &cluster.nodes {
        cluster.wait(node.port, &["CLUSTER", "SLOTS"], |slots| {
            lines.iter().all(|line| slots.contains(&line.port.to_string()))
        });
    }
    let ports: Vec<u16> = lines.iter().map(|line| line.port).collect();
    let backend = at(place(Topology::Cluster, &ports)).await;
    well(&backend).await;
    let place = key(1);
    assert_eq!(insert(&backend, &place, kept(&[0])).await, Ok(true));
    let owner = cluster.owner(slot(&cluster, &place)).0;
    let at = lines.iter().position(|line| line.port == owner).expect("one of them");
    let line = &lines[at];
    let swaps = async || {
        let info = cluster.say(cluster.nodes[at].port, &["INFO", "commandstats"]);
        let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_eval:calls="));
        calls.map_or(0, |calls| calls.split(',').next().expect("a number").parse().expect("a number"))
    };

    for n in 0..4 {
        line.set(Way::Cut("EVAL", usize::from(n)));
        eventually("it arrives", async || {
            let before: usize = swaps().await;
            unavailable(swap(&backend, &place, &[n], kept(&[n + 1])).await);
            let made = swaps().await - before;
            assert!(made <= 1, "{n}");
            (made == 1).then_some(())
        })
        .await;
        line.set(Way::Pass);
        assert_eq!(answered(async || load(&backend, &place).await).await, Some(vec![n + 1]), "Redis did it");
    }
    let before: usize = swaps().await;
    line.set(Way::Lose("EVAL"));
    unavailable(swap(&backend, &place, &[4], kept(&[5])).await);
    assert_eq!(answered(async || load(&backend, &place).await).await, Some(vec![4]));
    assert_eq!(swaps().await, before);

    for _ in 0..2 {
        line.set(Way::Hang);
        unavailable(backend.run(vec![Step::Load(place), Step::Load(key(2)), Step::Load(key(3))]).await);
        trouble(&backend, passing).await;
        line.set(Way::Pass);
        well(&backend).await;
        assert_eq!(answered(async || load(&backend, &place).await).await, Some(vec![4]));
    }
    eventually("no connection is left over", async || lines.iter().all(|line| line.open() <= 1).then_some(())).await;
}
