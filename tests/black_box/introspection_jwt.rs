//! `/introspect` for those who want it in writing (RFC 9701): the answer as a signed JWT that is good for nothing else.

use countersign::jose::alg::Alg;
use countersign::jose::jwk::KeySet;
use countersign::jose::jws::Compact;
use countersign::jose::keyring::SigningKey;
use countersign::wire::bank::Identified;
use josekit::jws::JwsSigner;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};

use crate::bank::{Bank, key, pki};
use crate::heard::Heard;
use crate::redemption::jwks;
use crate::token::{Draft, header, payload};
use crate::tpp::Tpp;
use crate::wired::{till9, wired};

const NOWHERE: &str = "https://localhost:1/ping";
const SIGNED: &str = "application/token-introspection+jwt";

/// The JWT in which `api` hears about `token`.
async fn written(api: &Tpp<'_>, token: &str) -> String {
    let asked = api
        .introspect_http(token, |request| drop(request.headers_mut().insert(ACCEPT, SIGNED.parse().expect("ASCII"))));
    let response = asked.send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], SIGNED);
    assert_eq!(response.headers()["cache-control"], "no-store");
    response.text().await.expect("a body")
}

/// What the server signs with.
fn own_keys() -> Vec<SigningKey> {
    let files = std::fs::read_dir(pki().join("keys")).expect("a folder");
    files.map(|file| key(file.expect("readable").path().to_str().expect("UTF-8"))).collect()
}

/// What it says, once a published key has vouched for it.
async fn verified(bank: &Bank, jwt: &str) -> Value {
    let published = jwks(bank).await;
    let keys = KeySet::parse(published.to_string().as_bytes()).expect("public keys");
    let head = header(jwt);
    assert_eq!(head, json!({"alg": "PS256", "kid": head["kid"], "typ": "token-introspection+jwt"}));
    assert!(published["keys"].as_array().expect("keys").iter().any(|key| key["kid"] == head["kid"]));
    Compact::parse(jwt, 8192).expect("well-formed").verify(&keys, Alg::Ps256).expect("signed by a published key");
    payload(jwt)
}

#[tokio::test]
async fn intro_9701_1_a_live_token_is_told_in_writing_as_it_is_told_in_json() {
    let bank = wired(NOWHERE).await;
    let token = till9(&bank).tokens().await.text("access_token");
    bank.clock.advance(10);
    let api = bank.accounts_api();
    let told = api.introspect(&token).await;
    assert_eq!(told.ok()["active"], true);
    let said = json!({"iss": bank.issuer, "aud": "accounts-api", "iat": bank.now(), "token_introspection": told.body});
    assert_eq!(verified(&bank, &written(&api, &token).await).await, said);
}

#[tokio::test]
async fn intro_9701_1_a_token_that_is_not_live_is_inactive_in_writing_too() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let tokens = till.tokens().await;
    let foreign = tokens.text("access_token");
    let revoked = till.tokens().await.text("access_token");
    assert_eq!(till.revoke(&revoked).await.status, 200);
    let cases = [
        (bank.accounts_api(), "x".to_owned()),
        (bank.accounts_api(), revoked),
        (bank.accounts_api(), tokens.text("refresh_token")),
        (bank.payments_api(), foreign),
    ];
    for (api, token) in cases {
        let inactive = json!({"iss": bank.issuer, "aud": api.client_id, "iat": bank.now(), "token_introspection": {"active": false}});
        assert_eq!(verified(&bank, &written(&api, &token).await).await, inactive);
    }
}

#[tokio::test]
async fn intro_9701_1_only_who_asks_for_it_gets_it_in_writing() {
    let bank = wired(NOWHERE).await;
    let token = till9(&bank).tokens().await.text("access_token");
    let api = bank.accounts_api();
    let json: [fn(reqwest::RequestBuilder) -> reqwest::RequestBuilder; 8] = [
        |request| request,
        |request| request.header(ACCEPT, "*/*"),
        |request| request.header(ACCEPT, "application/*"),
        |request| request.header(ACCEPT, "application/json"),
        |request| request.header(ACCEPT, "application/jwt"),
        |request| request.header(ACCEPT, "application/token-introspection+jwt2"),
        |request| request.header(ACCEPT, "application/token-introspection+jwt;q=0"),
        |request| request.header(ACCEPT, "application/token-introspection+jwt; Q=0.0, application/json"),
    ];
    for (at, accept) in json.into_iter().enumerate() {
        println!("{at}");
        let heard = api.introspect_call(&token, |call| call.edit(accept)).await;
        assert_eq!(heard.ok()["active"], true);
    }
    for accept in
        ["Application/Token-Introspection+JWT", "application/json;q=0.5, application/token-introspection+jwt;q=1"]
    {
        let asked = api.introspect_http(&token, |request| {
            drop(request.headers_mut().insert(ACCEPT, accept.parse().expect("ASCII")));
        });
        assert_eq!(asked.send().await.expect("an answer").headers()["content-type"], SIGNED, "{accept}");
    }
}

