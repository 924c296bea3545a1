//! No ping is lost with a server: what one left undone another delivers, once, and nobody who looks into the outbox learns anything.

use std::sync::Arc;

use countersign::store::backend::Backend;
use countersign::store::memory::Memory;
use tokio::runtime::Runtime;

use crate::bank::{Bank, certificates, pkcs8, pki};
use crate::node::{Nodes, in_time, until};
use crate::seen::Seen;
use crate::teller::{Says, Teller, response};
use crate::wired::{switched_on, till10};

const TOKEN: &str = "8d67dc78-7faa-4d41-aabd-67707b374255";

/// Longer than a server has a parcel to itself, however often it tried: 30 seconds, and as long as it waits between two tries.
const LEASE_IS_OVER: i64 = 40;

/// A client's endpoint that says this.
async fn endpoint(says: Says) -> Teller {
    Teller::open((certificates("bank"), pkcs8("bank.key").into()), says).await
}

/// Till 10 asks, and wants to be told.
async fn asked(bank: &Bank) -> String {
    till10(bank).backchannel(|request| request.with("client_notification_token", TOKEN)).await.text("auth_req_id")
}

/// A server that ends when it is told to, and everything it is about with it.
struct Mortal(Option<Runtime>);

impl Mortal {
    async fn serving(nodes: &Arc<Nodes>, backend: Option<Arc<dyn Backend>>, endpoint: &str) -> (Self, Bank) {
        let runtime = Runtime::new().expect("a runtime");
        let (nodes, endpoint) = (nodes.clone(), endpoint.to_owned());
        let opening = runtime.spawn(async move {
            let backend = match backend {
                Some(backend) => backend,
                None => nodes.backend().await,
            };
            nodes.node_on(backend, |shipped| switched_on(shipped, &endpoint)).await
        });
        (Self(Some(runtime)), opening.await.expect("it does not panic"))
    }

