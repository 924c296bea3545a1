//! A redemption whose outcome nobody knows: it was carried out, or it was not, and Redis did not say. The till gets its tokens once, or none are live
//! that anybody has.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use countersign::store::backend::{Backend, Family, Key, Outcome, Step, Unavailable};
use futures_util::future::join;
use tokio::sync::Barrier;

use crate::bank::Bank;
use crate::drawn::Drawn;
use crate::node::{NOWHERE, Nodes, in_time};
use crate::wired::{is_live, switched_on, till9};

/// A backend that does not say what became of some redemptions.
struct Vague {
    backend: Arc<dyn Backend>,
    /// How many more.
    left: AtomicUsize,
    /// Whether they are carried out.
    carried_out: bool,
    /// Who waits for the first of them, and whom the first of them waits for.
    meeting: Mutex<Option<Arc<Barrier>>>,
}

impl Vague {
    fn meeting(&self) -> Option<Arc<Barrier>> {
        self.meeting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait]
impl Backend for Vague {
    async fn run(&self, steps: Vec<Step>) -> Result<Vec<Outcome>, Unavailable> {
        let redeems =
            steps.iter().any(|step| matches!(step, Step::Insert(key, _) if key.family == Family::AccessToken))
                && steps.iter().any(|step| matches!(step, Step::Swap(key, ..) if key.family == Family::Grant));
        let fewer = |left: usize| left.checked_sub(1);
        if !redeems || self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_err() {
            return self.backend.run(steps).await;
        }
        if self.carried_out {
            self.backend.run(steps).await?;
        }
        if let Some(meeting) = self.meeting() {
            meeting.wait().await;
            meeting.wait().await;
        }
        Err(Unavailable("nobody knows"))
    }

    async fn each(&self, family: Family, see: &mut (dyn FnMut(Key, Vec<u8>) + Send)) -> Result<(), Unavailable> {
        self.backend.each(family, see).await
    }
}

/// What is shared, a server that is told nothing of so many redemptions, and one that is told everything.
struct World {
    nodes: Nodes,
    chance: Arc<Drawn>,
    vague: Bank,
    clear: Bank,
    meeting: Arc<Barrier>,
}

impl World {
    async fn of(times: usize, carried_out: bool, meet: bool) -> Self {
        let chance = Arc::<Drawn>::default();
        let nodes = Nodes::drawing(chance.clone());
        let (backend, left, meeting) = (nodes.backend().await, AtomicUsize::new(times), Arc::new(Barrier::new(2)));
        let met = Mutex::new(meet.then(|| meeting.clone()));
        let backend = Arc::new(Vague { backend, left, carried_out, meeting: met });
        let vague = nodes.node_on(backend, |shipped| switched_on(shipped, NOWHERE)).await;
        let clear = nodes.node(NOWHERE).await;
        Self { nodes, chance, vague, clear, meeting }
    }

    /// A request of till 9 that alice approved.
    async fn approved(&self) -> String {
        let auth_req_id = till9(&self.clear).auth_req_id().await;
        assert_eq!(self.clear.approve(&auth_req_id).await.status, 204);
        self.chance.since();
        auth_req_id
    }

    /// Whether `access` is live, and nothing else that was drawn since the approval is.
    async fn lives_alone(&self, access: &str) {
        self.nodes.clock.advance(2);
        for token in self.chance.since() {
            assert_eq!(is_live(&self.clear, &token).await, token == access);
        }
    }
}

#[tokio::test]
async fn a_redemption_of_which_nothing_is_heard_once_or_twice_gives_tokens_once() {
    for carried_out in [true, false] {
        for times in [1, 2] {
            let world = World::of(times, carried_out, false).await;
            let auth_req_id = world.approved().await;
            let tokens = till9(&world.vague).poll(&auth_req_id).await;
            world.lives_alone(&tokens.text("access_token")).await;
            till9(&world.clear).refresh(&tokens.text("refresh_token")).await.ok();
            for bank in [&world.vague, &world.clear] {
                till9(bank).poll(&auth_req_id).await.refused(400, "invalid_grant");
            }
        }
    }
}

#[tokio::test]
async fn a_redemption_that_was_not_carried_out_is_there_for_the_next_poll() {
    let world = World::of(3, false, false).await;
    let auth_req_id = world.approved().await;
    till9(&world.vague).poll(&auth_req_id).await.refused(503, "temporarily_unavailable");
    let tokens = till9(&world.vague).poll(&auth_req_id).await;
    world.lives_alone(&tokens.text("access_token")).await;
    till9(&world.clear).poll(&auth_req_id).await.refused(400, "invalid_grant");
}

/// The one way in which an approval is spent for nobody.
#[tokio::test]
async fn a_redemption_that_was_carried_out_and_never_heard_of_is_spent() {
    let world = World::of(3, true, false).await;
    let auth_req_id = world.approved().await;
    till9(&world.vague).poll(&auth_req_id).await.refused(503, "temporarily_unavailable");
    for bank in [&world.vague, &world.clear] {
        till9(bank).poll(&auth_req_id).await.refused(400, "invalid_grant");
    }
}

#[tokio::test]
async fn when_another_was_faster_meanwhile_there_is_nothing_and_nothing_live() {
    let world = World::of(1, false, true).await;
    let auth_req_id = world.approved().await;
    let (slow, fast) = (till9(&world.vague), till9(&world.clear));
    let winning = async {
        world.meeting.wait().await;
        let tokens = fast.poll(&auth_req_id).await;
        world.meeting.wait().await;
        tokens
    };
    let (lost, tokens) = in_time(join(slow.poll(&auth_req_id), winning)).await;
    lost.refused(400, "invalid_grant");
    world.lives_alone(&tokens.text("access_token")).await;
    fast.refresh(&tokens.text("refresh_token")).await.ok();
}

#[tokio::test]
async fn when_it_was_carried_out_the_other_was_not_faster() {
    let world = World::of(1, true, true).await;
    let auth_req_id = world.approved().await;
    let (first, second) = (till9(&world.vague), till9(&world.clear));
    let losing = async {
        world.meeting.wait().await;
        let heard = second.poll(&auth_req_id).await;
        world.meeting.wait().await;
        heard
    };
    let (tokens, lost) = in_time(join(first.poll(&auth_req_id), losing)).await;
    lost.refused(400, "invalid_grant");
    world.lives_alone(&tokens.text("access_token")).await;
}
