//! Who signed an assertion, and how (RFC 7515, RFC 8725, FAPI 1.0 part 2 §8.6): one forgery after another, at both endpoints.

use countersign::http::serve::Limits;
use serde_json::{Value, json};

use crate::bank::{Bank, key};
use crate::forged::{self, Forgery, Mangle};
use crate::token::Draft;
use crate::tpp::Tpp;
use crate::trial::Trial;

#[tokio::test]
async fn fapi1a_8_6_3_an_unsigned_assertion_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for alg in ["none", "None", "NONE", ""] {
        trial.refuses_assertion(alg, |a| a.header("alg", alg).sign_with(forged::nothing)).await;
        trial.refuses_assertion(alg, |a| a.header("alg", alg)).await;
    }
    trial.refuses_assertion("ES256, nothing signed", |a| a.sign_with(forged::nothing)).await;
    trial.refuses_assertion("no alg", |a| a.without_header("alg")).await;
    trial.refuses_assertion("a list of algs", |a| a.header("alg", json!(["ES256"]))).await;
}

#[tokio::test]
async fn fapi1a_8_6_1_an_hmac_of_the_public_key_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let secrets: [Forgery; 3] = [forged::hmac_of_jwk, forged::hmac_of_number, forged::hmac_of_es256_pem];
    for (at, secret) in secrets.into_iter().enumerate() {
        trial.refuses_assertion(format!("secret {at}"), |a| a.header("alg", "HS256").sign_with(secret)).await;
        trial.refuses_assertion(format!("secret {at} as ES256"), |a| a.sign_with(secret)).await;
    }
}

#[tokio::test]
async fn fapi1a_8_6_2_an_rs256_assertion_of_a_ps256_client_is_refused() {
    let (now, then) = ("token_endpoint_auth_signing_alg = \"PS256\"", "token_endpoint_auth_signing_alg = \"ES256\"");
    let bank = Bank::with(Limits::default(), |shipped| shipped.replacen(then, now, 1)).await;
    let tpp = Tpp::new(&bank, "till-7", (key("till-ps256.key"), key("till-ps256.key")), Some("till"));
    let trial = Trial { bank: &bank, tpp };
    trial.accepts_assertion("PS256", |a| a).await;
    trial.refuses_assertion("RS256", |a| a.header("alg", "RS256").sign_with(forged::rs256)).await;
    trial.refuses_assertion("RS256 called PS256", |a| a.sign_with(forged::rs256)).await;
    trial.refuses_assertion("PS256 called RS256", |a| a.header("alg", "RS256")).await;
    trial.refuses_assertion("HS256", |a| a.header("alg", "HS256").sign_with(forged::hmac_of_ps256_pem)).await;
    trial.refuses_assertion("zeros", |a| a.sign_with(forged::zeros)).await;
    trial.refuses_assertion("its own ES256", |a| a.header("alg", "ES256").signed_by(key("till-es256.key"))).await;
}

#[tokio::test]
async fn ca_12_an_algorithm_that_is_not_the_registered_one_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let ps256 = || key("till-ps256.key");
    trial.refuses_assertion("its own PS256", |a| a.header("alg", "PS256").signed_by(ps256())).await;
    trial
        .refuses_assertion("its own PS256, no kid", |a| {
            a.header("alg", "PS256").signed_by(ps256()).without_header("kid")
        })
        .await;
    trial.refuses_assertion("its own PS256 called ES256", |a| a.signed_by(ps256())).await;
    for alg in ["RS256", "PS256", "ES384", "ES256K", "EdDSA", "es256", "ES256 "] {
        trial.refuses_assertion(alg, |a| a.header("alg", alg)).await;
    }
}

#[tokio::test]
async fn ca_12_a_signature_that_does_not_hold_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let forgeries: [(&str, Forgery); 6] = [
        ("inverted", forged::inverted),
        ("one bit off", forged::one_bit_off),
        ("truncated", forged::cut),
        ("a byte too long", forged::drawn_out),
        ("all zero", forged::zeros),
        ("DER", forged::der),
    ];
    for (case, forgery) in forgeries {
        trial.refuses_assertion(case, |a| a.sign_with(forgery)).await;
    }
    trial
        .refuses_assertion("reworded", |a| a.with("jti", "first").mangled(|t| forged::reworded(&t, "first", "other")))
        .await;
}

#[tokio::test]
async fn ca_12_another_clients_key_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let ours = trial.tpp.assertion_key.public()["kid"].clone();
    let theirs = || bank.other_tpp().assertion_key;
    trial.refuses_assertion("its kid", |a| a.signed_by(theirs())).await;
    trial.refuses_assertion("our kid", |a| a.signed_by(theirs()).header("kid", ours.clone())).await;
    trial.refuses_assertion("no kid", |a| a.signed_by(theirs()).without_header("kid")).await;
}

#[tokio::test]
async fn jar_6_2_2_a_kid_picks_the_key() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let rsa = key("till-ps256.key").public()["kid"].clone();
    trial.accepts_assertion("no kid", |a| a.without_header("kid")).await;
    for kid in [json!("unknown"), json!(""), rsa, json!(7), json!(null), json!("../till-es256.key")] {
        trial.refuses_assertion(format!("kid {kid}"), |a| a.header("kid", kid.clone())).await;
    }
}