    fn end(mut self) {
        self.0.take().expect("it ends once").shutdown_background();
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits until nothing is in the outbox.
async fn is_settled(nodes: &Nodes) {
    holds(nodes, 0).await;
}

/// Waits until so many parcels are in the outbox.
async fn holds(nodes: &Nodes, parcels: u32) {
    let mut admin = nodes.redis.admin().await;
    until(async || {
        redis::cmd("ZCARD").arg("cs:outbox").query_async::<u32>(&mut admin).await.expect("it runs") == parcels
    })
    .await;
}

/// One server takes a decision and ends before the client has answered it; another delivers. A client that hangs is content at the second call, and
/// one that fails at the second of the other server's.
async fn goes_on(first: Says, shared: impl Fn(&Nodes) -> Option<Arc<dyn Backend>>) {
    let nodes = Arc::new(Nodes::new());
    let (content, hangs) = (response("204 No Content", "", ""), matches!(first, Says::Nothing));
    let teller = endpoint(first).await;
    if hangs {
        teller.then(content.clone());
    }
    let backend = shared(&nodes);
    let (mortal, one) = Mortal::serving(&nodes, backend.clone(), &teller.url).await;
    let behind = match backend {
        Some(backend) => backend,
        None => nodes.backend().await,
    };
    let seen = Seen::on(behind);
    let other = nodes.node_on(seen.clone(), |shipped| switched_on(shipped, &teller.url)).await;
    let auth_req_id = asked(&one).await;
    assert_eq!(one.approve(&auth_req_id).await.status, 204);
    assert!(in_time(teller.call()).await.text.contains(&auth_req_id));
    mortal.end();
    teller.calls();
    let before = teller.knocks();
    if !hangs {
        teller.then(content);
    }
    seen.looked_twice().await;
    assert_eq!(teller.knocks(), before, "its time has not come");
    nodes.clock.advance(LEASE_IS_OVER);
    let calls = if hangs { 1 } else { 2 };
    for _ in 0..calls {
        let call = in_time(teller.call()).await;
        assert!(call.text.contains(&auth_req_id) && call.text.contains(TOKEN), "{}", call.text);
    }
    // The time of whatever is still there comes again; of what was answered, it does not.
    seen.looked_twice().await;
    nodes.clock.advance(LEASE_IS_OVER);
    seen.looked_twice().await;
    assert_eq!((teller.calls().len(), teller.knocks()), (0, before + calls));
    till10(&other).poll(&auth_req_id).await.ok();
}

#[tokio::test]
async fn what_a_server_left_undone_another_delivers_once_when_its_time_has_come() {
    tokio::join!(goes_on(response("503 x", "", ""), |_| None), goes_on(Says::Nothing, |_| None));
}

#[tokio::test]
async fn in_memory_it_is_the_same() {
    let memory =
        |nodes: &Nodes| -> Option<Arc<dyn Backend>> { Some(Arc::new(Memory::new(10_000, nodes.clock.clone()))) };
    tokio::join!(goes_on(response("503 x", "", ""), memory), goes_on(Says::Nothing, memory));
}

#[tokio::test]
async fn what_was_delivered_is_delivered_by_nobody_else() {
    let nodes = Nodes::new();
    let teller = endpoint(response("204 No Content", "", "")).await;
    let seen = Seen::on(nodes.backend().await);
    let one = nodes.node_on(seen.clone(), |shipped| switched_on(shipped, &teller.url)).await;
    let other = nodes.node_on(seen.clone(), |shipped| switched_on(shipped, &teller.url)).await;
    let auth_req_id = asked(&one).await;
    seen.trips();
    assert_eq!(other.approve(&auth_req_id).await.status, 204);
    assert_eq!(seen.trips(), [2, 2], "a decision and what is owed for it are two trips");
    in_time(teller.call()).await;
    is_settled(&nodes).await;
    nodes.clock.advance(LEASE_IS_OVER);
    seen.looked_twice().await;
    seen.looked_twice().await;
    assert_eq!((teller.calls().len(), teller.knocks()), (0, 1));
    seen.trips();
    asked(&one).await;
    assert_eq!(seen.trips(), [5]);
    till10(&other).poll(&auth_req_id).await.ok();
    assert_eq!(seen.trips(), [4, 3]);
}

#[tokio::test]
async fn nobody_learns_anything_from_the_outbox() {
    let nodes = Nodes::new();
    let teller = endpoint(Says::Nothing).await;
    let bank = nodes.node(&teller.url).await;
    let auth_req_id = asked(&bank).await;
    assert_eq!(bank.deny(&auth_req_id).await.status, 204);
    in_time(teller.call()).await;
    let mut admin = nodes.redis.admin().await;
    let parcels: Vec<Vec<u8>> =
        redis::cmd("ZRANGE").arg("cs:outbox").arg(0).arg(-1).query_async(&mut admin).await.expect("it runs");
    assert_eq!(parcels.len(), 1);
    for secret in [auth_req_id.as_str(), TOKEN, "till-10", "auth_req_id", "client_id"] {
        assert!(!parcels[0].windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
    let left: i64 = redis::cmd("PTTL").arg("cs:outbox").query_async(&mut admin).await.expect("it runs");
    assert!(left > 0, "{left}");
}

#[tokio::test]
async fn what_is_under_another_key_is_left_to_who_has_it_and_what_is_no_parcel_goes() {
    let nodes = Arc::new(Nodes::new());
    let teller = endpoint(Says::Nothing).await;
    teller.then(response("204 No Content", "", ""));
    let (mortal, one) = Mortal::serving(&nodes, None, &teller.url).await;
    let other = |key: &str| {
        let (url, key) = (teller.url.clone(), pki().join(key).to_str().expect("UTF-8").to_owned());
        move |shipped: &str| {
            let ours = format!("sealing_key = \"{}\"", pki().join("pairwise.key").to_str().expect("UTF-8"));
            assert!(shipped.contains(&ours), "{shipped}");
            switched_on(&shipped.replace(&ours, &format!("sealing_key = \"{key}\"")), &url)
        }
    };
    let auth_req_id = asked(&one).await;
    assert_eq!(one.approve(&auth_req_id).await.status, 204);
    in_time(teller.call()).await;
    mortal.end();
    let runtime = Runtime::new().expect("a runtime");
    let seen = Seen::on(nodes.backend().await);
    let (theirs, behind, edit) = (nodes.clone(), seen.clone(), other("initial.tokens"));
    let opening = runtime.spawn(async move { theirs.node_on(behind, edit).await });
    let (mortal, bank) = (Mortal(Some(runtime)), opening.await.expect("it does not panic"));
    nodes.clock.advance(LEASE_IS_OVER);
    seen.looked_twice().await;
    assert_eq!(teller.knocks(), 1, "who cannot read it cannot send it");
    let next = asked(&bank).await;
    assert_eq!(bank.approve(&next).await.status, 204);
    assert!(in_time(teller.call()).await.text.contains(&next), "it goes on with its own");

    holds(&nodes, 1).await;
    mortal.end();
    let ours = nodes.node(&teller.url).await;
    let mut admin = nodes.redis.admin().await;
    redis::cmd("ZADD").arg("cs:outbox").arg(0).arg("none").exec_async(&mut admin).await.expect("it runs");
    nodes.clock.advance(LEASE_IS_OVER);
    let told = in_time(teller.call()).await;
    assert!(told.text.contains(&auth_req_id), "{}", told.text);
    is_settled(&nodes).await;
    till10(&ours).poll(&auth_req_id).await.ok();
}
