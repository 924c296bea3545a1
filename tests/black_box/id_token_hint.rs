//! `id_token_hint` (CIBA §7.1): our own word to this client says who is meant, for a time; nobody else's, and no other word of ours.

use std::fs;

use countersign::http::serve::Limits;
use countersign::jose::keyring::SigningKey;
use countersign::wire::bank::Identified;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

use crate::bank::{Bank, key};
use crate::forged::{Forgery, doubled_claim, hmac_of_jwk, inverted, nothing, one_bit_off, reworded, rs256, zeros};
use crate::heard::Heard;
use crate::token::Draft;
use crate::tpp::Tpp;

const SUB: &str = "alice-248289761001";
const OLDEST: i64 = 7_776_000;

/// A bank that knows alice by her `sub` too.
async fn open() -> Bank {
    knowing(Bank::open().await)
}

fn knowing(bank: Bank) -> Bank {
    bank.phone.knows(SUB, Identified::Known { sub: "alice-by-her-sub".into() });
    bank
}

/// The till asks with this as its only hint.
async fn ask(till: &Tpp<'_>, hint: impl Into<Value>) -> Heard {
    let hint = hint.into();
    till.backchannel(|request| request.without("login_hint").with("id_token_hint", hint)).await
}

/// It says who is meant, and the bank is asked about the `sub` inside.
async fn believed(bank: &Bank, hint: impl Into<String>) {
    let before = bank.phone.prompts().len();
    ask(&bank.tpp(), hint.into()).await.ok();
    let prompts = bank.phone.prompts();
    assert_eq!(prompts.len(), before + 1);
    assert_eq!(prompts[before]["sub"], "alice-by-her-sub");
}

/// It is refused, and the bank is not asked: silent, it would make 503 of that.
async fn refused(bank: &Bank, hint: impl Into<Value>) {
    bank.phone.silent(true);
    ask(&bank.tpp(), hint).await.refused(400, "invalid_request");
    bank.phone.silent(false);
}

/// An ID token for till 7 as the server makes it, signed with a key of the server.
fn own(bank: &Bank) -> Draft {
    let now = bank.now();
    let claims =
        json!({"iss": bank.issuer, "aud": "till-7", "sub": SUB, "iat": now, "exp": now + 300, "auth_time": now});
    Draft::new(claims, key("keys/es256.pem")).header("typ", "JWT")
}

#[tokio::test]
async fn ciba_7_1_22_an_id_token_of_this_client_says_who_is_meant_again_and_again() {
    let bank = open().await;
    let id_token = bank.tpp().tokens().await.text("id_token");
    believed(&bank, &id_token).await;
    believed(&bank, &id_token).await;
    believed(&bank, own(&bank).finish()).await;
    believed(&bank, own(&bank).signed_by(key("keys/ps256.pem")).header("alg", "PS256").finish()).await;
    believed(&bank, own(&bank).with("aud", json!(["till-7"])).finish()).await;
    believed(&bank, own(&bank).without_header("kid").finish()).await;
}

#[tokio::test]
async fn ciba_7_1_23_it_outlives_its_exp_by_as_much_as_the_profile_says_and_no_longer() {
    let bank = open().await;
    let id_token = bank.tpp().tokens().await.text("id_token");
    bank.clock.advance(301);
    believed(&bank, &id_token).await;
    bank.clock.advance(OLDEST - 301);
    believed(&bank, &id_token).await;
    bank.clock.advance(1);
    refused(&bank, id_token).await;
    refused(&bank, own(&bank).without("iat").finish()).await;
    refused(&bank, own(&bank).with("iat", "0").finish()).await;
    refused(&bank, own(&bank).with("iat", bank.now() - OLDEST - 1).with("exp", bank.now() + 300).finish()).await;
    believed(&bank, own(&bank).without("exp").finish()).await;
}

#[tokio::test]
async fn ciba_7_1_23_a_tighter_profile_believes_it_for_less() {
    let bank = knowing(Bank::under("oldest_id_token_hint = 7776000", "oldest_id_token_hint = 60").await);
    let id_token = bank.tpp().tokens().await.text("id_token");
    bank.clock.advance(60);
    believed(&bank, &id_token).await;
    bank.clock.advance(1);
    refused(&bank, id_token).await;
}

#[tokio::test]
async fn ciba_7_1_22_what_another_client_was_told_is_refused() {
    let bank = open().await;
    let theirs = bank.other_tpp().tokens().await.text("id_token");
    ask(&bank.other_tpp(), theirs.clone()).await.ok();
    refused(&bank, theirs).await;
    let ours = bank.tpp().tokens().await.text("id_token");
    ask(&bank.other_tpp(), ours).await.refused(400, "invalid_request");
    for aud in
        [json!("till-8"), json!(["till-7", "till-8"]), json!(["till-8", "till-7"]), json!([]), json!(""), json!(7)]
    {
        println!("{aud}");
        refused(&bank, own(&bank).with("aud", aud).finish()).await;
    }
    refused(&bank, own(&bank).without("aud").finish()).await;
    refused(&bank, own(&bank).with("aud", bank.issuer.clone()).finish()).await;
}

