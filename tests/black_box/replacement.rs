//! A new set of metadata for a registered client (RFC 7592 §2.2): all of it, at once, and never more than it first had.

use serde_json::{Value, json};

use crate::bank::{Bank, key};
use crate::heard::Heard;
use crate::registrant::{Registrant, changed, fresh_key, jwks, with, without};
use crate::token::Draft;
use crate::wired::{metadata, register, wired};

const CIBA: &str = "urn:openid:params:grant-type:ciba";

async fn open() -> Bank {
    wired("https://localhost:1/ping").await
}

fn refreshing() -> Value {
    with("grant_types", json!([CIBA, "refresh_token"]))
}

async fn refuses(registrant: &Registrant<'_>, case: &str, metadata: &Value) {
    println!("{case}");
    let before = registrant.read().await;
    registrant.replace(metadata).await.refused(400, "invalid_client_metadata");
    assert_eq!(registrant.read().await.ok(), before.ok(), "{case}");
}

#[tokio::test]
async fn dcr_7592_6_a_replacement_is_the_whole_registration_from_now_on() {
    let bank = open().await;
    let created = register(&bank, &with("software_id", "pos-1"), None).await;
    let registrant = Registrant::new(&bank, &created);
    bank.clock.advance(60);
    let heard = registrant.replace(&with("client_name", "Renamed shop")).await;
    heard.ok();
    let replaced = Registrant::read_from(&bank, &heard);
    assert_eq!((&replaced.client_id, &replaced.token), (&registrant.client_id, &registrant.token));
    assert_eq!(heard.body["client_id_issued_at"], created.body["client_id_issued_at"]);
    assert_eq!(replaced.members["client_name"], "Renamed shop");
    assert!(replaced.members.get("software_id").is_none(), "what is left out is gone");
    assert_eq!(registrant.read().await.ok(), &heard.body);
    registrant.tpp().backchannel(|request| request).await.ok();
    assert_eq!(bank.phone.prompts().last().expect("one")["client_name"], "Renamed shop");
}

#[tokio::test]
async fn dcr_7592_6_a_replacement_names_its_own_client() {
    let bank = open().await;
    let (one, other) = (Registrant::of(&bank, &metadata()).await, Registrant::of(&bank, &metadata()).await);
    Heard::of(one.put(metadata().to_string())).await.refused(400, "invalid_client_metadata");
    for id in [json!(other.client_id), json!("till-7"), json!(""), json!(null), json!(1), json!([one.client_id])] {
        let named = with("client_id", id);
        Heard::of(one.put(named.to_string())).await.refused(400, "invalid_client_metadata");
    }
    for registrant in [one, other] {
        registrant.read().await.ok();
    }
}

#[tokio::test]
async fn dcr_7592_6_what_is_not_the_clients_to_say_is_refused_even_if_it_is_right() {
    let bank = open().await;
    let created = register(&bank, &metadata(), None).await;
    let registrant = Registrant::new(&bank, &created);
    let body = &created.body;
    for (member, right) in [
        ("registration_access_token", &body["registration_access_token"]),
        ("registration_client_uri", &body["registration_client_uri"]),
        ("client_id_issued_at", &body["client_id_issued_at"]),
        ("client_secret_expires_at", &json!(0)),
        ("client_secret", &json!("secret")),
    ] {
        refuses(&registrant, member, &with(member, right.clone())).await;
        refuses(&registrant, member, &with(member, json!(null))).await;
    }
}

#[tokio::test]
async fn dcr_7592_6_a_replacement_is_held_against_the_rules_as_the_registration_was() {
    let bank = open().await;
    let registrant = Registrant::of(&bank, &metadata()).await;
    for (member, value) in [
        ("backchannel_token_delivery_mode", json!("push")),
        ("backchannel_token_delivery_mode", json!("ping")),
        ("token_endpoint_auth_method", json!("none")),
        ("token_endpoint_auth_signing_alg", json!("none")),
        ("token_endpoint_auth_signing_alg", json!("RS256")),
        ("id_token_signed_response_alg", json!("none")),
        ("backchannel_authentication_request_signing_alg", json!("none")),
        ("client_name", json!("a\u{202e}b")),
        ("tls_client_certificate_bound_access_tokens", json!(false)),
        ("require_signed_request_object", json!(false)),
        ("jwks_uri", json!("https://till.example/jwks.json")),
        ("jwks", json!({"keys": []})),
        ("scope", json!("admin")),
        ("software_statement", json!("junk")),
        ("response_types", json!(["code"])),
        ("subject_type", json!("pairwise")),
    ] {
        let metadata = with(member, value.clone());
        println!("{member}: {value}");
        let heard = registrant.replace(&metadata).await;
        let unapproved = member == "software_statement";
        heard.refused(400, if unapproved { "unapproved_software_statement" } else { "invalid_client_metadata" });
    }
    for member in ["client_name", "jwks", "grant_types", "token_endpoint_auth_method", "id_token_signed_response_alg"] {
        refuses(&registrant, member, &without(member)).await;
    }
    registrant.tpp().tokens().await.ok();
}

