//! Servers that are started anew under load, one after the other, behind the load balancer that ships: whoever calls does not notice.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{JoinSet, block_in_place};
use tokio::time::sleep;

use crate::balancer::Balancer;
use crate::bank::{pki, tls};
use crate::node::until;
use crate::process::{Ports, Process, Webhook, redis};
use crate::raw::Raw;
use crate::till::Till;

/// How long a caller waits between two calls.
const PAUSE: Duration = Duration::from_millis(10);

/// Long enough for the balancer to see twice that nobody is ready, and for every connection that is kept to be used once more.
const CONFIGURED: &str = "connections_per_address = 128\nleave_seconds = 5";

/// What became of all calls.
#[derive(Default)]
struct Calls {
    over: AtomicBool,
    good: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

impl Calls {
    fn go_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    fn note(&self, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => drop(self.good.fetch_add(1, Ordering::SeqCst)),
            Err(why) => self.failed.lock().unwrap_or_else(PoisonError::into_inner).push(why),
        }
    }
}

/// A till asks, the bank approves, and the till fetches its tokens, again and again.
async fn sell(till: Till, at: Ports, calls: Arc<Calls>) {
    while calls.go_on() {
        let (till, at) = (till.clone(), at.clone());
        let sale = tokio::spawn(async move {
            let auth_req_id = till.ask(&at).await.text("auth_req_id");
            assert_eq!(till.approve(&at, &auth_req_id).await.status, 204);
            till.poll(&at, &auth_req_id).await.text("access_token");
        });
        calls.note(sale.await.map_err(|failed| failed.to_string()));
        sleep(PAUSE).await;
    }
}

/// Somebody who keeps a connection until told that it ends, and tries nothing twice.
async fn ask(port: u16, path: &str, calls: Arc<Calls>) {
    let mut kept = None;
    while calls.go_on() {
        let outcome = answered(kept.take(), port, path).await;
        calls.note(outcome.map(|connection| kept = connection));
        sleep(PAUSE).await;
    }
}

/// One call, over a new connection if there is none; and the connection, if it may be used again.
async fn answered(kept: Option<Raw>, port: u16, path: &str) -> Result<Option<Raw>, String> {
    let how = if kept.is_some() { "a kept" } else { "a new" };
    let mut raw = match kept {
        Some(raw) => raw,
        None => Raw::with(([127, 0, 0, 1], port).into(), tls(None)).await.map_err(|error| format!("TLS: {error}"))?,
    };
    raw.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
    let heard = raw.answer().await.ok_or_else(|| format!("no answer over {how} connection"))?;
    if heard.status != 200 {
        return Err(format!("{path}: {heard:?}"));
    }
    Ok(if heard.headers.get("connection").is_some_and(|said| said == "close") { None } else { Some(raw) })
}

/// Whether the server has done anything since it was started last.
fn is_called(server: &Process) -> bool {
    let text = fs::read_to_string(server.audit()).unwrap_or_default();
    text.rsplit_once("\"started\"").is_some_and(|(_, since)| since.contains("\"issued\""))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_servers_are_started_anew_one_after_the_other_no_call_fails() {
    let (redis, webhook) = (redis(&[]), Webhook::open().await);
    let configured = |shipped: &str| {
        let listed = format!("\n[proxy_protocol]\nfrom = [\"{}\"]\n", Balancer::ADDRESS);
        shipped.replace("connections_per_address = 128", CONFIGURED) + &listed
    };
    let start = || Process::with((redis.port, &webhook), configured);
    let mut servers = [start(), start()];
    let folder = tempfile::tempdir().expect("a folder");
    let places = servers.each_ref().map(|server| (server.public, server.internal));
    let balancer = Balancer::before(places, &pki().join("ca.pem"), folder.path());
    let at = Ports { public: balancer.public, internal: balancer.internal };
    until(async || answered(None, at.public, "/jwks").await.is_ok()).await;
    until(async || answered(None, at.internal, "/readyz").await.is_ok()).await;
    let calls = Arc::<Calls>::default();
    let mut lanes = JoinSet::new();
    for till in [Till::new(), Till::new(), Till::hasty(), Till::hasty()] {
        lanes.spawn(sell(till, at.clone(), calls.clone()));
    }
    for (port, path) in [(at.public, "/jwks"), (at.public, "/jwks"), (at.internal, "/livez")] {
        lanes.spawn(ask(port, path, calls.clone()));
    }
    for server in &mut servers {
        until(async || is_called(server)).await;
        server.stop().await;
        block_in_place(|| server.start_again());
    }
    until(async || servers.iter().all(is_called)).await;
    calls.over.store(true, Ordering::SeqCst);
    lanes.join_all().await;
    let failed = calls.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(failed, [""; 0], "and {} calls went well", calls.good.load(Ordering::SeqCst));
}