#[tokio::test]
async fn ciba_7_1_22_another_issuer_and_nobody_in_particular_are_refused() {
    let bank = open().await;
    for iss in
        [json!("https://elsewhere.example"), json!(format!("{}/", bank.issuer)), json!(""), json!("till-7"), json!(1)]
    {
        println!("{iss}");
        refused(&bank, own(&bank).with("iss", iss).finish()).await;
    }
    refused(&bank, own(&bank).without("iss").finish()).await;
    refused(&bank, own(&bank).without("sub").finish()).await;
    refused(&bank, own(&bank).with("sub", 7).finish()).await;
    for name in ["iss", "aud", "sub", "iat"] {
        refused(&bank, doubled_claim(own(&bank), name).finish()).await;
    }
}

#[tokio::test]
async fn ciba_7_1_22_the_signature_has_to_be_ours() {
    let bank = open().await;
    let id_token = bank.tpp().tokens().await.text("id_token");
    refused(&bank, reworded(&id_token, SUB, "mallory")).await;
    refused(&bank, reworded(&own(&bank).finish(), "till-7", "till-8")).await;
    let forgeries: [Forgery; 4] = [nothing, zeros, inverted, one_bit_off];
    for forgery in forgeries {
        refused(&bank, own(&bank).sign_with(forgery).finish()).await;
    }
    for stranger in ["till-es256.key", "till-ps256.key", "directory.key", "till8.key"] {
        println!("{stranger}");
        let signed = own(&bank).signed_by(key(stranger));
        let signed = if stranger == "till-ps256.key" { signed.header("alg", "PS256") } else { signed };
        refused(&bank, signed.finish()).await;
        let kid = key("keys/es256.pem").public()["kid"].clone();
        refused(&bank, signed.header("kid", kid).finish()).await;
    }
    for (alg, forgery) in
        [("none", nothing as Forgery), ("HS256", hmac_of_jwk), ("RS256", rs256), ("PS256", one_bit_off)]
    {
        println!("{alg}");
        refused(&bank, own(&bank).header("alg", alg).sign_with(forgery).finish()).await;
    }
}

#[tokio::test]
async fn c_10_no_other_word_of_ours_is_an_id_token() {
    let bank = open().await;
    let tokens = bank.tpp().tokens().await;
    let (access_token, id_token) = (tokens.text("access_token"), tokens.text("id_token"));
    let introspected = bank.accounts_api().introspect_http(&access_token, |http| {
        let signed = "application/token-introspection+jwt".parse().expect("a value");
        http.headers_mut().insert("accept", signed);
    });
    let introspected = introspected.send().await.expect("an answer").text().await.expect("a body");
    assert_eq!(introspected.split('.').count(), 3, "{introspected}");
    refused(&bank, introspected).await;
    refused(&bank, access_token).await;
    refused(&bank, bank.tpp().assertion().finish()).await;
    refused(&bank, bank.tpp().request().finish()).await;
    for typ in ["at+jwt", "token-introspection+jwt", "login-hint+jwt", "dpop+jwt", "application/jwt", "", "JWT "] {
        println!("{typ}");
        refused(&bank, own(&bank).header("typ", typ).finish()).await;
    }
    refused(&bank, own(&bank).header("typ", json!(["JWT"])).finish()).await;
    refused(&bank, own(&bank).without_header("typ").finish()).await;
    believed(&bank, own(&bank).header("typ", "jwt").finish()).await;
    for shape in [
        json!(null),
        json!({"id_token": id_token}),
        json!([id_token]),
        json!(format!("{id_token}.x.y")),
        json!(format!("{id_token} ")),
    ] {
        refused(&bank, shape).await;
    }
}

/// The public half of `retired` as the server's retired keys; with none, the server has never heard of it.
async fn after_rotation(retired: Option<&SigningKey>) -> Bank {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("retired.jwks.json");
    let set = retired.map(|key| json!({ "keys": [key.public()] }).to_string());
    fs::write(&path, set.clone().unwrap_or_default()).expect("written");
    let named = set.map(|_| format!("[keys]\nretired = \"{}\"", path.to_str().expect("UTF-8")));
    let named = named.unwrap_or("[keys]".into());
    knowing(Bank::with(Limits::default(), |shipped| shipped.replace("[keys]", &named)).await)
}

#[tokio::test]
async fn ciba_7_1_24_a_retired_key_vouches_for_hints_and_for_nothing_else() {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let old = SigningKey::from_pkcs8(&pair.serialize_der()).expect("usable");
    let bank = after_rotation(Some(&old)).await;
    believed(&bank, own(&bank).signed_by(old.clone()).finish()).await;
    believed(&bank, own(&bank).finish()).await;
    refused(&bank, own(&bank).signed_by(old.clone()).sign_with(one_bit_off).finish()).await;
    let as_till = bank.tpp().backchannel_call(|call| call.assertion(|a| a.signed_by(old.clone()))).await;
    as_till.refused(401, "invalid_client");
    let id_token = bank.tpp().tokens().await.text("id_token");
    assert_ne!(crate::token::header(&id_token)["kid"], old.public()["kid"]);
    let bank = after_rotation(None).await;
    refused(&bank, own(&bank).signed_by(old).finish()).await;
}

#[tokio::test]
async fn ciba_7_1_27_an_id_token_for_a_user_that_is_gone() {
    let bank = Bank::open().await;
    let id_token = bank.tpp().tokens().await.text("id_token");
    ask(&bank.tpp(), id_token).await.refused(400, "unknown_user_id");
    bank.phone.knows(SUB, Identified::Refused {});
    let again = bank.tpp().tokens().await.text("id_token");
    ask(&bank.tpp(), again).await.refused(403, "access_denied");
}
