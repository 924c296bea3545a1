//! Tokens in a client's own name (RFC 6749 §4.4), where the profile has them: Open Banking UK.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign::http::serve::Limits;
use serde_json::{Value, json};

use crate::bank::{Bank, certificates, key};
use crate::registrant::{Registrant, by_certificate, refuses, with};
use crate::tpp::{CIBA, Call, Tpp};
use crate::wired::{in_the_uk, is_live, register, standing, switched_on, till9, wired};

const NOWHERE: &str = "https://localhost:1/ping";
const OWN: [&str; 2] = [CIBA, "client_credentials"];

/// Everything on under the rules of Open Banking UK; till 9 may have tokens in its own name, the others may not.
async fn uk() -> Bank {
    Bank::with(Limits::default(), |shipped| in_the_uk(&switched_on(shipped, NOWHERE))).await
}

#[tokio::test]
async fn oauth_4_4_client_a_token_in_its_own_name_is_the_clients_alone() {
    let bank = uk().await;
    let till = till9(&bank);
    let heard = till.own().await;
    let token = heard.text("access_token");
    assert_eq!(token.len(), 43);
    let told = json!({"access_token": token, "token_type": "Bearer", "expires_in": 300, "scope": "accounts"});
    assert_eq!(heard.ok(), &told, "no ID token and no refresh token: there is nobody to speak of");
    bank.clock.advance(40);
    let (iat, heard) = (bank.now() - 40, bank.accounts_api().introspect(&token).await);
    let x5t = heard.ok()["cnf"]["x5t#S256"].clone();
    assert_eq!(x5t.as_str().expect("a string").len(), 43);
    let told = json!({
        "active": true, "iss": bank.issuer, "aud": "accounts-api", "client_id": "till-9", "scope": "accounts",
        "token_type": "Bearer", "iat": iat, "exp": iat + 300, "cnf": {"x5t#S256": x5t},
    });
    assert_eq!(heard.body, told, "no sub, no auth_time");
    assert!(bank.phone.prompts().is_empty(), "nobody is asked");
}

#[tokio::test]
async fn oauth_4_4_client_one_that_is_not_registered_for_it_gets_nothing_in_its_own_name() {
    let bank = uk().await;
    let keys = || (key("accounts-api-es256.key"), key("accounts-api-es256.key"));
    let api = Tpp::new(&bank, "accounts-api", keys(), Some("till"));
    for client in [bank.tpp(), bank.other_tpp(), api] {
        println!("{}", client.client_id);
        client.own().await.refused(400, "unauthorized_client");
    }
    till9(&bank).own().await.ok();
}

#[tokio::test]
async fn oauth_4_the_shipped_profile_has_no_tokens_in_a_clients_own_name() {
    let bank = wired(NOWHERE).await;
    till9(&bank).own().await.refused(400, "unsupported_grant_type");
    refuses(&bank, "client_credentials", &with("grant_types", json!(OWN))).await;
}

#[tokio::test]
async fn dcr_7591_3_where_the_profile_has_them_a_client_can_register_for_them() {
    let bank = uk().await;
    let registrant = Registrant::of(&bank, &with("grant_types", json!(OWN))).await;
    registrant.tpp().own().await.ok();
    for bad in [json!(["client_credentials"]), json!([CIBA, "client_credentials", "implicit"])] {
        refuses(&bank, &bad, &with("grant_types", bad.clone())).await;
    }
}

#[tokio::test]
async fn mtls_2_2_1_a_client_that_authenticates_by_its_certificate_gets_one_too() {
    let bank = uk().await;
    let mut metadata = by_certificate("self_signed_tls_client_auth");
    let shown = certificates("till8");
    metadata["jwks"]["keys"][0]["x5c"] = json!([STANDARD.encode(shown.first().expect("it has one"))]);
    metadata["grant_types"] = json!(OWN);
    let registrant = Registrant::of(&bank, &metadata).await;
    let mut till = registrant.tpp();
    till.by_certificate = true;
    assert!(is_live(&bank, &till.own().await.text("access_token")).await);
    till.own_call(Call::bare).await.refused(401, "invalid_client");
}

#[tokio::test]
async fn meta_the_grant_is_published_where_there_is_one() {
    for (bank, grants) in [
        (uk().await, json!([CIBA, "refresh_token", "client_credentials"])),
        (wired(NOWHERE).await, json!([CIBA, "refresh_token"])),
    ] {
        let metadata =
            crate::heard::Heard::of(crate::bank::client(None).get(bank.url("/.well-known/openid-configuration"))).await;
        assert_eq!(metadata.published()["grant_types_supported"], grants);
    }
}

#[tokio::test]
async fn oauth_4_4_scope_what_it_does_not_say_is_all_that_it_may_have() {
    let bank = uk().await;
    let till = till9(&bank);
    assert_eq!(till.own_call(|call| call.and("scope", "accounts")).await.text("scope"), "accounts");
    assert_eq!(till.own().await.text("scope"), "accounts", "it is registered for openid and payments too");
    let mut metadata = with("grant_types", json!(OWN));
    metadata["scope"] = json!("openid payments");
    let registrant = Registrant::of(&bank, &metadata).await;
    registrant.tpp().own().await.refused(400, "invalid_scope");
}

