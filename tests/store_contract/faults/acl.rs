//! The user of `deploy/redis.acl`: all that the server needs, and nothing else.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use countersign::clock::{Clock as _, System};
use countersign::secret::{Digest, Secret};
use countersign::store::backend::{Family, Key, NEVER, Record, Step, Unavailable};
use countersign::store::redis::Redis;
use countersign::store::redis::place::{Credentials, Place, Topology};
use redis::Value;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use super::{answered, at, eventually, kept, trouble, unavailable, unfit, well};
use crate::cluster::Cluster;
use crate::on_redis_servers::place;
use crate::server::RedisServer;
use crate::steps::{Shared, exchange, insert, key, load, swap};

/// What a server alone needs, and what the nodes of a cluster are asked beside that.
const ALONE: [&str; 10] = ["set", "get", "eval", "zadd", "zrem", "zrangebyscore", "pttl", "pexpire", "time", "info"];
const OF_A_CLUSTER: [&str; 4] = ["ping", "asking", "cluster|slots", "cluster|info"];

/// What Redis lets everybody do.
const OPEN: [&str; 4] = ["auth", "hello", "quit", "reset"];

const ADMIN: (&str, &str) = ("admin", "administrator");

/// The file as it is shipped, with the digest of a password in place of the one that nobody has, and an administrator for the tests.
fn acl() -> TempDir {
    let shipped = fs::read_to_string("deploy/redis.acl").expect("it is shipped");
    let nobody = format!("#{}", "0".repeat(64));
    assert_eq!(shipped.matches(&nobody).count(), 1, "as shipped it lets nobody in");
    // Of `secret`.
    let own = "#2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    let (admin, password) = ADMIN;
    let text = format!("{}user {admin} on >{password} ~* &* +@all\n", shipped.replace(&nobody, own));
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("redis.acl"), text).expect("it can be written");
    folder
}

fn arguments(acl: &TempDir) -> Vec<String> {
    let file = acl.path().join("redis.acl").to_str().expect("UTF-8").to_owned();
    ["--appendonly", "yes", "--appendfsync", "everysec", "--aclfile"]
        .map(str::to_owned)
        .into_iter()
        .chain([file])
        .collect()
}

fn alone(acl: &TempDir) -> RedisServer {
    // What Redis forbids everybody would not show whom the file forbids it.
    let open = ["--enable-debug-command", "yes", "--enable-module-command", "yes"];
    RedisServer::with(&arguments(acl).iter().map(String::as_str).chain(open).collect::<Vec<_>>())
}

fn as_user(topology: Topology, ports: &[u16], (user, password): (&str, &str)) -> Place {
    let credentials = Credentials { user: user.to_owned(), password: Secret::new(password.to_owned()) };
    Place { credentials: Some(credentials), prefix: "countersign".to_owned(), ..place(topology, ports) }
}

async fn strict(topology: Topology, ports: &[u16]) -> Shared {
    let place = as_user(topology, ports, ("countersign", "secret"));
    Arc::new(Redis::at(place, Arc::new(System), true).await)
}

async fn login(port: u16, (user, password): (&str, &str)) -> MultiplexedConnection {
    let client = redis::Client::open(format!("redis://{user}:{password}@127.0.0.1:{port}/")).expect("a URL");
    client.get_multiplexed_async_connection().await.expect("it runs")
}

/// Whatever a store asks, of every family and of keys that nobody had before.
async fn everything(backend: &Shared) -> Result<(), Unavailable> {
    static TURN: AtomicU32 = AtomicU32::new(0);
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    for family in Family::ALL {
        for ends in [true, false] {
            let record =
                |bytes: &[u8]| if ends { kept(bytes) } else { Record { bytes: bytes.to_vec(), sweep_at: NEVER } };
            let place = Key { family, digest: Digest::of(format!("{turn} {ends}").as_bytes()) };
            assert_eq!(load(backend, &place).await?, None);
            assert!(insert(backend, &place, record(b"one")).await?);
            assert!(swap(backend, &place, b"one", record(b"two")).await?);
            assert_eq!(exchange(backend, &place, b"three").await?, Some(b"two".to_vec()));
            assert_eq!(load(backend, &place).await?, Some(b"three".to_vec()));
        }
    }
    let parcel = format!("parcel {turn}").into_bytes();
    let (due, ends) = (System.now(), System.now().plus(60));
    let outcomes = [
        backend.run(vec![Step::Post(parcel.clone(), due, ends)]).await?,
        backend.run(vec![Step::TakeOver { now: due, until: ends, most: 100 }]).await?,
        backend.run(vec![Step::Hold(parcel.clone(), due)]).await?,
        backend.run(vec![Step::CrossOut(parcel)]).await?,
    ];
    assert_eq!(outcomes.len(), 4);
    Ok(())
}

