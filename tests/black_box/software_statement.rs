//! Software statements (RFC 7591 §2.3): who is vouched for, by whom, and that the statement wins.

use serde_json::{Value, json};

use crate::bank::{Bank, key};
use crate::forged::{cut, inverted, nothing, one_bit_off, zeros};
use crate::registrant::{Registrant, changed, fresh_key, jwks, with};
use crate::token::Draft;
use crate::wired::{DIRECTORY, hint_token, metadata, register, registering, wired};

const VOUCHED: &str = "mode = \"software_statement\"\n[[registration.software_statement_issuers]]\niss = \"https://directory.example\"\njwks = \"PKI/directory.jwks.json\"";

/// A statement by the directory that says `claims` of the client.
fn statement(bank: &Bank, claims: Value) -> Draft {
    let now = bank.now();
    let draft = Draft::new(claims, key("directory.key"));
    draft.with("iss", DIRECTORY).with("aud", bank.issuer.as_str()).with("iat", now).with("exp", now + 3600)
}

fn naming(bank: &Bank) -> Draft {
    statement(bank, json!({"software_id": "pos-1", "client_name": "Vouched shop"}))
}

/// What registers well, with this statement.
fn stating(statement: &Draft) -> Value {
    with("software_statement", statement.finish())
}

async fn refuses(bank: &Bank, case: &str, statement: &Draft, error: &str) {
    println!("{case}");
    register(bank, &stating(statement), None).await.refused(400, error);
}

#[tokio::test]
async fn dcr_7591_13_a_statement_by_a_known_issuer_registers_and_is_echoed_as_it_came() {
    let bank = registering(VOUCHED).await;
    let given = stating(&naming(&bank));
    let registrant = Registrant::new(&bank, &register(&bank, &given, None).await);
    assert_eq!(registrant.members["software_statement"], given["software_statement"]);
    assert_eq!(registrant.members["software_id"], "pos-1");
    registrant.tpp().tokens().await.ok();
    assert_eq!(bank.phone.prompts().last().expect("one")["client_name"], "Vouched shop");
}

#[tokio::test]
async fn dcr_7591_13_whoever_is_not_vouched_for_is_refused() {
    let bank = registering(VOUCHED).await;
    register(&bank, &metadata(), None).await.refused(400, "invalid_software_statement");
    register(&bank, &metadata(), Some("token")).await.refused(400, "invalid_software_statement");
    for value in [json!(null), json!(""), json!(1), json!({}), json!([]), json!("junk"), json!("a.b.c")] {
        register(&bank, &with("software_statement", value), None).await.refused(400, "invalid_software_statement");
    }
    Registrant::new(&bank, &register(&bank, &stating(&naming(&bank)), None).await);
}

#[tokio::test]
async fn dcr_7591_13_an_issuer_that_is_not_known_vouches_for_nobody() {
    let bank = registering(VOUCHED).await;
    let unapproved = "unapproved_software_statement";
    refuses(&bank, "no iss", &naming(&bank).without("iss"), unapproved).await;
    for iss in ["https://directory.example/", "https://DIRECTORY.example", "directory.example", "till-7", &bank.issuer]
    {
        refuses(&bank, iss, &naming(&bank).with("iss", iss), unapproved).await;
    }
    refuses(&bank, "two issuers", &naming(&bank).with("iss", json!([DIRECTORY])), unapproved).await;
    let elsewhere = wired("https://localhost:1/ping").await;
    refuses(&elsewhere, "no issuer is known", &naming(&elsewhere), unapproved).await;
}

