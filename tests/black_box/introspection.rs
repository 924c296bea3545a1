//! `/introspect`: what an API learns about a token (RFC 7662).

use http::Method;
use reqwest::header::ALLOW;
use serde_json::json;

use crate::bank::Bank;
use crate::heard::Heard;
use crate::tpp::Tpp;

const INACTIVE: &str = r#"{"active":false}"#;

/// Asks, and hears 200 `{"active":false}` and not a byte more.
async fn inactive(api: &Tpp<'_>, token: &str) {
    let heard = api.introspect(token).await;
    heard.ok();
    assert_eq!(heard.text, INACTIVE);
}

/// A till's access token for `scope`.
async fn token(bank: &Bank, scope: &str) -> String {
    let till = bank.tpp();
    let auth_req_id = till.backchannel(|request| request.with("scope", scope)).await.text("auth_req_id");
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    till.poll(&auth_req_id).await.text("access_token")
}

#[tokio::test]
async fn intro_2_4_a_live_token_is_told_in_full() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    let auth_time = bank.now();
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    bank.clock.advance(20);
    let (iat, token) = (bank.now(), till.poll(&auth_req_id).await.text("access_token"));
    bank.clock.advance(40);
    let heard = bank.accounts_api().introspect(&token).await;
    let x5t = heard.ok()["cnf"]["x5t#S256"].clone();
    assert_eq!(x5t.as_str().expect("a string").len(), 43);
    let told = json!({
        "active": true, "iss": bank.issuer, "aud": "accounts-api", "client_id": "till-7", "sub": "alice-248289761001", "scope": "accounts",
        "token_type": "Bearer", "iat": iat, "exp": iat + 300, "auth_time": auth_time, "cnf": {"x5t#S256": x5t},
    });
    assert_eq!(heard.body, told);
}

#[tokio::test]
async fn intro_2_6_an_api_sees_the_scopes_that_concern_it() {
    let bank = Bank::open().await;
    let token = token(&bank, "openid payments accounts").await;
    for (api, scope, aud) in
        [(bank.accounts_api(), "accounts", "accounts-api"), (bank.payments_api(), "payments", "payments-api")]
    {
        let heard = api.introspect(&token).await;
        assert_eq!((&heard.ok()["scope"], &heard.body["aud"]), (&json!(scope), &json!(aud)));
    }
}

#[tokio::test]
async fn intro_2_6_an_api_sees_no_token_that_does_not_concern_it() {
    let bank = Bank::open().await;
    inactive(&bank.payments_api(), &token(&bank, "openid accounts").await).await;
    inactive(&bank.accounts_api(), &token(&bank, "openid payments").await).await;
    inactive(&bank.accounts_api(), &token(&bank, "openid").await).await;
}

#[tokio::test]
async fn intro_2_3_an_unknown_token_is_inactive() {
    let bank = Bank::open().await;
    let known = token(&bank, "openid accounts").await;
    let api = bank.accounts_api();
    for unknown in
        ["A".repeat(43), "x".into(), known[..42].into(), format!("{known}A"), known.to_uppercase(), "é".into()]
    {
        println!("{unknown}");
        inactive(&api, &unknown).await;
    }
    assert_eq!(api.introspect(&known).await.ok()["active"], true);
}

#[tokio::test]
async fn intro_2_3_a_token_expires_to_the_second() {
    let bank = Bank::open().await;
    let token = token(&bank, "openid accounts").await;
    let api = bank.accounts_api();
    bank.clock.advance(299);
    assert_eq!(api.introspect(&token).await.ok()["active"], true);
    bank.clock.advance(1);
    inactive(&api, &token).await;
}

#[tokio::test]
async fn intro_2_7_an_auth_req_id_is_no_token() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let (pending, approved) = (till.auth_req_id().await, till.auth_req_id().await);
    assert_eq!(bank.approve(&approved).await.status, 204);
    for auth_req_id in [&pending, &approved] {
        inactive(&bank.accounts_api(), auth_req_id).await;
    }
    till.poll(&approved).await.ok();
    inactive(&bank.accounts_api(), &approved).await;
}

#[tokio::test]
async fn at_9068_8_an_id_token_is_no_access_token() {
    let bank = Bank::open().await;
    let id_token = bank.tpp().tokens().await.text("id_token");
    inactive(&bank.accounts_api(), &id_token).await;
}

#[tokio::test]
async fn intro_2_1_a_token_is_needed() {
    let bank = Bank::open().await;
    bank.accounts_api().introspect_call("", |call| call.drop("token")).await.refused(400, "invalid_request");
    bank.accounts_api().introspect("").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn intro_2_1_a_token_has_at_most_8_kib() {
    let bank = Bank::open().await;
    inactive(&bank.accounts_api(), &"A".repeat(8 * 1024)).await;
    bank.accounts_api().introspect(&"A".repeat(8 * 1024 + 1)).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn intro_2_1_a_wrong_hint_costs_nothing() {
    let bank = Bank::open().await;
    let token = token(&bank, "openid accounts").await;
    for hint in ["access_token", "refresh_token", "x", ""] {
        let heard = bank.accounts_api().introspect_call(&token, |call| call.and("token_type_hint", hint)).await;
        assert_eq!(heard.ok()["active"], true, "{hint}");
    }
}

#[tokio::test]
async fn intro_2_2_only_an_api_may_ask() {
    let bank = Bank::open().await;
    let token = token(&bank, "openid accounts").await;
    for client in [bank.tpp(), bank.other_tpp()] {
        client.introspect(&token).await.refused(400, "unauthorized_client");
        client.introspect("x").await.refused(400, "unauthorized_client");
    }
}

#[tokio::test]
async fn intro_2_2_nobody_asks_anonymously() {
    let bank = Bank::open().await;
    let token = token(&bank, "openid accounts").await;
    let api = bank.accounts_api();
    let anonymous = api.introspect_call(&token, |call| {
        call.drop("client_assertion").drop("client_assertion_type").and("client_id", "accounts-api")
    });
    anonymous.await.refused(401, "invalid_client");
}

#[tokio::test]
async fn intro_2_1_only_post_is_answered() {
    let bank = Bank::open().await;
    let api = bank.accounts_api();
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let heard = Heard::of(api.introspect_http("x", |request| *request.method_mut() = method)).await;
        heard.refused(405, "invalid_request");
        assert_eq!(heard.headers[ALLOW], "POST");
    }
    let with_query = api.introspect_http("x", |request| request.url_mut().set_query(Some("token=x")));
    Heard::of(with_query).await.refused(400, "invalid_request");
    api.introspect_call("x", |call| call.and("token", "y")).await.refused(400, "invalid_request");
}