#[tokio::test]
async fn the_user_of_the_acl_file_can_do_all_that_is_needed_and_needs_all_it_can_do() {
    let acl = acl();
    let server = alone(&acl);
    let backend = strict(Topology::Standalone, &[server.port]).await;
    assert_eq!(backend.trouble(), None);
    assert_eq!(everything(&backend).await, Ok(()));
    let mut admin = login(server.port, ADMIN).await;
    for command in ALONE {
        allow(&mut admin, &format!("-{command}")).await;
        eventually("something fails", async || everything(&backend).await.err()).await;
        missed(&backend, command).await;
        allow(&mut admin, &format!("+{command}")).await;
        well(&backend).await;
        assert_eq!(everything(&backend).await, Ok(()), "{command}");
    }
}

/// What is needed to look at Redis is missed before any request is made.
async fn missed(backend: &Shared, command: &str) {
    if ["set", "time", "info"].contains(&command) {
        let words = trouble(backend, unfit).await;
        assert!(words.contains("may not do all that is needed"), "{command}: {words}");
    } else {
        assert_eq!(backend.trouble(), None, "{command}");
    }
}

async fn allow(admin: &mut MultiplexedConnection, rule: &str) {
    redis::cmd("ACL")
        .arg("SETUSER")
        .arg("countersign")
        .arg(rule)
        .exec_async(admin)
        .await
        .expect("an administrator may");
}

/// Every command there is, and how many words it takes at least.
fn commands(listed: Value) -> Vec<(String, usize)> {
    let Value::Array(commands) = listed else { panic!("it is a list") };
    let mut all = Vec::new();
    for command in commands {
        let Value::Array(fields) = command else { panic!("it has fields") };
        let [Value::BulkString(name), Value::Int(arity), ..] = &fields[..] else {
            panic!("a name, and how many words")
        };
        let name = String::from_utf8(name.clone()).expect("UTF-8");
        let below = commands_below(fields.get(9));
        if below.is_empty() {
            all.push((name, usize::try_from(arity.unsigned_abs()).expect("few")));
        } else {
            all.extend(below);
        }
    }
    all
}

fn commands_below(listed: Option<&Value>) -> Vec<(String, usize)> {
    listed.cloned().map(commands).unwrap_or_default()
}

#[tokio::test]
async fn the_user_of_the_acl_file_can_do_nothing_else() {
    let acl = acl();
    let server = alone(&acl);
    let mut admin = login(server.port, ADMIN).await;
    let mut user = login(server.port, ("countersign", "secret")).await;
    let all = commands(redis::cmd("COMMAND").query_async(&mut admin).await.expect("they can be listed"));
    assert!(all.len() > 300, "{}", all.len());
    let mut allowed = Vec::new();
    for (name, words) in all.iter().filter(|(name, _)| !OPEN.contains(&name.as_str())) {
        let mut command = redis::Cmd::new();
        let given = name.split('|').count();
        name.split('|').for_each(|word| {
            command.arg(word);
        });
        (given..*words).for_each(|_| {
            command.arg("countersign:x");
        });
        match command.query_async::<Value>(&mut user).await {
            Err(error) if error.to_string().contains("has no permissions to run") => {}
            _ => allowed.push(name.as_str()),
        }
    }
    allowed.sort_unstable();
    let mut needed = [&ALONE[..], &OF_A_CLUSTER].concat();
    needed.sort_unstable();
    assert_eq!(allowed, needed);
}

