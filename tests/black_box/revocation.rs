//! `/revoke` (RFC 7009): what a client gives back ends at once, and nobody else's does.

use reqwest::header::AUTHORIZATION;

use crate::bank::{Bank, key};
use crate::heard::Heard;
use crate::tpp::{Call, Tpp, altered};
use crate::wired::{is_live, till9, wired};

const NOWHERE: &str = "https://localhost:1/ping";

/// RFC 7009 §2.2: 200, and nothing more is said.
#[track_caller]
fn is_done(heard: &Heard) {
    assert_eq!((heard.status, heard.text.as_str()), (200, ""), "{heard:#?}");
    assert_eq!(heard.headers["cache-control"], "no-store");
}

/// An access token that was just given back is dead to the API and to this server.
async fn is_dead(bank: &Bank, till: &Tpp<'_>, token: &str) {
    assert!(!is_live(bank, token).await);
    till.userinfo(token).await.refused(401, "invalid_token");
}

#[tokio::test]
async fn rev_2_4_with_a_refresh_token_end_the_access_tokens_that_came_of_it() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let (tokens, others) = (till.tokens().await, till.tokens().await);
    let refresh_token = tokens.text("refresh_token");
    let mut ended = vec![tokens.text("access_token")];
    for scope in ["", "openid accounts"] {
        let heard = till.refresh_call(&refresh_token, |call| call.and("scope", scope)).await;
        ended.push(heard.text("access_token"));
    }
    for token in &ended {
        assert!(is_live(&bank, token).await);
    }
    is_done(&till.revoke(&refresh_token).await);
    for token in &ended {
        is_dead(&bank, &till, token).await;
    }
    till.refresh(&refresh_token).await.refused(400, "invalid_grant");
    // What the same user gave the same client another time is another matter.
    assert!(is_live(&bank, &others.text("access_token")).await);
    till.refresh(&others.text("refresh_token")).await.ok();
}

#[tokio::test]
async fn rev_2_5_an_access_token_ends_alone() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let tokens = till.tokens().await;
    let refresh_token = tokens.text("refresh_token");
    let second = till.refresh(&refresh_token).await.text("access_token");
    is_done(&till.revoke(&tokens.text("access_token")).await);
    is_dead(&bank, &till, &tokens.text("access_token")).await;
    assert!(is_live(&bank, &second).await);
    is_done(&till.revoke(&second).await);
    is_dead(&bank, &till, &second).await;
    assert!(is_live(&bank, &till.refresh(&refresh_token).await.text("access_token")).await);
}

#[tokio::test]
async fn rev_2_5_a_client_without_refresh_tokens_gives_its_access_token_back() {
    let bank = wired(NOWHERE).await;
    let till = bank.tpp();
    let access_token = till.tokens().await.text("access_token");
    // It takes no certificate to give up a token that cannot be used without one.
    is_done(&till.revoke_call(&access_token, Call::bare).await);
    is_dead(&bank, &till, &access_token).await;
}

#[tokio::test]
async fn rev_2_2_a_token_of_another_client_lives_on_and_nothing_tells_it_from_an_unknown_one() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let tokens = till.tokens().await;
    let (access_token, refresh_token) = (tokens.text("access_token"), tokens.text("refresh_token"));
    for client in [bank.tpp(), bank.other_tpp(), bank.accounts_api()] {
        for token in [&access_token, &refresh_token] {
            is_done(&client.revoke(token).await);
        }
    }
    assert!(is_live(&bank, &access_token).await);
    till.userinfo(&access_token).await.ok();
    till.refresh(&refresh_token).await.ok();
}

