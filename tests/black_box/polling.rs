//! `/token` while there is nothing to collect: pending, too fast, expired, denied (CIBA §11).

use crate::bank::Bank;
use crate::tpp::Tpp;

/// Polls after each of `waits` seconds, and hears `error` each time.
async fn polls(bank: &Bank, (till, auth_req_id): (&Tpp<'_>, &str), steps: &[(i64, &str)]) {
    for (at, (wait, error)) in steps.iter().enumerate() {
        println!("poll {at}, after {wait} s");
        bank.clock.advance(*wait);
        till.poll(auth_req_id).await.refused(400, error);
    }
}

const PENDING: &str = "authorization_pending";
const SLOW_DOWN: &str = "slow_down";

#[tokio::test]
async fn ciba_11_1_no_decision_yet_and_the_first_poll_is_free() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    polls(&bank, (&till, &auth_req_id), &[(0, PENDING), (5, PENDING), (5, PENDING)]).await;
}

#[tokio::test]
async fn ciba_11_2_a_poll_that_comes_too_soon_hears_slow_down() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    for (wait, error) in [(0, SLOW_DOWN), (1, SLOW_DOWN), (3, SLOW_DOWN), (4, PENDING), (5, PENDING)] {
        let auth_req_id = till.auth_req_id().await;
        polls(&bank, (&till, &auth_req_id), &[(0, PENDING), (wait, error)]).await;
    }
}

#[tokio::test]
async fn ciba_11_2_each_slow_down_adds_five_seconds_for_good() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    let to_ten = [(0, PENDING), (3, SLOW_DOWN), (8, SLOW_DOWN)];
    polls(&bank, (&till, &auth_req_id), &to_ten).await;
    // 15 s from here on, one of which is forgiven.
    polls(&bank, (&till, &auth_req_id), &[(14, PENDING), (15, PENDING), (13, SLOW_DOWN)]).await;
    polls(&bank, (&till, &auth_req_id), &[(18, SLOW_DOWN)]).await;
}

#[tokio::test]
async fn ciba_11_2_an_obedient_client_recovers() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    polls(&bank, (&till, &auth_req_id), &[(0, PENDING), (1, SLOW_DOWN), (10, PENDING), (10, PENDING)]).await;
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    bank.clock.advance(10);
    till.poll(&auth_req_id).await.ok();
}

#[tokio::test]
async fn ciba_11_2_each_request_has_a_pace_of_its_own() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let (one, other) = (till.auth_req_id().await, till.auth_req_id().await);
    polls(&bank, (&till, &one), &[(0, PENDING), (0, SLOW_DOWN)]).await;
    polls(&bank, (&till, &other), &[(0, PENDING)]).await;
}

#[tokio::test]
async fn ciba_11_twenty_quick_polls_are_400_each_and_harm_nothing() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    polls(&bank, (&till, &auth_req_id), &[(0, PENDING)]).await;
    polls(&bank, (&till, &auth_req_id), &[(0, SLOW_DOWN); 19]).await;
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    till.poll(&auth_req_id).await.ok();
}

#[tokio::test]
async fn ciba_11_once_decided_the_pace_no_longer_matters() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let (approved, denied) = (till.auth_req_id().await, till.auth_req_id().await);
    for auth_req_id in [&approved, &denied] {
        polls(&bank, (&till, auth_req_id), &[(0, PENDING), (0, SLOW_DOWN)]).await;
    }
    assert_eq!((bank.approve(&approved).await.status, bank.deny(&denied).await.status), (204, 204));
    till.poll(&approved).await.ok();
    till.poll(&denied).await.refused(400, "access_denied");
}

#[tokio::test]
async fn ciba_11_3_a_request_expires_to_the_second() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.backchannel(|request| request.with("requested_expiry", 10)).await.text("auth_req_id");
    polls(&bank, (&till, &auth_req_id), &[(9, PENDING), (1, "expired_token")]).await;
    polls(&bank, (&till, &auth_req_id), &[(0, "expired_token"), (1, "expired_token"), (60, "expired_token")]).await;
}

#[tokio::test]
async fn ciba_11_3_an_approval_that_was_not_collected_expires_too() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    polls(&bank, (&till, &auth_req_id), &[(120, "expired_token"), (1, "expired_token")]).await;
}

#[tokio::test]
async fn ciba_11_3_an_approval_can_be_collected_until_the_last_second() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    bank.clock.advance(119);
    till.poll(&auth_req_id).await.ok();
}

#[tokio::test]
async fn ciba_11_3_and_4_expiry_and_denial_are_remembered_for_ten_minutes() {
    let bank = Bank::open().await;
    let till = bank.other_tpp();
    let (expired, denied) = (till.auth_req_id().await, till.auth_req_id().await);
    assert_eq!(bank.deny(&denied).await.status, 204);
    bank.clock.advance(120 + 599);
    // What is swept is swept when something new is put beside it: enough new requests reach every shelf.
    for _ in 0..64 {
        till.auth_req_id().await;
    }
    polls(&bank, (&till, &expired), &[(0, "expired_token")]).await;
    polls(&bank, (&till, &denied), &[(0, "access_denied")]).await;
}

#[tokio::test]
async fn ciba_11_4_a_denial_is_told_each_time_and_after_expiry() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    assert_eq!(bank.deny(&auth_req_id).await.status, 204);
    polls(&bank, (&till, &auth_req_id), &[(0, "access_denied"); 3]).await;
    polls(&bank, (&till, &auth_req_id), &[(119, "access_denied"), (1, "access_denied"), (60, "access_denied")]).await;
}