#[tokio::test]
async fn dcr_7591_13_a_statement_holds_under_a_key_of_its_issuer_alone() {
    let bank = registering(VOUCHED).await;
    let invalid = "invalid_software_statement";
    refuses(&bank, "the client's own key", &naming(&bank).signed_by(key("till8.key")), invalid).await;
    let own = naming(&bank).signed_by(key("till8.key")).header("jwk", Value::from(key("till8.key").public().clone()));
    refuses(&bank, "a key that it brings itself", &own, invalid).await;
    let posing = naming(&bank).signed_by(fresh_key()).header("kid", key("directory.key").public()["kid"].clone());
    refuses(&bank, "the right kid over another key", &posing, invalid).await;
    refuses(&bank, "another kid", &naming(&bank).header("kid", "other"), invalid).await;
    for forgery in [nothing, zeros, inverted, one_bit_off, cut] {
        refuses(&bank, "a broken signature", &naming(&bank).sign_with(forgery), invalid).await;
    }
    refuses(&bank, "none", &naming(&bank).header("alg", "none").sign_with(nothing), invalid).await;
    for alg in ["HS256", "RS256", "PS256", "ES384"] {
        refuses(&bank, alg, &naming(&bank).header("alg", alg), invalid).await;
    }
    let signed = naming(&bank).finish();
    let moved = swapped_claims(&signed, &statement(&bank, json!({"client_name": "Other"})).finish());
    register(&bank, &with("software_statement", moved), None).await.refused(400, invalid);
}

#[tokio::test]
async fn dcr_7591_13_a_statement_is_of_now_and_for_this_server() {
    let bank = registering(VOUCHED).await;
    let (now, invalid) = (bank.now(), "invalid_software_statement");
    refuses(&bank, "no exp", &naming(&bank).without("exp"), invalid).await;
    for exp in [json!(now), json!(now - 1), json!("later"), json!(null), json!(-1)] {
        refuses(&bank, &format!("exp: {exp}"), &naming(&bank).with("exp", exp), invalid).await;
    }
    for claim in ["iat", "nbf"] {
        for ahead in [json!(now + 31), json!("now")] {
            refuses(&bank, &format!("{claim}: {ahead}"), &naming(&bank).with(claim, ahead), invalid).await;
        }
        let ahead = naming(&bank).with(claim, now + 30);
        Registrant::new(&bank, &register(&bank, &stating(&ahead), None).await);
    }
    for aud in
        [json!("https://other.example"), json!(["https://other.example"]), json!(format!("{}/", bank.issuer)), json!(1)]
    {
        refuses(&bank, &format!("aud: {aud}"), &naming(&bank).with("aud", aud), invalid).await;
    }
    for fine in [
        naming(&bank).with("exp", now + 1),
        naming(&bank).without("aud"),
        naming(&bank).without("iat"),
        naming(&bank).with("aud", json!(["https://other.example", bank.issuer])),
    ] {
        Registrant::new(&bank, &register(&bank, &stating(&fine), None).await);
    }
    let last = naming(&bank).with("exp", now + 60);
    bank.clock.advance(60);
    refuses(&bank, "a minute later", &last, invalid).await;
}

/// RFC 8725 §3.11: what the same issuer signs for another purpose vouches for no client.
#[tokio::test]
async fn dcr_7591_13_another_kind_of_token_by_the_same_issuer_is_no_statement() {
    let bank = registering(VOUCHED).await;
    refuses(&bank, "a login_hint_token", &hint_token(&bank, "one"), "invalid_software_statement").await;
    for typ in ["at+jwt", "logout+jwt", "client-authentication+jwt"] {
        refuses(&bank, typ, &naming(&bank).header("typ", typ), "invalid_software_statement").await;
    }
    Registrant::new(&bank, &register(&bank, &stating(&naming(&bank).header("typ", "JWT")), None).await);
}