#[tokio::test]
async fn rev_2_3_what_is_no_token_is_as_good_as_revoked() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let auth_req_id = till.auth_req_id().await;
    let tokens = till.tokens().await;
    let (access_token, refresh_token) = (tokens.text("access_token"), tokens.text("refresh_token"));
    for token in [
        "A".repeat(43),
        "x".into(),
        "é\u{0}".into(),
        "{}".into(),
        access_token[..42].into(),
        format!("{refresh_token}A"),
        refresh_token.to_uppercase(),
        tokens.text("id_token"),
        auth_req_id.clone(),
    ] {
        println!("{token}");
        if token.contains('\u{0}') {
            // Not even text.
            till.revoke(&token).await.refused(400, "invalid_request");
        } else {
            is_done(&till.revoke(&token).await);
        }
    }
    assert!(is_live(&bank, &access_token).await);
    till.refresh(&refresh_token).await.ok();
    till.poll(&auth_req_id).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn rev_2_3_what_was_given_back_or_has_expired_can_be_given_back_again() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let tokens = till.tokens().await;
    bank.clock.advance(300);
    for token in [tokens.text("access_token"), tokens.text("refresh_token")] {
        is_done(&till.revoke(&token).await);
        is_done(&till.revoke(&token).await);
    }
    till.refresh(&tokens.text("refresh_token")).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn rev_2_6_a_wrong_hint_costs_nothing() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    for hint in ["access_token", "refresh_token", "urn:x", ""] {
        println!("{hint}");
        let tokens = till.tokens().await;
        let (access_token, refresh_token) = (tokens.text("access_token"), tokens.text("refresh_token"));
        is_done(&till.revoke_call(&access_token, |call| call.and("token_type_hint", hint)).await);
        assert!(!is_live(&bank, &access_token).await);
        is_done(&till.revoke_call(&refresh_token, |call| call.and("token_type_hint", hint)).await);
        till.refresh(&refresh_token).await.refused(400, "invalid_grant");
    }
}

#[tokio::test]
async fn rev_2_1_a_token_is_needed_and_has_at_most_8_kib() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    till.revoke_call("", |call| call.drop("token")).await.refused(400, "invalid_request");
    till.revoke("").await.refused(400, "invalid_request");
    is_done(&till.revoke(&"A".repeat(8 * 1024)).await);
    till.revoke(&"A".repeat(8 * 1024 + 1)).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn rev_2_1_nothing_is_said_twice_or_elsewhere() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let token = till.tokens().await.text("refresh_token");
    for name in ["token", "token_type_hint", "client_assertion"] {
        println!("{name}");
        let doubled = till.revoke_call(&token, |call| call.and("token_type_hint", "refresh_token").twice(name));
        doubled.await.refused(400, "invalid_request");
    }
    let two = till.revoke_call(&token, |call| call.and("token", "x"));
    two.await.refused(400, "invalid_request");
    let in_the_uri = till
        .revoke_call(&token, |call| call.edit(|request| altered(request, |to| to.url_mut().set_query(Some("a=b")))));
    in_the_uri.await.refused(400, "invalid_request");
    let json = till.revoke_call(&token, |call| {
        call.edit(|request| {
            altered(request, |to| {
                drop(to.headers_mut().insert("content-type", "application/json".parse().expect("ASCII")));
            })
        })
    });
    json.await.refused(400, "invalid_request");
    till.refresh(&token).await.ok();
}

#[tokio::test]
async fn rev_2_1_nobody_revokes_anonymously() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let token = till.tokens().await.text("refresh_token");
    let named = |call: Call| call.drop("client_assertion").drop("client_assertion_type").and("client_id", "till-9");
    let bearing = |call: Call| named(call).edit(|request| request.header(AUTHORIZATION, "Bearer x"));
    let forged = |call: Call| call.assertion(|assertion| assertion.signed_by(key("till-es256.key")));
    let late = |call: Call| call.assertion(|assertion| assertion.with("exp", 1));
    let as_another = |call: Call| call.and("client_id", "till-8");
    let breaking: [&dyn Fn(Call) -> Call; 5] = [&named, &bearing, &forged, &late, &as_another];
    for (at, change) in breaking.into_iter().enumerate() {
        println!("{at}");
        till.revoke_call(&token, change).await.refused(401, "invalid_client");
    }
    till.refresh(&token).await.ok();
}
