//! `/userinfo` (OpenID Connect Core §5.3, RFC 6750): a token is good in the header, over the connection it is bound to, and nowhere else.

use http::Method;
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use serde_json::json;

use crate::bank::{Bank, client};
use crate::heard::Heard;
use crate::token::payload;
use crate::tpp::altered;
use crate::wired::{till9, wired};

const NOWHERE: &str = "https://localhost:1/ping";

/// A bare call by who holds the certificate called `certificate`.
fn call(bank: &Bank, method: &Method, certificate: Option<&str>) -> RequestBuilder {
    client(certificate).request(method.clone(), format!("{}/userinfo", bank.issuer))
}

/// RFC 6750 §3, RFC 9449 §7.2: 401, and the schemes that would do; what is wrong with a token only where there was one.
async fn is_refused(request: RequestBuilder) {
    let heard = Heard::of(request).await;
    heard.refused(401, "invalid_token");
    let challenge = &heard.headers[WWW_AUTHENTICATE];
    let offered = "Bearer, DPoP algs=\"ES256 PS256 Ed25519\"";
    assert!(challenge == offered || challenge == "Bearer error=\"invalid_token\"", "{challenge:?}");
}

#[tokio::test]
async fn oidc_5_3_2_the_user_is_who_the_id_token_says() {
    let bank = wired(NOWHERE).await;
    let tokens = till9(&bank).tokens().await;
    let sub = payload(&tokens.text("id_token"))["sub"].clone();
    assert_eq!(sub, "alice-248289761001");
    for method in [Method::GET, Method::POST] {
        let heard = Heard::of(call(&bank, &method, Some("till8")).bearer_auth(tokens.text("access_token"))).await;
        assert_eq!(*heard.ok(), json!({ "sub": sub }));
    }
    let shouted = format!("BEARER  {}", tokens.text("access_token"));
    Heard::of(call(&bank, &Method::GET, Some("till8")).header(AUTHORIZATION, shouted)).await.ok();
}

#[tokio::test]
async fn mtls_3_2_a_token_is_good_with_its_own_certificate_alone() {
    let bank = wired(NOWHERE).await;
    let token = till9(&bank).tokens().await.text("access_token");
    for method in [Method::GET, Method::POST] {
        for other in [None, Some("till"), Some("bank"), Some("countersign")] {
            println!("{method} {other:?}");
            is_refused(call(&bank, &method, other).bearer_auth(&token)).await;
        }
    }
    till9(&bank).userinfo(&token).await.ok();
}

#[tokio::test]
async fn fapi1b_6_2_1_1_a_token_is_taken_from_the_header_alone() {
    let bank = wired(NOWHERE).await;
    let token = till9(&bank).tokens().await.text("access_token");
    for method in [Method::GET, Method::POST] {
        let bare = || call(&bank, &method, Some("till8"));
        is_refused(bare()).await;
        for header in [
            format!("Basic {token}"),
            token.clone(),
            format!("Bearer {token} {token}"),
            format!("Bearer {token},Bearer {token}"),
            format!("Bearer \"{token}\""),
            format!("Bearer {token}="),
            "Bearer".into(),
        ] {
            println!("{method} {header}");
            is_refused(bare().header(AUTHORIZATION, header)).await;
        }
        // In the URI it is not even looked for, and spoils a request that has it in the header.
        let in_the_uri = || altered(bare(), |to| to.url_mut().set_query(Some(&format!("access_token={token}"))));
        Heard::of(in_the_uri()).await.refused(400, "invalid_request");
        Heard::of(in_the_uri().bearer_auth(&token)).await.refused(400, "invalid_request");
    }
    let form = format!("access_token={token}");
    let posted = call(&bank, &Method::POST, Some("till8")).header("content-type", "application/x-www-form-urlencoded");
    is_refused(posted.body(form)).await;
    till9(&bank).userinfo(&token).await.ok();
}

#[tokio::test]
async fn fapi1b_6_2_1_2_a_token_is_good_until_it_expires() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let token = till.tokens().await.text("access_token");
    bank.clock.advance(299);
    till.userinfo(&token).await.ok();
    bank.clock.advance(1);
    is_refused(call(&bank, &Method::GET, Some("till8")).bearer_auth(&token)).await;
}

#[tokio::test]
async fn fapi1b_6_2_1_2_a_token_that_was_given_back_is_good_for_nothing() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let token = till.tokens().await.text("access_token");
    till.userinfo(&token).await.ok();
    assert_eq!(till.revoke(&token).await.status, 200);
    is_refused(call(&bank, &Method::POST, Some("till8")).bearer_auth(&token)).await;
}

#[tokio::test]
async fn fapi1b_6_2_1_2_nothing_else_is_good_as_an_access_token() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let auth_req_id = till.auth_req_id().await;
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    let tokens = till.tokens().await;
    let unknown = ["A".repeat(43), "A".repeat(42), "A".repeat(1025)];
    let others = [tokens.text("id_token"), tokens.text("refresh_token"), auth_req_id];
    for token in unknown.into_iter().chain(others) {
        println!("{token}");
        is_refused(call(&bank, &Method::GET, Some("till8")).bearer_auth(token)).await;
    }
}