#[tokio::test]
async fn the_user_of_the_acl_file_has_the_keys_of_its_prefix_alone() {
    let acl = acl();
    let server = alone(&acl);
    let user = login(server.port, ("countersign", "secret")).await;
    let refused = async |command: &redis::Cmd| {
        let told: Result<Value, _> = command.query_async(&mut user.clone()).await;
        told.is_err_and(|error| {
            error.code() == Some("NOPERM") || error.to_string().contains("The user executing the script can't")
        })
    };
    for (name, fine) in
        [("countersign:x", true), ("countersign", false), ("countersig:x", false), ("x:countersign:x", false)]
    {
        assert_eq!(refused(redis::cmd("GET").arg(name)).await, !fine, "{name}");
        assert_eq!(refused(redis::cmd("SET").arg(name).arg("")).await, !fine, "{name}");
        assert_eq!(
            refused(redis::cmd("EVAL").arg("return redis.call('GET',KEYS[1])").arg(1).arg(name)).await,
            !fine,
            "{name}"
        );
        let hidden = format!("return redis.call('SET','{name}','')");
        assert_eq!(refused(redis::cmd("EVAL").arg(hidden).arg(0)).await, !fine, "{name}");
    }
    assert!(refused(redis::cmd("EVAL").arg("return redis.call('DEL',KEYS[1])").arg(1).arg("countersign:x")).await);
    let elsewhere = Place {
        prefix: "other".to_owned(),
        ..as_user(Topology::Standalone, &[server.port], ("countersign", "secret"))
    };
    let backend = at(elsewhere).await;
    assert!(backend.trouble().as_ref().is_some_and(unfit), "{:?}", backend.trouble());
    unavailable(insert(&backend, &key(1), kept(b"x")).await);
}

#[tokio::test]
async fn whoever_cannot_log_in_is_told_what_to_look_at() {
    let acl = acl();
    let server = alone(&acl);
    for wrong in [("countersign", "wrong"), ("nobody", "secret"), ("default", "")] {
        let backend = at(as_user(Topology::Standalone, &[server.port], wrong)).await;
        let found = backend.trouble().filter(unfit).expect("it is known at once").to_string();
        assert!(found.contains("store.user or store.password"), "{found}");
        unavailable(load(&backend, &key(1)).await);
    }
    let nobody = at(Place { credentials: None, ..as_user(Topology::Standalone, &[server.port], ("", "")) }).await;
    let found = nobody.trouble().expect("it is known at once");
    assert!(unfit(&found) && found.to_string().contains("store.user or store.password"), "{found:?}");
}

/// `ASKING` for a slot on its way; `PING` so that a connection that is well outlives a look at who has which slots.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster_the_user_of_the_acl_file_can_do_all_that_is_needed_and_needs_all_it_can_do() {
    let acl = acl();
    let arguments = arguments(&acl);
    let cluster = Cluster::start(0, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), Some(ADMIN));
    let everywhere = |rule: &str| {
        for port in cluster.ports() {
            assert_eq!(cluster.say(port, &["ACL", "SETUSER", "countersign", rule]), "OK");
        }
    };
    for wrong in [Some(("countersign", "wrong")), None] {
        let place = as_user(Topology::Cluster, &cluster.ports(), wrong.unwrap_or_default());
        let place = Place { credentials: wrong.and(place.credentials), ..place };
        let found = at(place).await.trouble().filter(unfit).expect("it is known at once").to_string();
        assert!(found.contains("store.user or store.password"), "{found}");
    }
    everywhere("-cluster|slots");
    let backend = strict(Topology::Cluster, &cluster.ports()).await;
    let found = backend.trouble().filter(unfit).expect("it is known at once").to_string();
    assert!(found.contains("cluster|slots"), "{found}");
    everywhere("+cluster|slots");
    well(&backend).await;
    assert_eq!(everything(&backend).await, Ok(()));

    let connections = || {
        let lists = cluster.ports().into_iter().map(|port| (port, cluster.say(port, &["CLIENT", "LIST"])));
        let ours = |(port, list): (u16, String)| {
            let ours: Vec<&str> = list.lines().filter(|line| line.contains("user=countersign")).collect();
            let ids: Vec<String> = ours.iter().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
            (port, ids)
        };
        lists.map(ours).collect::<Vec<_>>()
    };
    for (place, rule) in [(key(1), "+ping"), (key(2), "-ping"), (key(3), "-asking")] {
        everywhere(rule);
        let slot =
            cluster.say(cluster.nodes[0].port, &["CLUSTER", "KEYSLOT", &format!("countersign:spent:{}", place.digest)]);
        let (source, source_id) = cluster.owner(slot.parse().expect("a slot"));
        let target = *cluster.ports().iter().find(|port| **port != source).expect("there are three");
        let target_id = cluster.say(target, &["CLUSTER", "MYID"]);
        let say = |port, words: &[&str]| assert_eq!(cluster.say(port, words), "OK", "{words:?}");
        say(target, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]);
        say(source, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]);
        assert_eq!(insert(&backend, &place, kept(b"x")).await.is_ok(), rule != "-asking", "{rule}");
        let before = connections();
        for node in [target, source] {
            say(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]);
        }
        assert_eq!(answered(async || load(&backend, &place).await).await.is_some(), rule != "-asking", "{rule}");
        assert_eq!(connections() == before, rule == "+ping", "{rule}");
    }
}
