//! A decision of which nobody says whether it was carried out: the bank is told that it was, once that is known, and a client is told once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use countersign::http::serve::Limits;
use countersign::secret::Seeded;
use countersign::store::backend::{Backend, Family, Key, Outcome, Step, Unavailable};
use countersign::store::memory::Memory;

use crate::bank::Bank;

/// A memory that does not say what became of some decisions, which it carries out or does not.
struct Vague {
    memory: Memory,
    left: AtomicUsize,
    carried_out: bool,
}

#[async_trait]
impl Backend for Vague {
    async fn run(&self, steps: Vec<Step>) -> Result<Vec<Outcome>, Unavailable> {
        let decides = steps.iter().any(|step| matches!(step, Step::Swap(key, ..) if key.family == Family::Grant));
        let fewer = |left: usize| left.checked_sub(1);
        if !decides || self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_err() {
            return self.memory.run(steps).await;
        }
        if self.carried_out {
            self.memory.run(steps).await?;
        }
        Err(Unavailable("nobody knows"))
    }

    async fn each(&self, family: Family, see: &mut (dyn FnMut(Key, Vec<u8>) + Send)) -> Result<(), Unavailable> {
        self.memory.each(family, see).await
    }
}

async fn open(left: usize, carried_out: bool) -> Bank {
    Bank::of(Limits::default(), str::to_owned, |config, clock| {
        let memory = Memory::new(10_000, clock.clone());
        let backend = Arc::new(Vague { memory, left: AtomicUsize::new(left), carried_out });
        config.server_on(backend, (clock, Arc::new(Seeded::default())))
    })
    .await
}

#[tokio::test]
async fn ciba_8_3_a_decision_of_which_nothing_was_heard_once_or_twice_is_taken() {
    for (left, carried_out) in [(1, true), (2, true), (1, false), (2, false)] {
        let bank = open(left, carried_out).await;
        let till = bank.tpp();
        let auth_req_id = till.auth_req_id().await;
        assert_eq!(bank.approve(&auth_req_id).await.status, 204, "{left} {carried_out}");
        bank.deny(&auth_req_id).await.refused(409, "already_settled");
        till.poll(&auth_req_id).await.ok();
    }
}

#[tokio::test]
async fn ciba_8_3_a_decision_that_was_never_heard_of_stands_if_it_was_carried_out() {
    for carried_out in [true, false] {
        let bank = open(3, carried_out).await;
        let till = bank.tpp();
        let auth_req_id = till.auth_req_id().await;
        bank.deny(&auth_req_id).await.refused(503, "temporarily_unavailable");
        let again = bank.approve(&auth_req_id).await;
        if carried_out {
            again.refused(409, "already_settled");
            till.poll(&auth_req_id).await.refused(400, "access_denied");
        } else {
            assert_eq!(again.status, 204);
            till.poll(&auth_req_id).await.ok();
        }
    }
}