#[tokio::test]
async fn dcr_7591_13_where_statement_and_client_differ_the_statement_wins() {
    let bank = registering(VOUCHED).await;
    let vouched = fresh_key();
    let says = json!({
        "client_name": "Vouched shop", "jwks": jwks(&[&vouched]), "scope": "openid accounts", "client_id": "till-7",
        "logo_uri": "https://directory.example/logo", "registration_access_token": "theirs",
    });
    let given = changed(|metadata| {
        metadata["software_statement"] = json!(statement(&bank, says.clone()).finish());
        metadata["scope"] = json!("openid accounts payments");
    });
    let registrant = Registrant::new(&bank, &register(&bank, &given, None).await);
    for member in ["client_name", "jwks", "scope"] {
        assert_eq!(registrant.members[member], says[member], "{member}");
    }
    assert!(registrant.members.get("logo_uri").is_none() && registrant.members.get("iss").is_none());
    registrant.tpp().backchannel(|request| request).await.refused(401, "invalid_client");
    let till = registrant.tpp_with(&vouched);
    till.backchannel(|request| request.with("scope", "openid payments")).await.refused(400, "invalid_scope");
    till.tokens().await.ok();
}

/// A statement cannot make a client that the rules would not have.
#[tokio::test]
async fn dcr_7591_13_what_a_statement_says_is_held_against_the_rules() {
    let bank = registering(VOUCHED).await;
    for says in [
        json!({"backchannel_token_delivery_mode": "push"}),
        json!({"token_endpoint_auth_method": "none"}),
        json!({"scope": "openid admin"}),
        json!({"id_token_signed_response_alg": "none"}),
        json!({"client_name": "a\nb"}),
        json!({"jwks_uri": "https://till.example/jwks.json"}),
        json!({"jwks": null}),
        json!({"software_id": 1}),
    ] {
        refuses(&bank, &says.to_string(), &statement(&bank, says.clone()), "invalid_client_metadata").await;
    }
}

#[tokio::test]
async fn dcr_7592_7_a_client_never_becomes_other_than_its_statement_says() {
    let bank = registering(VOUCHED).await;
    let given = stating(&naming(&bank));
    let registrant = Registrant::new(&bank, &register(&bank, &given, None).await);
    let named = changed(|metadata| {
        metadata["client_name"] = json!("Vouched shop");
        metadata["software_id"] = json!("pos-1");
    });
    let invalid = "invalid_client_metadata";
    let other = |change: &dyn Fn(&mut Value)| {
        let mut other = named.clone();
        change(&mut other);
        other
    };
    registrant.replace(&other(&|m| m["client_name"] = json!("Another shop"))).await.refused(400, invalid);
    registrant.replace(&other(&|m| m["software_id"] = json!("pos-2"))).await.refused(400, invalid);
    registrant
        .replace(&other(&|m| drop(m.as_object_mut().expect("an object").remove("software_id"))))
        .await
        .refused(400, invalid);
    let newer = statement(&bank, json!({"software_id": "pos-1", "client_name": "Another shop"}));
    registrant.replace(&stating(&newer)).await.refused(400, invalid);
    let forged = naming(&bank).signed_by(key("till8.key"));
    registrant.replace(&stating(&forged)).await.refused(400, "invalid_software_statement");
    registrant
        .replace(&stating(&naming(&bank).with("iss", "https://other.example")))
        .await
        .refused(400, "unapproved_software_statement");
    assert_eq!(registrant.read().await.ok()["client_name"], "Vouched shop");
    for fine in [named, given] {
        let heard = registrant.replace(&fine).await;
        assert_eq!(heard.ok()["software_id"], "pos-1");
    }
}

#[tokio::test]
async fn dcr_7591_13_who_was_vouched_for_stays_so_though_nothing_was_stated() {
    let bank = registering(VOUCHED).await;
    let silent = || stating(&statement(&bank, json!({"logo_uri": "https://directory.example/logo"})));
    let registrant = Registrant::new(&bank, &register(&bank, &silent(), None).await);
    registrant.replace(&metadata()).await.ok();
    assert!(registrant.read().await.ok()["software_statement"].is_string());
    registrant.replace(&silent()).await.ok();
}

/// The header and the signature of `one` around the claims of `other`.
fn swapped_claims(one: &str, other: &str) -> String {
    let part = |token: &str, at: usize| token.split('.').nth(at).expect("three parts").to_owned();
    [part(one, 0), part(other, 1), part(one, 2)].join(".")
}
