//! `countersign serve` on Redis: on one that is away, and on one that may forget.

use crate::deployment::{Deployment, IN_PRODUCTION};
use crate::server::RedisServer;
use crate::serving::{Serving, sooner_or_later};

const PASSWORD: &str = "correct-horse-battery-staple";

/// A deployment on `redis`, as the user `countersign`.
fn on(redis: &RedisServer) -> Deployment {
    let deployment = Deployment::new();
    deployment.write("redis.password", PASSWORD);
    deployment.expose("redis.password", 0o600);
    deployment.listen(("listen", 0), ("internal_listen", 0));
    deployment.edit("format = \"pretty\"", "format = \"json\"");
    deployment.redis(&format!(
        "kind = \"redis\"\ntopology = \"standalone\"\naddresses = [\"{}\"]\nprefix = \"countersign\"\n\
         user = \"countersign\"\npassword = \"../certs/dev/redis.password\"",
        redis.address()
    ));
    deployment
}

/// A Redis with a user `countersign`, and with `arguments` of its own.
fn redis(arguments: &[&str]) -> RedisServer {
    let password = format!(">{PASSWORD}");
    RedisServer::with(&[&["--user", "countersign", "on", &password, "~countersign:*", "+@all"], arguments].concat())
}

/// What `/readyz` says: whether it is 200, and why not.
fn ready(deployment: &Deployment, serving: &Serving) -> (bool, String) {
    let (status, body) = deployment.heard(serving.internal, "/readyz").expect("an answer");
    assert_eq!((status, &body["ready"]), (if status == 200 { 200 } else { 503 }, &(status == 200).into()));
    (status == 200, body["because"].as_str().unwrap_or_default().to_owned())
}

/// The last thing that `serve` says before it exits with 1.
#[track_caller]
fn refused(deployment: &Deployment) -> String {
    let (status, said) = Serving::refuses(&deployment.config());
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(!said.contains(PASSWORD), "the password is out");
    said.lines().last().unwrap_or_default().to_owned()
}

#[track_caller]
fn becomes_ready(deployment: &Deployment, serving: &Serving) {
    sooner_or_later("it is ready", || ready(deployment, serving).0.then_some(()));
}

#[test]
fn serve_waits_for_a_redis_that_is_away_and_says_so_where_the_load_is_balanced() {
    let mut redis = redis(&["--appendonly", "yes"]);
    redis.stop();
    let deployment = on(&redis);
    let serving = Serving::start(&deployment);
    let store = format!("redis, standalone at {}, no TLS, keys countersign:*", redis.address());
    let log = serving.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(&store)).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(log.contains("starting all the same"), "{log}");
    for _ in 0..2 {
        let (there, why) = ready(&deployment, &serving);
        assert!(!there && why.starts_with("store: Redis cannot be used: "), "{why}");
        assert_eq!(deployment.discovery(serving.port).0, 200, "what needs no store is answered");
        assert_eq!(deployment.heard(serving.internal, "/livez").map(|(status, _)| status), Some(200));
        redis.start_again();
        becomes_ready(&deployment, &serving);
        redis.kill();
        sooner_or_later("it is not ready", || (!ready(&deployment, &serving).0).then_some(()));
    }
    assert!(serving.log().contains("the store is well again"), "{}", serving.log());
    assert!(!serving.log().contains(PASSWORD), "the password is out");
}

#[test]
fn a_redis_that_may_forget_is_for_development_alone() {
    let policy = ["--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"];
    for (arguments, says, run) in [
        (
            &policy[..],
            "the maxmemory-policy of Redis is allkeys-lru, so it may forget spent ids; run: CONFIG SET maxmemory-policy noeviction",
            ["maxmemory-policy", "noeviction"],
        ),
        (
            &["--appendonly", "no"],
            "Redis forgets spent ids when it restarts; run: CONFIG SET appendonly yes, and CONFIG SET appendfsync always",
            ["appendonly", "yes"],
        ),
    ] {
        let redis = redis(arguments);
        let deployment = on(&redis);
        deployment.edit("mode = \"development\"", IN_PRODUCTION);
        assert_eq!(refused(&deployment), format!("countersign serve: store: {says}"));
        deployment.edit(IN_PRODUCTION, "mode = \"development\"");
        let serving = Serving::start(&deployment);
        assert_eq!(ready(&deployment, &serving), (false, format!("store: {says}")));
        config(&redis, run);
        becomes_ready(&deployment, &serving);
        let unfit = ["maxmemory-policy", "volatile-lru"];
        config(&redis, unfit);
        let why =
            sooner_or_later("it is unfit again", || Some(ready(&deployment, &serving).1).filter(|why| !why.is_empty()));
        assert!(why.contains("volatile-lru"), "{why}");
    }
}

#[test]
fn a_redis_that_knows_another_password_is_named_and_the_password_is_not() {
    let redis = RedisServer::start();
    let deployment = on(&redis);
    deployment.edit("mode = \"development\"", IN_PRODUCTION);
    assert_eq!(refused(&deployment), "countersign serve: store: Redis refuses store.user or store.password");
}

/// As an administrator would.
fn config(redis: &RedisServer, [name, value]: [&str; 2]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut admin = redis.admin().await;
        redis::cmd("CONFIG")
            .arg("SET")
            .arg(name)
            .arg(value)
            .exec_async(&mut admin)
            .await
            .expect("an administrator may");
    });
}