#[tokio::test]
async fn dcr_7592_6_a_body_is_one_strict_json_object() {
    let bank = open().await;
    let registrant = Registrant::of(&bank, &metadata()).await;
    let fine = registrant.named(&metadata()).to_string();
    let doubled = fine.replacen('{', &format!("{{\"client_id\":\"{}\",", registrant.client_id), 1);
    for body in ["[]", "junk", &doubled, &format!("{fine}{fine}"), &format!("[{fine}]")] {
        Heard::of(registrant.put(body.to_owned())).await.refused(400, "invalid_client_metadata");
    }
    let form = registrant.call(http::Method::PUT, Some(&registrant.token)).header("content-type", "text/plain");
    Heard::of(form.body(fine.clone())).await.refused(400, "invalid_client_metadata");
    let padded = |length: usize| fine.clone() + &" ".repeat(length - fine.len());
    Heard::of(registrant.put(padded(64 * 1024 + 1))).await.refused(413, "invalid_request");
    Heard::of(registrant.put(padded(64 * 1024))).await.ok();
}

#[tokio::test]
async fn dcr_7592_7_a_client_never_has_more_than_it_first_had_and_may_have_it_back() {
    let bank = open().await;
    let registrant = Registrant::of(&bank, &with("scope", "openid accounts")).await;
    refuses(&registrant, "another scope", &with("scope", "openid accounts payments")).await;
    refuses(&registrant, "in place of one", &with("scope", "openid payments")).await;
    refuses(&registrant, "another grant", &refreshing()).await;
    let till = registrant.tpp();
    registrant.replace(&with("scope", "openid")).await.ok();
    till.backchannel(|request| request).await.refused(400, "invalid_scope");
    refuses(&registrant, "now less than ever", &with("scope", "openid payments")).await;
    registrant.replace(&with("scope", "accounts openid")).await.ok();
    till.backchannel(|request| request).await.ok();
    registrant.replace(&with("scope", "openid")).await.ok();
    let heard = registrant.replace(&metadata()).await;
    assert_eq!(heard.ok()["scope"], "openid accounts", "without a scope, it is that of the beginning");

    let registrant = Registrant::of(&bank, &refreshing()).await;
    registrant.replace(&metadata()).await.ok();
    registrant.replace(&refreshing()).await.ok();
    let till = registrant.tpp();
    let refresh_token = till.tokens().await.text("refresh_token");
    registrant.replace(&metadata()).await.ok();
    till.refresh(&refresh_token).await.refused(400, "unauthorized_client");
}

#[tokio::test]
async fn dcr_7592_6_a_narrower_scope_narrows_what_was_given_before() {
    let bank = open().await;
    let registrant = Registrant::of(&bank, &refreshing()).await;
    let till = registrant.tpp();
    let (approved, tokens) = (till.auth_req_id().await, till.tokens().await);
    assert_eq!(bank.approve(&approved).await.status, 204);
    let (access_token, refresh_token) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let narrowed = changed(|metadata| {
        *metadata = refreshing();
        metadata["scope"] = json!("openid payments");
    });
    registrant.replace(&narrowed).await.ok();
    assert_eq!(bank.accounts_api().introspect(&access_token).await.ok(), &json!({"active": false}));
    till.refresh(&refresh_token).await.refused(400, "invalid_scope");
    till.poll(&approved).await.refused(400, "access_denied");
}

#[tokio::test]
async fn dcr_7592_6_a_new_key_counts_at_once_and_the_old_one_no_more() {
    let bank = open().await;
    let registrant = Registrant::of(&bank, &metadata()).await;
    let (new, before) = (fresh_key(), registrant.tpp());
    let after = registrant.tpp_with(&new);
    let pending = before.auth_req_id().await;
    after.backchannel(|request| request).await.refused(401, "invalid_client");
    registrant.replace(&with("jwks", jwks(&[&new]))).await.ok();
    before.backchannel(|request| request).await.refused(401, "invalid_client");
    before.poll(&pending).await.refused(401, "invalid_client");
    let old_request = |request: Draft| request.signed_by(key("till8.key"));
    after.backchannel(old_request).await.refused(400, "invalid_request");
    assert_eq!(bank.approve(&pending).await.status, 204);
    after.poll(&pending).await.ok();
    registrant.replace(&metadata()).await.ok();
    before.backchannel(|request| request).await.ok();
    after.backchannel(|request| request).await.refused(401, "invalid_client");
}

/// A client changes its own registration and no other.
#[tokio::test]
async fn dcr_7592_6_nobody_else_is_touched() {
    let bank = open().await;
    let (one, other) = (Registrant::of(&bank, &metadata()).await, Registrant::of(&bank, &metadata()).await);
    one.replace(&with("client_name", "Renamed shop")).await.ok();
    assert_eq!(other.read().await.ok()["client_name"], "Registered shop");
    assert_eq!(one.delete().await.status, 204);
    other.tpp().tokens().await.ok();
}

#[tokio::test]
async fn oidc_12_2_a_client_does_not_change_by_which_names_it_knows_its_users() {
    let bank = open().await;
    let at = |jwks_uri: &str, subject_type: &str| {
        changed(|metadata| {
            metadata.as_object_mut().expect("an object").remove("jwks");
            metadata["jwks_uri"] = json!(jwks_uri);
            metadata["subject_type"] = json!(subject_type);
        })
    };
    let (home, away) = ("https://till.example/jwks", "https://other.example/jwks");
    let pairwise = Registrant::of(&bank, &at(home, "pairwise")).await;
    refuses(&pairwise, "pairwise to public", &at(home, "public")).await;
    refuses(&pairwise, "pairwise to public, left out", &metadata()).await;
    refuses(&pairwise, "to another sector", &at(away, "pairwise")).await;
    pairwise.replace(&at("https://till.example/keys", "pairwise")).await.ok();
    let public = Registrant::of(&bank, &at(home, "public")).await;
    refuses(&public, "public to pairwise", &at(home, "pairwise")).await;
    public.replace(&at(away, "public")).await.ok();
}
