//! Refresh tokens (RFC 6749 §6): who gets one, what is good as one, and for how long.

use crate::bank::{Bank, key};
use crate::heard::Heard;
use crate::tpp::{CIBA, Call, Tpp};
use crate::wired::{and_another, is_live, till9, wired, wired_with};

const NOWHERE: &str = "https://localhost:1/ping";
/// As the profile ships.
const LIFETIME: i64 = 7_776_000;

/// Till 11, which refreshes as till 9 does.
fn till11(bank: &Bank) -> Tpp<'_> {
    Tpp::new(bank, "till-11", (key("till8.key"), key("till8.key")), Some("till8"))
}

#[tokio::test]
async fn rt_1_only_a_client_registered_for_it_gets_a_refresh_token() {
    let bank = wired(NOWHERE).await;
    let refresh_token = till9(&bank).tokens().await.text("refresh_token");
    assert_eq!(refresh_token.len(), 43);
    for till in [bank.tpp(), bank.other_tpp()] {
        assert_eq!(till.tokens().await.ok().get("refresh_token"), None, "{}", till.client_id);
    }
}

#[tokio::test]
async fn oauth_5_a_client_that_is_not_registered_for_it_refreshes_nothing() {
    let bank = wired(NOWHERE).await;
    let refresh_token = till9(&bank).tokens().await.text("refresh_token");
    let keys = || (key("accounts-api-es256.key"), key("accounts-api-es256.key"));
    let api = Tpp::new(&bank, "accounts-api", keys(), Some("till"));
    for client in [bank.tpp(), bank.other_tpp(), api] {
        println!("{}", client.client_id);
        for token in [refresh_token.as_str(), "x", ""] {
            client.refresh(token).await.refused(400, "unauthorized_client");
        }
    }
    till9(&bank).refresh(&refresh_token).await.ok();
}

#[tokio::test]
async fn oauth_6_token_a_refresh_token_is_needed() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    till.refresh_call("x", |call| call.drop("refresh_token")).await.refused(400, "invalid_request");
    till.refresh("").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn oauth_1_nothing_is_said_twice() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let refresh_token = till.tokens().await.text("refresh_token");
    for name in ["refresh_token", "grant_type", "scope"] {
        println!("{name}");
        let doubled = till.refresh_call(&refresh_token, |call| call.and("scope", "openid").twice(name));
        doubled.await.refused(400, "invalid_request");
    }
    till.refresh(&refresh_token).await.ok();
}

#[tokio::test]
async fn rt_1_nobody_refreshes_anonymously() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let refresh_token = till.tokens().await.text("refresh_token");
    let anonymous = |call: Call| call.drop("client_assertion").drop("client_assertion_type").and("client_id", "till-9");
    till.refresh_call(&refresh_token, anonymous).await.refused(401, "invalid_client");
    let forged = |call: Call| call.assertion(|assertion| assertion.signed_by(key("till-es256.key")));
    till.refresh_call(&refresh_token, forged).await.refused(401, "invalid_client");
}

#[tokio::test]
async fn rt_1_a_refresh_token_of_another_client_looks_like_one_that_was_never_issued() {
    let bank = wired_with(NOWHERE, |on| and_another(on, "till-11")).await;
    let (till, other) = (till9(&bank), till11(&bank));
    let refresh_token = till.tokens().await.text("refresh_token");
    let revoked = other.tokens().await.text("refresh_token");
    assert_eq!(other.revoke(&revoked).await.status, 200);
    let heard = other.refresh(&refresh_token).await;
    heard.refused(400, "invalid_grant");
    for unknown in ["A".repeat(43), "A".repeat(42), "A".repeat(44), format!("{refresh_token}A"), "é".into(), revoked] {
        println!("{unknown}");
        let unknown = other.refresh(&unknown).await;
        unknown.refused(400, "invalid_grant");
        assert_eq!(unknown.text, heard.text);
    }
    till.refresh(&refresh_token).await.ok();
}

