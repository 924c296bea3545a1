//! [`Sales`]: tills that ask, a bank that approves and tills that collect, over and over and at all servers, whatever becomes of Redis meanwhile.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::heard::Heard;
use crate::node::{in_time, until};
use crate::oracle::{Got, Oracle, digest};
use crate::process::{Process, Webhook};
use crate::till::Till;

/// How many are under way at once.
const LANES: usize = 6;

/// How long who was refused with 503 waits, in place of the five seconds that it is told to.
const SOON: Duration = Duration::from_millis(50);

/// Two servers and what is sold through them.
pub(crate) struct Sales {
    pub(crate) till: Till,
    pub(crate) nodes: Arc<[Process; 2]>,
    _webhook: Webhook,
    done: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    closing: Arc<AtomicBool>,
    lanes: JoinSet<Vec<Sale>>,
}

/// What became of a request: tokens, or, after an answer that told nothing, the news that it is spent.
enum Sale {
    Made(Got),
    Lost(String),
}

/// What came of all of it.
#[derive(Debug)]
pub(crate) struct Takings {
    pub(crate) made: usize,
    /// Requests that were spent for tokens that nobody got. Each was collected once without an answer that told anything.
    pub(crate) lost: usize,
    /// How often somebody was told to come back.
    pub(crate) refused: usize,
}

impl Sales {
    /// Opens at two servers on the Redis behind `port`.
    pub(crate) async fn open(port: u16) -> Self {
        let webhook = Webhook::open().await;
        let nodes = Arc::new([Process::start(port, &webhook), Process::start(port, &webhook)]);
        let (till, done, refused, closing) = (Till::new(), Arc::default(), Arc::default(), Arc::default());
        let mut sales = Self { till, nodes, _webhook: webhook, done, refused, closing, lanes: JoinSet::new() };
        for lane in 0..LANES {
            let counter = sales.counter();
            let (closing, done) = (sales.closing.clone(), sales.done.clone());
            sales.lanes.spawn(async move {
                let mut made = Vec::new();
                while !closing.load(Ordering::SeqCst) {
                    made.push(counter.sale(lane + made.len()).await);
                    done.fetch_add(1, Ordering::SeqCst);
                }
                made
            });
        }
        sales
    }

    fn counter(&self) -> Counter {
        Counter { till: self.till.clone(), nodes: self.nodes.clone(), refused: self.refused.clone() }
    }

    /// Waits until so many more are done.
    pub(crate) async fn go_on(&self, more: usize) {
        let enough = self.done.load(Ordering::SeqCst) + more;
        until(async || self.done.load(Ordering::SeqCst) >= enough).await;
    }

    /// Waits until so many more were told to come back.
    pub(crate) async fn falter(&self, more: usize) {
        let enough = self.refused.load(Ordering::SeqCst) + more;
        until(async || self.refused.load(Ordering::SeqCst) >= enough).await;
    }

    /// Waits until both servers are ready.
    pub(crate) async fn recover(&self) {
        for node in self.nodes.iter() {
            until(async || self.till.ready(node).await.status == 200).await;
        }
    }

    /// Lets what was begun come to its end, which it does, and holds it against what was recorded.
    pub(crate) async fn close(self) -> Takings {
        self.closing.store(true, Ordering::SeqCst);
        let (mut made, mut lost) = (Vec::new(), HashSet::new());
        for sale in in_time(self.lanes.join_all()).await.into_iter().flatten() {
            match sale {
                Sale::Made(got) => made.push(got),
                Sale::Lost(auth_req_id) => drop(lost.insert(digest(&auth_req_id))),
            }
        }
        let unreached = Oracle::of(self.nodes.iter().map(Process::audit)).holds(&made);
        assert!(unreached.is_subset(&lost), "spent for nobody, though the till always heard how it was: {unreached:?}");
        for (at, Got { access_token, .. }) in made.iter().enumerate() {
            let live = self.till.introspect(&self.nodes[at % 2], access_token).await;
            assert_eq!(live.ok()["active"], true, "a till has a token that is dead");
        }
        Takings { made: made.len(), lost: lost.len(), refused: self.refused.load(Ordering::SeqCst) }
    }
}

/// Where one sale after the other is made.
struct Counter {
    till: Till,
    nodes: Arc<[Process; 2]>,
    refused: Arc<AtomicUsize>,
}

impl Counter {
    /// One sale, each call at another server than the one before; whoever is told to come back does.
    async fn sale(&self, mut at: usize) -> Sale {
        let mut next = || {
            at += 1;
            &self.nodes[at % 2]
        };
        let auth_req_id = loop {
            let heard = self.till.ask(next()).await;
            if !self.come_back(&heard).await {
                break heard.text("auth_req_id");
            }
        };
        let early = self.till.poll(next(), &auth_req_id).await;
        if !self.come_back(&early).await {
            early.refused(400, "authorization_pending");
        }
        let mut unknown = false;
        loop {
            let heard = self.till.approve(next(), &auth_req_id).await;
            match heard.status {
                204 => break,
                // The bank's manual: after a lost answer, the first decision stands.
                409 if unknown => break,
                _ => assert!(self.come_back(&heard).await, "{heard:#?}"),
            }
            unknown = true;
        }
        let mut unknown = false;
        loop {
            let heard = self.till.poll(next(), &auth_req_id).await;
            match heard.status {
                200 => return Sale::Made(Got { access_token: heard.text("access_token"), auth_req_id }),
                400 if unknown => {
                    heard.refused(400, "invalid_grant");
                    return Sale::Lost(auth_req_id);
                }
                _ => assert!(self.come_back(&heard).await, "{heard:#?}"),
            }
            unknown = true;
        }
    }

    /// Whether somebody is told to come back. Of all answers of a server that are none, this is the only one.
    async fn come_back(&self, heard: &Heard) -> bool {
        if heard.status < 500 {
            return false;
        }
        heard.refused(503, "temporarily_unavailable");
        assert_eq!(heard.headers["retry-after"], "5");
        self.refused.fetch_add(1, Ordering::SeqCst);
        sleep(SOON).await;
        true
    }
}