#[tokio::test]
async fn oauth_4_4_scope_more_than_it_may_have_in_its_own_name_is_refused() {
    let bank = uk().await;
    let till = till9(&bank);
    for scope in [
        "openid",
        "openid accounts",
        "payments",
        "accounts payments",
        "accounts accounts",
        " accounts",
        "accounts ",
        "Accounts",
        "é",
    ] {
        println!("{scope}");
        till.own_call(|call| call.and("scope", scope)).await.refused(400, "invalid_scope");
    }
    let mut metadata = with("grant_types", json!(OWN));
    metadata["scope"] = json!("openid payments");
    let registrant = Registrant::of(&bank, &metadata).await;
    registrant.tpp().own_call(|call| call.and("scope", "accounts")).await.refused(400, "invalid_scope");
}

#[tokio::test]
async fn fapi1a_5_2_2_5_a_clients_own_token_is_bound_to_its_certificate() {
    let bank = uk().await;
    let till = till9(&bank);
    till.own_call(Call::bare).await.refused(400, "invalid_request");
    let thumbprint = async |token: &str| bank.accounts_api().introspect(token).await.ok()["cnf"].clone();
    let of_a_users = till.tokens().await.text("access_token");
    let own = till.own().await.text("access_token");
    assert_eq!(thumbprint(&own).await, thumbprint(&of_a_users).await, "both were fetched over the same certificate");
}

#[tokio::test]
async fn oidc_5_3_1_a_clients_own_token_says_of_nobody_who_they_are() {
    let bank = uk().await;
    let till = till9(&bank);
    let own = till.own().await.text("access_token");
    let heard = till.userinfo(&own).await;
    heard.refused(403, "insufficient_scope");
    assert_eq!(heard.headers["www-authenticate"], "Bearer error=\"insufficient_scope\", scope=\"openid\"");
    till.userinfo(&till.tokens().await.text("access_token")).await.ok();
    bank.other_tpp().userinfo(&own).await.refused(403, "insufficient_scope");
    let stranger = bank.tpp();
    stranger.userinfo(&own).await.refused(401, "invalid_token");
}

#[tokio::test]
async fn oauth_4_4_client_nobody_gets_one_anonymously_or_twice_for_one_assertion() {
    let bank = uk().await;
    let till = till9(&bank);
    let anonymous = |call: Call| call.drop("client_assertion").drop("client_assertion_type").and("client_id", "till-9");
    till.own_call(anonymous).await.refused(401, "invalid_client");
    let forged = |call: Call| call.assertion(|assertion| assertion.signed_by(key("till-es256.key")));
    till.own_call(forged).await.refused(401, "invalid_client");
    for jti in ["good", "refused"] {
        let same = |call: Call| call.assertion(|assertion| assertion.with("jti", jti));
        let first =
            till.own_call(|call| if jti == "good" { same(call) } else { same(call).and("scope", "openid") }).await;
        assert_eq!(first.status == 200, jti == "good");
        till.own_call(same).await.refused(401, "invalid_client");
    }
}

#[tokio::test]
async fn oauth_1_nothing_is_said_twice_in_it() {
    let bank = uk().await;
    for name in ["grant_type", "scope"] {
        println!("{name}");
        till9(&bank).own_call(|call| call.and("scope", "accounts").twice(name)).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn rev_a_clients_own_token_ends_when_it_is_given_back_expires_or_loses_its_client() {
    let bank = uk().await;
    let (till, registrant) = (till9(&bank), Registrant::of(&bank, &with("grant_types", json!(OWN))).await);
    let (back, late, orphan) = (
        till.own().await.text("access_token"),
        till.own().await.text("access_token"),
        registrant.tpp().own().await.text("access_token"),
    );
    bank.other_tpp().revoke(&back).await;
    assert!(is_live(&bank, &back).await, "another client's");
    assert_eq!(till.revoke(&back).await.status, 200);
    assert!(!is_live(&bank, &back).await);
    assert!(is_live(&bank, &orphan).await);
    assert_eq!(registrant.delete().await.status, 204);
    assert!(!is_live(&bank, &orphan).await);
    bank.clock.advance(299);
    assert!(is_live(&bank, &late).await);
    bank.clock.advance(1);
    assert!(!is_live(&bank, &late).await);
}

#[tokio::test]
async fn a_user_who_is_locked_is_nothing_to_a_clients_own_token() {
    let bank = uk().await;
    let own = till9(&bank).own().await.text("access_token");
    for sub in ["alice-248289761001", "till-9", ""] {
        standing(&bank, sub, "locked").await;
    }
    assert!(is_live(&bank, &own).await);
}

#[tokio::test]
async fn oauth_4_4_client_it_is_no_refresh_token_and_no_grant() {
    let bank = uk().await;
    let till = till9(&bank);
    let own = till.own().await.text("access_token");
    till.refresh(&own).await.refused(400, "invalid_grant");
    till.poll(&own).await.refused(400, "invalid_grant");
    assert!(is_live(&bank, &own).await);
}

#[tokio::test]
async fn dcr_7592_4_a_client_that_gives_the_grant_up_gets_no_more() {
    let bank = uk().await;
    let metadata = with("grant_types", json!(OWN));
    let heard = register(&bank, &metadata, None).await;
    let registrant = Registrant::new(&bank, &heard);
    registrant.tpp().own().await.ok();
    let without: Value = with("grant_types", json!([CIBA]));
    registrant.replace(&registrant.named(&without)).await.ok();
    registrant.tpp().own().await.refused(400, "unauthorized_client");
}
