//! [`Nodes`]: servers of one issuer that go by one clock and share a Redis, or whatever memory a test gives them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use countersign::audit::Audit;
use countersign::clock::{Clock, Manual, System};
use countersign::http::serve::Limits;
use countersign::secret::{Entropy, Seeded};
use countersign::store::backend::Backend;
use countersign::store::redis::Redis;
use countersign::store::redis::place::{Place, Topology};
use tokio::time::{sleep, timeout};

use crate::bank::{Bank, pki};
use crate::server::RedisServer;
use crate::wired::switched_on;

/// An endpoint at which nobody listens.
pub(crate) const NOWHERE: &str = "https://localhost:1/ping";

/// What the servers share.
pub(crate) struct Nodes {
    pub(crate) clock: Arc<Manual>,
    pub(crate) redis: RedisServer,
    chance: Arc<dyn Entropy>,
    issuer: OnceLock<String>,
}

impl Nodes {
    /// A Redis with nothing in it.
    pub(crate) fn new() -> Self {
        Self::drawing(Arc::<Seeded>::default())
    }

    /// The same, where all that is drawn comes from `chance`.
    pub(crate) fn drawing(chance: Arc<dyn Entropy>) -> Self {
        let clock = Arc::new(Manual::at(System.now()));
        Self { clock, redis: RedisServer::with(&["--appendonly", "yes"]), chance, issuer: OnceLock::new() }
    }

    /// Where that Redis is, or what leads to it from `port`.
    pub(crate) fn place(port: u16) -> Place {
        let addresses = vec![("127.0.0.1".to_owned(), port)];
        Place { topology: Topology::Standalone, addresses, credentials: None, tls: None, prefix: "cs".into() }
    }

    /// That Redis, as one more server sees it.
    pub(crate) async fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(Redis::at(Self::place(self.redis.port), self.clock.clone(), false).await)
    }

    /// A server with everything on; till 10 is pinged at `endpoint`.
    pub(crate) async fn node(&self, endpoint: &str) -> Bank {
        self.node_on(self.backend().await, |shipped| switched_on(shipped, endpoint)).await
    }

    /// A server on `backend`, after `edit` had its way with the configuration.
    pub(crate) async fn node_on(&self, backend: Arc<dyn Backend>, edit: impl FnOnce(&str) -> String) -> Bank {
        self.node_with((backend, Audit::Log), edit).await
    }

    /// The same, with what happens recorded.
    pub(crate) async fn node_with(
        &self,
        (backend, audit): (Arc<dyn Backend>, Audit),
        edit: impl FnOnce(&str) -> String,
    ) -> Bank {
        let edit = |shipped: &str| edit(&self.of_one_issuer(&on_redis(shipped, self.redis.port)));
        let bank = Bank::at(self.clock.clone(), (Limits::default(), edit), |config, clock| {
            config.server_with(backend, (audit, Arc::default()), (clock, self.chance.clone()))
        })
        .await;
        self.issuer.get_or_init(|| bank.issuer.clone());
        bank
    }

    /// The first server names the issuer.
    fn of_one_issuer(&self, shipped: &str) -> String {
        let Some(issuer) = self.issuer.get() else { return shipped.to_owned() };
        let (before, rest) = shipped.split_once("issuer = \"").expect("it is there");
        let (_, after) = rest.split_once('"').expect("it ends");
        format!("{before}issuer = \"{issuer}\"{after}")
    }
}

/// The configuration with a Redis on `port` as its store.
pub(crate) fn on_redis(shipped: &str, port: u16) -> String {
    let memory = "kind = \"memory\"\ncapacity = 200000";
    let shipped = shipped.replace(
        "# Records of each kind. When full, new requests are refused with 503; nothing is forgotten to make room.\n",
        "",
    );
    assert!(shipped.contains(memory), "{shipped}");
    let key = pki().join("pairwise.key");
    let redis = format!(
        "kind = \"redis\"\ntopology = \"standalone\"\naddresses = [\"127.0.0.1:{port}\"]\nprefix = \"cs\"\nsealing_key = \"{}\"",
        key.to_str().expect("UTF-8")
    );
    shipped.replace(memory, &redis)
}

/// What should happen soon, with all the time a busy machine may need.
pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), what).await.expect("it comes to an end")
}

/// Waits until it is so.
pub(crate) async fn until(mut so: impl AsyncFnMut() -> bool) {
    in_time(async {
        while !so().await {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