#[tokio::test]
async fn rt_1_a_refresh_token_expires_to_the_second() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let refresh_token = till.tokens().await.text("refresh_token");
    bank.clock.advance(LIFETIME - 1);
    till.refresh(&refresh_token).await.ok();
    bank.clock.advance(1);
    till.refresh(&refresh_token).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn rt_4_refreshing_makes_a_refresh_token_live_no_longer() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let refresh_token = till.tokens().await.text("refresh_token");
    for _ in 0..4 {
        bank.clock.advance(LIFETIME / 4 - 1);
        till.refresh(&refresh_token).await.ok();
    }
    bank.clock.advance(4);
    till.refresh(&refresh_token).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn at_own_2_an_access_token_never_outlives_the_refresh_token() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let refresh_token = till.tokens().await.text("refresh_token");
    let ends = bank.now() + LIFETIME;
    bank.clock.advance(LIFETIME - 301);
    for left in [301, 300, 299] {
        let heard = till.refresh(&refresh_token).await;
        assert_eq!(heard.ok()["expires_in"], left.min(300), "{left}");
        let seen = bank.accounts_api().introspect(&heard.text("access_token")).await;
        assert_eq!(seen.ok()["exp"], ends.min(bank.now() + 300), "{left}");
        bank.clock.advance(1);
    }
    bank.clock.advance(297);
    let last = till.refresh(&refresh_token).await.text("access_token");
    assert!(is_live(&bank, &last).await);
    bank.clock.advance(1);
    assert!(!is_live(&bank, &last).await);
}

#[tokio::test]
async fn rt_1_nothing_else_is_good_as_a_refresh_token() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let (pending, approved) = (till.auth_req_id().await, till.auth_req_id().await);
    assert_eq!(bank.approve(&approved).await.status, 204);
    let tokens = till.tokens().await;
    let secrets = [tokens.text("access_token"), tokens.text("id_token"), pending, approved.clone()];
    for secret in secrets {
        till.refresh(&secret).await.refused(400, "invalid_grant");
    }
    till.poll(&approved).await.ok();
}

#[tokio::test]
async fn ciba_11_5_a_refresh_token_is_no_auth_req_id_and_the_grant_type_says_which_is_meant() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let auth_req_id = till.auth_req_id().await;
    let refresh_token = till.tokens().await.text("refresh_token");
    till.poll(&refresh_token).await.refused(400, "invalid_grant");
    let ciba = |call: Call| call.set("grant_type", CIBA);
    till.refresh_call(&refresh_token, ciba).await.refused(400, "invalid_request");
    let refreshing = |call: Call| call.set("grant_type", "refresh_token");
    till.poll_call(&auth_req_id, refreshing).await.refused(400, "invalid_request");
    for other in ["Refresh_token", "refresh_token ", "authorization_code"] {
        let call = till.refresh_call(&refresh_token, |call| call.set("grant_type", other));
        call.await.refused(400, "unsupported_grant_type");
    }
    let both = till.refresh_call(&refresh_token, |call| ciba(call).and("auth_req_id", &auth_req_id));
    both.await.refused(400, "authorization_pending");
    let both = till.poll_call(&auth_req_id, |call| refreshing(call).and("refresh_token", &refresh_token));
    assert_eq!(both.await.ok().get("refresh_token"), None);
}

#[tokio::test]
async fn fapi1a_5_2_2_5_without_a_certificate_nothing_is_told_and_nothing_is_lost() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let refresh_token = till.tokens().await.text("refresh_token");
    for token in [refresh_token.as_str(), "x"] {
        till.refresh_call(token, Call::bare).await.refused(400, "invalid_request");
    }
    till.refresh(&refresh_token).await.ok();
}

#[tokio::test]
async fn rt_1_an_approval_that_many_collect_at_once_gives_one_refresh_token() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let auth_req_id = till.auth_req_id().await;
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    let heard = Heard::all((0..16).map(|_| till.poll_http(&auth_req_id, |_| ())).collect()).await;
    assert_eq!(Heard::count(&heard, 200, None), 1, "{heard:#?}");
    assert_eq!(Heard::count(&heard, 400, Some("invalid_grant")), 15, "{heard:#?}");
    let won = heard.iter().find(|one| one.status == 200).expect("counted");
    till.refresh(&won.text("refresh_token")).await.ok();
}