#[tokio::test]
async fn fapi1a_8_9_2_a_header_that_brings_its_own_key_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let stranger = || key("till8.key");
    let url = "https://www.other1.example.com/jwks";
    for (member, value) in [
        ("jwk", json!(trial.tpp.assertion_key.public())),
        ("jwk", json!(stranger().public())),
        ("jku", json!(url)),
        ("x5u", json!(url)),
    ] {
        let with = |a: Draft| a.header(member, value.clone());
        trial.refuses_assertion(format!("{member}, our signature"), with).await;
        trial.refuses_assertion(format!("{member}, a stranger's"), |a| with(a.signed_by(stranger()))).await;
    }
    trial.refuses_assertion("x5c, a stranger's", |a| a.signed_by(stranger()).header("x5c", json!(["MIIB"]))).await;
}

#[tokio::test]
async fn rfc7515_4_1_11_an_extension_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for (member, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(["b64"])),
        ("b64", json!(true)),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
    ] {
        trial.refuses_assertion(format!("{member} {value}"), |a| a.header(member, value.clone())).await;
    }
    trial.accepts_assertion("a member nobody knows", |a| a.header("unknown", json!({"a": 1}))).await;
}

#[tokio::test]
async fn rfc7515_4_a_doubled_member_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let own = &trial.tpp.assertion_key;
    for name in ["alg", "kid"] {
        trial.refuses_assertion(format!("header {name}"), |a| forged::doubled_header(a, own, name)).await;
    }
    for name in ["iss", "sub", "aud", "exp", "jti"] {
        trial.refuses_assertion(format!("claim {name}"), |a| forged::doubled_claim(a, name)).await;
    }
    trial.refuses_assertion("nested", |a| nested(&a, r#"{"a":1,"a":1}"#)).await;
    trial.accepts_assertion("nested once", |a| nested(&a, r#"{"a":1,"b":1}"#)).await;
}

/// The assertion with `text` as one more claim.
fn nested(draft: &Draft, text: &str) -> Draft {
    let claims = Value::from(draft.claims().clone()).to_string();
    draft.clone().raw_claims(claims.replacen('{', &format!("{{\"x\":{text},"), 1))
}

#[tokio::test]
async fn rfc7515_2_another_spelling_of_a_token_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let spellings: [(&str, Mangle); 8] = [
        ("a stray bit", forged::stray_bit),
        ("padding", |token| token + "=="),
        ("a space", |token| token + " "),
        ("a line break", |token| token.replacen('.', ".\n", 1)),
        ("four parts", |token| token + "."),
        ("five parts", |token| token + ".AAAA.AAAA"),
        ("two parts", |token| token.rsplit_once('.').expect("dots").0.to_owned()),
        ("a thousand dots", |token| token + &".".repeat(1000)),
    ];
    for (case, mangle) in spellings {
        trial.refuses_assertion(case, |a| a.mangled(mangle)).await;
    }
    trial.accepts_assertion("base64url", |a| a.sign_with(forged::dashed)).await;
    let plain = |a: Draft| a.sign_with(forged::dashed).mangled(|token| forged::plain_base64(&token));
    trial.refuses_assertion("plain base64", plain).await;
}

#[tokio::test]
async fn ca_2_an_assertion_over_8_kib_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let draft = trial.tpp.assertion();
    let (longest, longer) = forged::around(&draft, 8 * 1024);
    assert!(longest.len() > 8 * 1024 - 4 && longer.len() < 8 * 1024 + 4);
    trial.refuses("over 8 KiB", (401, "invalid_client"), |call| call.set("client_assertion", &longer)).await;
    trial.tpp.backchannel_call(|call| call.set("client_assertion", &longest)).await.ok();
    let header = |bytes: usize| move |a: Draft| a.header("x", json!(["A".repeat(bytes)]));
    trial.accepts_assertion("a header of nearly 4 KiB", header(3 * 1024 + 900)).await;
    trial.refuses_assertion("a header of over 4 KiB", header(4 * 1024)).await;
}

#[tokio::test]
async fn rfc7515_4_claims_that_are_no_strict_json_are_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let now = bank.now();
    let claims =
        |exp: &str| format!(r#"{{"iss":"till-7","sub":"till-7","aud":"{}","jti":"j{exp}","exp":{exp}}}"#, bank.issuer);
    let good = claims(&(now + 60).to_string());
    trial.tpp.backchannel_call(|call| call.assertion(|a| a.raw_claims(good.as_str()))).await.ok();
    for bad in ["1e999", "NaN", "Infinity", "0x7fffffff", "+1", "", "undefined"] {
        trial.refuses_assertion(bad, |a| a.raw_claims(claims(bad))).await;
    }
    let good = claims(&(now + 61).to_string());
    for bad in [format!("[{good}]"), format!("{good}{{}}"), format!("\u{feff}{good}"), String::new(), "null".into()] {
        trial.refuses_assertion(&bad, |a| a.raw_claims(bad.as_str())).await;
    }
    trial.refuses_assertion("deep", |a| a.raw_claims(good.replacen('{', &format!("{{\"x\":{},", deep(16)), 1))).await;
}

fn deep(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}
