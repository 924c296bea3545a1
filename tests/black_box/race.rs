//! Several at once. The store of these tests lets nobody change a record until everybody has seen it, so that each race is run in earnest.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use countersign::http::serve::Limits;
use countersign::secret::Seeded;
use countersign::store::backend::{Backend, Family, Key, Outcome, Step, Unavailable};
use countersign::store::memory::Memory;
use serde_json::json;
use tokio::sync::Barrier;

use crate::bank::{Bank, client};
use crate::heard::Heard;

/// A memory in which runners meet after each look at a record.
struct Meeting {
    memory: Memory,
    rounds: Mutex<VecDeque<(Family, Arc<Barrier>, usize)>>,
}

impl Meeting {
    /// The next `runners` looks at records of `family` wait for each other; then the looks of those who lost, one fewer each time.
    fn gather(&self, family: Family, runners: usize) {
        let rounds = (1..=runners).rev().map(|left| (family, Arc::new(Barrier::new(left)), left));
        *self.rounds.lock().unwrap_or_else(PoisonError::into_inner) = rounds.collect();
    }

    fn round(&self, family: Family) -> Option<Arc<Barrier>> {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, barrier, left) = rounds.front_mut().filter(|(gathered, ..)| *gathered == family)?;
        *left -= 1;
        let (barrier, full) = (barrier.clone(), *left == 0);
        if full {
            rounds.pop_front();
        }
        Some(barrier)
    }
}

#[async_trait]
impl Backend for Meeting {
    async fn run(&self, steps: Vec<Step>) -> Result<Vec<Outcome>, Unavailable> {
        let looks = steps.iter().filter_map(|step| if let Step::Load(key) = step { Some(key.family) } else { None });
        let barrier = looks.into_iter().find_map(|family| self.round(family));
        let outcomes = self.memory.run(steps).await;
        if let Some(barrier) = barrier {
            barrier.wait().await;
        }
        outcomes
    }

    async fn each(&self, family: Family, see: &mut (dyn FnMut(Key, Vec<u8>) + Send)) -> Result<(), Unavailable> {
        self.memory.each(family, see).await
    }
}

/// A bank whose server has such a memory.
async fn open() -> (Bank, Arc<Meeting>) {
    let mut meeting = None;
    let bank = Bank::of(Limits::default(), str::to_owned, |config, clock| {
        let memory = Memory::new(10_000, clock.clone());
        let backend = meeting.insert(Arc::new(Meeting { memory, rounds: Mutex::default() })).clone();
        config.server_on(backend, (clock, Arc::new(Seeded::default())))
    })
    .await;
    (bank, meeting.expect("made"))
}

#[tokio::test]
async fn ciba_8_3_of_many_decisions_at_once_one_is_taken() {
    let (bank, meeting) = open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    let (http, url) = (client(Some("bank")), format!("https://localhost:{}/decision", bank.internal.port()));
    let decisions = (0..32).map(|at| {
        let decision = if at % 2 == 0 { "approve" } else { "deny" };
        let body = json!({"auth_req_id": auth_req_id, "decision": decision, "sub": "alice-248289761001"}).to_string();
        http.post(&url).header("content-type", "application/json").body(body)
    });
    meeting.gather(Family::Grant, 32);
    let heard = Heard::all(decisions.collect()).await;
    assert_eq!(Heard::count(&heard, 204, None), 1, "{heard:#?}");
    assert_eq!(Heard::count(&heard, 409, Some("already_settled")), 31, "{heard:#?}");
}

#[tokio::test]
async fn ciba_10_1_5_of_sixteen_polls_at_once_one_is_in_time() {
    let (bank, meeting) = open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    meeting.gather(Family::Slower, 16);
    let heard = Heard::all((0..16).map(|_| till.poll_http(&auth_req_id, |_| ())).collect()).await;
    assert_eq!(Heard::count(&heard, 400, Some("authorization_pending")), 1, "{heard:#?}");
    assert_eq!(Heard::count(&heard, 400, Some("slow_down")), 15, "{heard:#?}");
}

#[tokio::test]
async fn conf_4_no_poll_is_answered_with_503_however_many_there_are() {
    let (bank, meeting) = open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    meeting.gather(Family::Slower, 40);
    let heard = Heard::all((0..40).map(|_| till.poll_http(&auth_req_id, |_| ())).collect()).await;
    assert_eq!(Heard::count(&heard, 400, Some("authorization_pending")), 1, "{heard:#?}");
    assert_eq!(Heard::count(&heard, 400, Some("slow_down")), 39, "{heard:#?}");
}

#[tokio::test]
async fn ciba_10_1_9_of_sixty_four_collecting_at_once_one_gets_the_tokens() {
    let (bank, meeting) = open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    meeting.gather(Family::Grant, 64);
    let heard = Heard::all((0..64).map(|_| till.poll_http(&auth_req_id, |_| ())).collect()).await;
    assert_eq!(Heard::count(&heard, 200, None), 1, "{heard:#?}");
    assert_eq!(Heard::count(&heard, 400, Some("invalid_grant")), 63, "{heard:#?}");
    let winner = heard.iter().find(|one| one.status == 200).expect("counted");
    assert_eq!(bank.accounts_api().introspect(&winner.text("access_token")).await.ok()["active"], true);
}
