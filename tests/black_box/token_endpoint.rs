//! `/token`: what a request has to look like (CIBA §10.1, RFC 6749 §5.2). What it finds, polling.rs and redemption.rs show.

use http::{HeaderValue, Method};
use reqwest::header::{ALLOW, CONTENT_TYPE};

use crate::bank::{Bank, key};
use crate::heard::Heard;
use crate::tpp::{CIBA, Tpp};

#[tokio::test]
async fn ciba_10_1_1_a_grant_type_is_needed() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    till.poll_call(&auth_req_id, |call| call.drop("grant_type")).await.refused(400, "invalid_request");
    till.poll_call(&auth_req_id, |call| call.set("grant_type", "")).await.refused(400, "invalid_request");
    till.poll(&auth_req_id).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn oauth_4_no_other_grant_is_offered() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    let upper = CIBA.to_uppercase();
    for grant_type in [
        "authorization_code",
        "client_credentials",
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "ciba",
        upper.as_str(),
        "urn:openid:params:grant-type:ciba ",
    ] {
        println!("{grant_type}");
        let heard = till.poll_call(&auth_req_id, |call| call.set("grant_type", grant_type)).await;
        heard.refused(400, "unsupported_grant_type");
    }
    till.poll(&auth_req_id).await.ok();
}

#[tokio::test]
async fn ciba_10_1_1_an_auth_req_id_is_needed() {
    let bank = Bank::open().await;
    bank.tpp().poll_call("", |call| call.drop("auth_req_id")).await.refused(400, "invalid_request");
    bank.tpp().poll("").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn ciba_11_5_what_was_never_issued_is_not_valid() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let ours = till.auth_req_id().await;
    let beside = |last: char| format!("{}{last}", &ours[..42]);
    for id in [
        "A".repeat(43),
        ours[..42].to_owned(),
        format!("{ours}A"),
        "A".repeat(30_000),
        "x".to_owned(),
        beside('!'),
        beside('='),
        beside(' '),
        beside('.'),
        format!("{}é", &ours[..41]),
        ours.to_uppercase(),
    ] {
        println!("{id}");
        till.poll(&id).await.refused(400, "invalid_grant");
    }
    till.poll(&ours).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn ciba_4r_9_a_resource_server_gets_no_tokens() {
    let bank = Bank::open().await;
    let auth_req_id = bank.tpp().auth_req_id().await;
    let keys = (key("accounts-api-es256.key"), key("accounts-api-es256.key"));
    let api = Tpp::new(&bank, "accounts-api", keys, Some("till"));
    api.poll(&auth_req_id).await.refused(400, "unauthorized_client");
    bank.tpp().poll(&auth_req_id).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn ciba_10_1_2_nobody_polls_anonymously() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    till.poll_call(&auth_req_id, |call| call.drop("client_assertion")).await.refused(401, "invalid_client");
    let anonymous = till.poll_call(&auth_req_id, |call| {
        call.drop("client_assertion").drop("client_assertion_type").and("client_id", "till-7")
    });
    anonymous.await.refused(401, "invalid_client");
    till.poll(&auth_req_id).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn rfc6749_3_2_only_a_posted_form_is_answered() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let heard = Heard::of(till.poll_http(&auth_req_id, |request| *request.method_mut() = method)).await;
        heard.refused(405, "invalid_request");
        assert_eq!(heard.headers[ALLOW], "POST");
    }
    let json = HeaderValue::from_static("application/json");
    let typed = till.poll_http(&auth_req_id, |request| drop(request.headers_mut().insert(CONTENT_TYPE, json)));
    Heard::of(typed).await.refused(400, "invalid_request");
    let with_query = till.poll_http(&auth_req_id, |request| request.url_mut().set_query(Some("auth_req_id=x")));
    Heard::of(with_query).await.refused(400, "invalid_request");
    let doubled = till.poll_call(&auth_req_id, |call| call.and("auth_req_id", &auth_req_id)).await;
    doubled.refused(400, "invalid_request");
    let large = till.poll_call(&auth_req_id, |call| call.and("note", &"x".repeat(64 * 1024))).await;
    large.refused(413, "invalid_request");
    till.poll(&auth_req_id).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn rfc6749_3_2_an_unknown_parameter_is_ignored() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    till.poll_call(&auth_req_id, |call| call.and("foo", "bar")).await.refused(400, "authorization_pending");
}
