//! What `deploy/compose.yml` starts, without containers: two servers behind a load balancer on one Redis, from the very files that it mounts. Only where
//! things are is changed.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::balancer::Balancer;
use crate::deployment::{Deployment, files, shipped};
use crate::server::free_port;
use crate::serving::{Serving, sooner_or_later};

const PASSWORD: &str = "correct-horse-battery-staple";
const METADATA: &str = "/.well-known/openid-configuration";

/// A Redis that ends with the test.
struct Running(Child);

impl Running {
    fn start(conf: &Path) -> Self {
        let mut command = Command::new("redis-server");
        let child = command.arg(conf).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("redis-server is installed by ./test: {error}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The file `name` of `deploy/compose`, with `changes` made, each to something that has to be in it, at the same place below the folder of `deployment`.
fn copy(deployment: &Deployment, name: &str, changes: &[(&str, &str)]) -> PathBuf {
    let mut text = fs::read_to_string(shipped("deploy/compose").join(name)).expect("it ships");
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not in {name}");
        text = text.replace(from, to);
    }
    let path = composed(deployment).join(name);
    fs::write(&path, text).expect("written");
    path
}

fn composed(deployment: &Deployment) -> PathBuf {
    deployment.config().with_file_name("compose")
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The configuration of a Redis at `port` with the user that the servers appear as.
fn redis_conf(deployment: &Deployment, port: u16) -> PathBuf {
    let folder = composed(deployment);
    let acl = folder.join("users.acl");
    let users = fs::read_to_string(shipped("deploy/redis.acl")).expect("it ships");
    let nobody = format!("#{}", "0".repeat(64));
    assert!(users.contains(&nobody), "as it ships, nobody knows the password");
    fs::write(&acl, users.replace(&nobody, &format!(">{PASSWORD}"))).expect("written");
    let changes = [
        ("bind * -::*", "bind 127.0.0.1"),
        ("tls-port 6379", &format!("tls-port {port}")),
        ("/tls/", &format!("{}/", utf8(&deployment.certs()))),
        ("dir /data", &format!("dir {}", utf8(&folder))),
        ("/etc/redis/users.acl", utf8(&acl)),
    ];
    copy(deployment, "redis.conf", &changes)
}

/// A server of the two, on ports of its own.
fn server(deployment: &Deployment, redis: u16) -> Serving {
    let audit = composed(deployment).join(format!("audit-{}.jsonl", free_port()));
    let changes = [
        ("/var/lib/countersign/audit.jsonl", utf8(&audit)),
        ("0.0.0.0:9443", "127.0.0.1:0"),
        ("0.0.0.0:9444", "127.0.0.1:0"),
        ("redis:6379", &format!("127.0.0.1:{redis}")),
        ("leave_seconds = 20", "leave_seconds = 2"),
        ("\"172.28.0.10\"", &format!("\"{}\"", Balancer::ADDRESS)),
    ];
    Serving::at(&copy(deployment, "server.toml", &changes))
}

/// How many requests for the metadata `server` has logged.
fn asked(server: &Serving) -> usize {
    server.log().lines().filter(|line| line.contains(METADATA)).count()
}

/// The bank locks a user, from a connection of its own out of `address`; what it is told.
fn lock_from(address: &str, deployment: &Deployment, port: u16) -> u16 {
    let chain = vec![CertificateDer::from_pem_file(deployment.certs().join("bank.pem")).expect("PEM")];
    let key = PrivateKeyDer::from_pem_file(deployment.certs().join("bank.key")).expect("PEM");
    let tls = deployment.trusting().with_client_auth_cert(chain, key).expect("they fit");
    let http = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    let http = http.local_address(address.parse::<IpAddr>().expect("an address")).build().expect("a client");
    let request = http.post(format!("https://localhost:{port}/standing")).header("content-type", "application/json");
    let request = request.body("{\"sub\":\"carol\",\"standing\":\"locked\"}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(request.send()).expect("an answer").status().as_u16()
}

/// The line about `event` that one of the servers has recorded.
fn recorded(deployment: &Deployment, event: &str) -> String {
    let event = format!("\"event\":\"{event}\"");
    let audits = files(&composed(deployment)).into_iter().filter(|(path, _)| utf8(path).contains("/audit-"));
    let lines = audits
        .flat_map(|(_, text)| String::from_utf8(text).expect("UTF-8").lines().map(str::to_owned).collect::<Vec<_>>());
    lines.into_iter().find(|line| line.contains(&event)).expect("it is recorded")
}

#[test]
fn a_load_balancer_leads_to_each_server_that_is_ready_and_to_no_other() {
    let deployment = Deployment::new();
    fs::create_dir(composed(&deployment)).expect("a folder");
    for (name, secret) in [("redis.password", PASSWORD), ("sealing.key", &"0123456789abcdef".repeat(4))] {
        fs::write(composed(&deployment).join(name), secret).expect("written");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(composed(&deployment).join(name), private).expect("its owner may");
    }
    let at = free_port();
    let conf = redis_conf(&deployment, at);
    let start_redis = || {
        let redis = Running::start(&conf);
        sooner_or_later("Redis is there", || std::net::TcpStream::connect(("127.0.0.1", at)).ok());
        redis
    };
    let redis = start_redis();
    let (mut one, two) = (server(&deployment, at), server(&deployment, at));
    let servers = [(one.port, one.internal), (two.port, two.internal)];
    let balancer = Balancer::before(servers, &deployment.certs().join("ca.pem"), &composed(&deployment));
    let (public, internal) = (balancer.public, balancer.internal);
    let metadata = || deployment.heard(public, METADATA).map(|(status, body)| (status, body["issuer"].clone()));
    let fine = Some((200, "https://localhost:9443".into()));
    let ready = || deployment.heard(internal, "/readyz").map(|(status, _)| status);
    sooner_or_later("both are reached", || {
        assert!([None, fine.clone()].contains(&metadata()));
        (asked(&one) > 0 && asked(&two) > 0).then_some(())
    });
    assert_eq!(ready(), Some(200), "the bank's port is balanced too");
    assert_eq!(lock_from("127.0.0.9", &deployment, internal), 204);
    let line = recorded(&deployment, "locked");
    assert!(line.ends_with(",\"address\":\"127.0.0.9\"}"), "not the balancer's, but the bank's: {line}");

    // Both still answer what needs no store. The load balancer asks whether they are ready.
    drop(redis);
    sooner_or_later("both are taken out", || metadata().is_none().then_some(()));
    for server in [&one, &two] {
        assert_eq!(deployment.discovery(server.port).0, 200);
        assert_eq!(deployment.heard(server.internal, "/readyz").map(|(status, _)| status), Some(503));
    }
    let _redis = start_redis();
    // For the world and for the bank, each by itself. The load balancer does not ask who is alive.
    let taken = |server: &Serving| (asked(server), server.log().matches("/livez").count());
    let before = [&one, &two].map(taken);
    sooner_or_later("both are taken in again", || {
        metadata();
        deployment.heard(internal, "/livez");
        let now = [&one, &two].map(taken);
        now.iter().zip(&before).all(|(now, before)| now.0 > before.0 && now.1 > before.1).then_some(())
    });

    assert_eq!(one.told("TERM").code(), Some(0));
    let before = asked(&two);
    for _ in 0..10 {
        assert_eq!(metadata(), fine, "one server has stopped, and nobody notices");
        assert_eq!(ready(), Some(200));
    }
    sooner_or_later("the other has answered them all", || (asked(&two) == before + 10).then_some(()));
}

/// `docker compose` itself says it later than here.
#[test]
fn compose_mounts_what_is_there_or_what_its_first_lines_have_made() {
    let compose = fs::read_to_string(shipped("deploy/compose.yml")).expect("it ships");
    let (head, services) = compose.split_once("\nservices:").expect("it has services");
    let mounts: Vec<&str> = services
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- ")?.strip_suffix(":ro")?.split_once(':'))
        .map(|(from, _)| from)
        .filter(|from| from.starts_with('.'))
        .collect();
    assert!(mounts.len() > 6, "{mounts:?}");
    for mount in mounts {
        let made = format!("deploy/{}", mount.trim_start_matches("./"));
        assert!(
            shipped("deploy").join(mount).exists() || head.contains(&made) || mount.starts_with("../certs/dev"),
            "{mount} is nowhere"
        );
    }
}
