//! Two processes, one approval, and several who collect at once at both: one gets the tokens, every time.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::heard::Heard;
use crate::oracle::{Got, Oracle};
use crate::process::{Process, Webhook, redis};
use crate::till::Till;

const ROUNDS: usize = 1_000;
/// Rounds at once, each on a request of its own.
const LANES: usize = 8;
/// Who collects at once, half of them at each server.
const COLLECTORS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn of_many_collecting_at_once_from_two_processes_one_gets_the_tokens_a_thousand_times() {
    let redis = redis(&[]);
    let webhook = Webhook::open().await;
    let nodes = Arc::new([Process::start(redis.port, &webhook), Process::start(redis.port, &webhook)]);
    let till = Till::new();
    let lane = |lane: usize| {
        let (nodes, till) = (nodes.clone(), till.clone());
        async move {
            let mut got = Vec::new();
            for round in 0..ROUNDS / LANES {
                got.push(collected(&nodes, &till, lane + round).await);
            }
            got
        }
    };
    let got: Vec<Got> = (0..LANES).map(lane).collect::<JoinSet<_>>().join_all().await.concat();
    let oracle = Oracle::of(nodes.iter().map(Process::audit));
    assert_eq!((got.len(), oracle.count("approved"), oracle.count("issued")), (ROUNDS, ROUNDS, ROUNDS));
    assert!(oracle.holds(&got).is_empty(), "every token reached a till");
    for Got { access_token, .. } in got.iter().step_by(10) {
        assert_eq!(till.introspect(&nodes[1], access_token).await.ok()["active"], true);
    }
}

/// One round: asked at one server, approved at one, collected at both.
async fn collected(nodes: &[Process; 2], till: &Till, round: usize) -> Got {
    let auth_req_id = till.ask(&nodes[round % 2]).await.text("auth_req_id");
    assert_eq!(till.approve(&nodes[round / 2 % 2], &auth_req_id).await.status, 204);
    let start = Arc::new(Barrier::new(COLLECTORS));
    let polls = (0..COLLECTORS).map(|at| {
        let (poll, start) = (till.poll_http(&nodes[at % 2], &auth_req_id), start.clone());
        async move {
            start.wait().await;
            Heard::of(poll).await
        }
    });
    let heard = polls.collect::<JoinSet<_>>().join_all().await;
    assert_eq!(Heard::count(&heard, 200, None), 1, "{heard:#?}");
    assert_eq!(Heard::count(&heard, 400, Some("invalid_grant")), COLLECTORS - 1, "{heard:#?}");
    let winner = heard.iter().find(|one| one.status == 200).expect("counted");
    Got { access_token: winner.text("access_token"), auth_req_id }
}