#[tokio::test]
async fn intro_9701_1_a_refusal_is_said_in_json_whatever_was_asked_for() {
    let bank = wired(NOWHERE).await;
    let token = till9(&bank).tokens().await.text("access_token");
    let asking: fn(reqwest::RequestBuilder) -> reqwest::RequestBuilder = |request| request.header(ACCEPT, SIGNED);
    let api = bank.accounts_api();
    bank.tpp().introspect_call(&token, |call| call.edit(asking)).await.refused(400, "unauthorized_client");
    api.introspect_call("", |call| call.edit(asking)).await.refused(400, "invalid_request");
    let late = api.introspect_call(&token, |call| call.edit(asking).assertion(|assertion| assertion.with("exp", 1)));
    late.await.refused(401, "invalid_client");
}

#[tokio::test]
async fn intro_9701_2_what_was_said_in_writing_is_no_token() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let tokens = till.tokens().await;
    let api = bank.accounts_api();
    let jwt = written(&api, &tokens.text("access_token")).await;
    let prompts = bank.phone.prompts();
    for (name, client) in [("id_token_hint", &till), ("id_token_hint", &bank.tpp()), ("login_hint_token", &till)] {
        let hinting = client.backchannel(|request| request.without("login_hint").with(name, jwt.clone()));
        hinting.await.refused(400, "invalid_request");
    }
    assert_eq!(bank.phone.prompts(), prompts);
    till.userinfo(&jwt).await.refused(401, "invalid_token");
    till.refresh(&jwt).await.refused(400, "invalid_grant");
    let heard: Heard = api.introspect(&jwt).await;
    assert_eq!(heard.ok(), &json!({"active": false}));
    let assertion = api.introspect_call("x", |call| call.set("client_assertion", &jwt));
    assertion.await.refused(401, "invalid_client");
}

/// What this server signs is a hint only as an ID token, though it said all that an ID token says.
#[tokio::test]
async fn ciba_7_1_22_of_what_this_server_signed_an_id_token_alone_is_an_id_token_hint() {
    let bank = wired(NOWHERE).await;
    bank.phone.knows("alice-248289761001", Identified::Known { sub: "alice-248289761001".into() });
    let till = till9(&bank);
    let claims = payload(&till.tokens().await.text("id_token"));
    let kid = jwks(&bank).await["keys"][0]["kid"].clone();
    let own = own_keys().into_iter().find(|key| kid == key.key_id().expect("it has one")).expect("it is published");
    let hinting = async |typ: Option<&str>| {
        let draft = Draft::new(claims.clone(), own.clone());
        let hint = typ.into_iter().fold(draft, |draft, typ| draft.header("typ", typ)).finish();
        till.backchannel(|request| request.without("login_hint").with("id_token_hint", hint)).await
    };
    for typ in [None, Some("token-introspection+jwt"), Some("at+jwt"), Some("logout+jwt")] {
        println!("{typ:?}");
        hinting(typ).await.refused(400, "invalid_request");
    }
    hinting(Some("JWT")).await.ok();
}

#[tokio::test]
async fn intro_2_7_a_refresh_token_is_nothing_to_an_api() {
    let bank = wired(NOWHERE).await;
    let refresh_token = till9(&bank).tokens().await.text("refresh_token");
    let api = bank.accounts_api();
    for hint in ["", "refresh_token"] {
        let heard = api.introspect_call(&refresh_token, |call| call.and("token_type_hint", hint)).await;
        assert_eq!((heard.status, heard.text.as_str()), (200, r#"{"active":false}"#));
    }
    till9(&bank).refresh(&refresh_token).await.ok();
}
