//! When a request object is good (CIBA §7.1.1, FAPI-CIBA-ID1 §5.2.2, FAPI 1.0 part 2 §5.2.2): never early, never late, never for long.

use serde_json::{Value, json};

use crate::bank::Bank;
use crate::token::Draft;
use crate::trial::Trial;

/// The object, good from `nbf` to `exp`.
fn from_to(nbf: i64, exp: i64) -> impl Fn(Draft) -> Draft {
    move |r| r.with("nbf", nbf).with("exp", exp)
}

/// What is neither a time nor a number that could be one.
fn no_times() -> Vec<Value> {
    let numbers = [json!(-1), json!(-0.5), json!(1e300), json!(i64::MAX), json!(u64::MAX), json!(1_u64 << 53)];
    let others = [json!("1"), json!(null), json!(true), json!([1]), json!({"at": 1}), json!("")];
    [numbers, others].concat()
}

#[tokio::test]
async fn ciba_7_1_1_9_an_expired_request_object_is_refused() {
    let bank = Bank::open().await;
    let (trial, now) = (Trial::of(&bank), bank.now());
    trial.accepts_requests("exp", [json!(now + 1)]).await;
    trial.refuses_request("no exp", |r| r.without("exp")).await;
    for exp in [now, now - 1, now - 300] {
        trial.refuses_request(format!("good until {exp}"), from_to(now - 600, exp)).await;
    }
    trial.refuses_requests("exp", [json!(now - 3600), json!(0), json!((now + 60).to_string())]).await;
    trial.refuses_requests("exp", no_times()).await;
}

#[tokio::test]
async fn ciba_7_1_1_9_a_request_object_ends_with_its_exp() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let (one, two) = (trial.tpp.request(), trial.tpp.request());
    bank.clock.advance(299);
    trial.accepts_request("one second before", |_| one.clone()).await;
    bank.clock.advance(1);
    trial.refuses_request("at that second", |_| two.clone()).await;
}

#[tokio::test]
async fn fapiciba_5_2_2_9_a_request_object_lives_for_60_minutes_at_most() {
    let bank = Bank::open().await;
    let (trial, now) = (Trial::of(&bank), bank.now());
    trial.accepts_request("60 min from now", from_to(now, now + 3600)).await;
    trial.accepts_request("60 min around now", from_to(now - 1800, now + 1800)).await;
    trial.accepts_request("one second", from_to(now, now + 1)).await;
    trial.refuses_request("60 min and a second", from_to(now, now + 3601)).await;
    trial.refuses_request("70 min", from_to(now, now + 4200)).await;
    trial.refuses_request("60 min and a second around now", from_to(now - 1800, now + 1801)).await;
    trial.refuses_request("70 min to 5 min from now", from_to(now - 4200, now + 300)).await;
    trial.refuses_request("for ever", from_to(now, (1 << 53) - 1)).await;
}

#[tokio::test]
async fn fapiciba_5_2_2_9_a_request_object_that_ends_before_it_begins_is_refused() {
    let bank = Bank::open().await;
    let (trial, now) = (Trial::of(&bank), bank.now());
    trial.accepts_request("begins and ends soon", from_to(now + 20, now + 21)).await;
    trial.refuses_request("ends as it begins", from_to(now + 20, now + 20)).await;
    trial.refuses_request("ends before it begins", from_to(now + 20, now + 10)).await;
    trial.refuses_request("10 min to 5 min ahead", from_to(now + 600, now + 300)).await;
}

#[tokio::test]
async fn ciba_7_1_1_11_an_nbf_is_there_and_at_most_30_seconds_ahead() {
    let bank = Bank::open().await;
    let (trial, now) = (Trial::of(&bank), bank.now());
    trial.accepts_requests("nbf", [json!(now + 8), json!(now + 30)]).await;
    trial.refuses_request("no nbf", |r| r.without("nbf")).await;
    trial.refuses_requests("nbf", [json!(now + 31), json!(now + 70)]).await;
    trial.refuses_request("10 min ahead", from_to(now + 600, now + 900)).await;
    trial.refuses_requests("nbf", no_times()).await;
}

#[tokio::test]
async fn fapi1a_5_2_2_17_an_nbf_is_at_most_60_minutes_past() {
    let bank = Bank::open().await;
    let (trial, now) = (Trial::of(&bank), bank.now());
    trial.accepts_request("3599 s, the most that a living object can be", from_to(now - 3599, now + 1)).await;
    trial.refuses_request("3600 s", from_to(now - 3600, now + 1)).await;
    trial.refuses_request("3601 s", from_to(now - 3601, now + 1)).await;
    trial.refuses_request("70 min", from_to(now - 4200, now + 300)).await;
    trial.refuses_request("ever", from_to(0, now + 1)).await;
}

/// With 60 minutes for both, the longest lifetime leaves the age nothing to refuse; a tighter age shows.
#[tokio::test]
async fn fapi1a_5_2_2_17_a_tighter_age_is_kept_to_the_second() {
    let bank = Bank::under("oldest = 3600", "oldest = 600").await;
    let (trial, now) = (Trial::of(&bank), bank.now());
    trial.accepts_request("600 s", from_to(now - 600, now + 300)).await;
    trial.refuses_request("601 s", from_to(now - 601, now + 300)).await;
}

#[tokio::test]
async fn ciba_7_1_1_10_an_iat_is_there_and_at_most_30_seconds_ahead() {
    let bank = Bank::open().await;
    let (trial, now) = (Trial::of(&bank), bank.now());
    trial.accepts_requests("iat", [json!(now + 30), json!(now - 60)]).await;
    trial.refuses_request("no iat", |r| r.without("iat")).await;
    trial.refuses_requests("iat", [json!(now + 31), json!(now + 600), json!((1_u64 << 53) - 1)]).await;
    trial.refuses_requests("iat", no_times()).await;
}
