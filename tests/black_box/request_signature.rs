//! Who signed a request object, and how (RFC 7515, RFC 9101 §6.2, FAPI 1.0 part 2 §8.6): one forgery after another, none of which prompts anyone.

use serde_json::{Value, json};

use crate::bank::{Bank, key};
use crate::forged::{self, Forgery, Mangle};
use crate::token::Draft;
use crate::trial::Trial;

#[tokio::test]
async fn fapi1a_8_6_3_an_unsigned_request_object_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for alg in ["none", "None", "NONE", ""] {
        trial.refuses_request(alg, |r| r.header("alg", alg).sign_with(forged::nothing)).await;
        trial.refuses_request(format!("{alg}, signed"), |r| r.header("alg", alg)).await;
    }
    trial.refuses_request("PS256, nothing signed", |r| r.sign_with(forged::nothing)).await;
    trial.refuses_request("no alg", |r| r.without_header("alg")).await;
    trial.refuses_request("a list of algs", |r| r.header("alg", json!(["PS256"]))).await;
}

#[tokio::test]
async fn ciba_7_1_1_6_an_hmac_of_the_public_key_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let secrets: [Forgery; 3] = [forged::hmac_of_jwk, forged::hmac_of_number, forged::hmac_of_ps256_pem];
    for (at, secret) in secrets.into_iter().enumerate() {
        trial.refuses_request(format!("secret {at}"), |r| r.header("alg", "HS256").sign_with(secret)).await;
        trial.refuses_request(format!("secret {at} as PS256"), |r| r.sign_with(secret)).await;
    }
}

#[tokio::test]
async fn fapi1a_8_6_2_an_rs256_request_object_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    trial.refuses_request("RS256", |r| r.header("alg", "RS256").sign_with(forged::rs256)).await;
    trial.refuses_request("RS256 called PS256", |r| r.sign_with(forged::rs256)).await;
    trial.refuses_request("PS256 called RS256", |r| r.header("alg", "RS256")).await;
}

#[tokio::test]
async fn jar_6_2_3_an_algorithm_that_is_not_the_registered_one_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let es256 = |r: Draft| r.header("alg", "ES256").signed_by(key("till-es256.key"));
    trial.refuses_request("its own ES256", es256).await;
    trial.refuses_request("its own ES256, no kid", |r| es256(r).without_header("kid")).await;
    trial.refuses_request("its own ES256 called PS256", |r| r.signed_by(key("till-es256.key"))).await;
    for alg in ["ES256", "PS384", "PS512", "ps256", "PS256 ", "EdDSA"] {
        trial.refuses_request(alg, |r| r.header("alg", alg)).await;
    }
}

#[tokio::test]
async fn jar_6_2_1_a_signature_that_does_not_hold_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let forgeries: [(&str, Forgery); 5] = [
        ("inverted", forged::inverted),
        ("one bit off", forged::one_bit_off),
        ("truncated", forged::cut),
        ("a byte too long", forged::drawn_out),
        ("all zero", forged::zeros),
    ];
    for (case, forgery) in forgeries {
        trial.refuses_request(case, |r| r.sign_with(forgery)).await;
    }
    trial
        .refuses_request("reworded", |r| r.mangled(|t| forged::reworded(&t, "openid accounts", "openid payments")))
        .await;
}

#[tokio::test]
async fn jar_6_2_1_another_clients_key_is_refused() {
    let bank = Bank::open().await;
    for (trial, theirs) in [
        (Trial::of(&bank), key("stranger.key")),
        (Trial { bank: &bank, tpp: bank.other_tpp() }, bank.tpp().assertion_key),
    ] {
        let ours = trial.tpp.request_key.public()["kid"].clone();
        trial.refuses_request("its kid", |r| r.signed_by(theirs.clone())).await;
        trial.refuses_request("our kid", |r| r.signed_by(theirs.clone()).header("kid", ours.clone())).await;
        trial.refuses_request("no kid", |r| r.signed_by(theirs.clone()).without_header("kid")).await;
        trial.accepts_request("our key", |r| r).await;
    }
}

#[tokio::test]
async fn jar_6_2_1_a_request_object_of_another_client_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let theirs = bank.other_tpp().request();
    trial.refuses_request("as it is", |_| theirs.clone()).await;
    trial.refuses_request("with our name in it", |_| theirs.clone().with("iss", "till-7")).await;
    bank.other_tpp().backchannel(|_| theirs).await.ok();
}

#[tokio::test]
async fn jar_6_2_2_a_kid_picks_the_key() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    trial.accepts_request("no kid", |r| r.without_header("kid")).await;
    let elliptic = key("till-es256.key").public()["kid"].clone();
    for kid in [json!("unknown"), json!(""), elliptic, json!(7), json!(null)] {
        trial.refuses_request(format!("kid {kid}"), |r| r.header("kid", kid.clone())).await;
    }
}

#[tokio::test]
async fn ciba_7_1_1_17_the_typ_is_that_of_a_request_object_or_says_nothing() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for good in ["JWT", "jwt", "oauth-authz-req+jwt", "OautH-auThZ-REQ+jWt", "application/oauth-authz-req+jwt"] {
        trial.accepts_request(good, |r| r.header("typ", good)).await;
    }
    for bad in ["client-authentication+jwt", "at+jwt", "dpop+jwt", "application/at+jwt", "logout+jwt", "JOSE", ""] {
        trial.refuses_request(bad, |r| r.header("typ", bad)).await;
    }
    trial.refuses_request("a number", |r| r.header("typ", 1)).await;
}

#[tokio::test]
async fn fapi1a_8_9_2_a_header_that_brings_its_own_key_or_rules_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let stranger = || key("stranger.key");
    for (member, value) in [
        ("jwk", json!(stranger().public())),
        ("jwk", json!(trial.tpp.request_key.public())),
        ("jku", json!("https://www.other1.example.com/jwks")),
        ("x5u", json!("https://www.other1.example.com/chain")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(true)),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
    ] {
        let with = |r: Draft| r.header(member, value.clone());
        trial.refuses_request(format!("{member} {value}"), with).await;
        trial.refuses_request(format!("{member} {value}, a stranger's"), |r| with(r.signed_by(stranger()))).await;
    }
    trial.refuses_request("x5c, a stranger's", |r| r.signed_by(stranger()).header("x5c", json!(["MIIB"]))).await;
    trial.accepts_request("a member nobody knows", |r| r.header("unknown", "x")).await;
}

#[tokio::test]
async fn ciba_7_1_1_1_and_15_what_is_no_signed_jwt_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let header = r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#;
    trial.refuses_request("a JWE", |r| r.raw_header(header).mangled(|token| token + ".AAAA.AAAA")).await;
    let spellings: [(&str, Mangle); 8] = [
        ("five parts", |token| token + ".AAAA.AAAA"),
        ("four parts", |token| token + "."),
        ("two parts", |token| token.rsplit_once('.').expect("dots").0.to_owned()),
        ("a thousand dots", |token| token + &".".repeat(1000)),
        ("a stray bit", forged::stray_bit),
        ("padding", |token| token + "=="),
        ("a space", |token| format!(" {token}")),
        ("garbage", |_| "garbage".to_owned()),
    ];
    for (case, mangle) in spellings {
        trial.refuses_request(case, |r| r.mangled(mangle)).await;
    }
    let plain = |r: Draft| r.sign_with(forged::dashed).mangled(|token| forged::plain_base64(&token));
    trial.refuses_request("plain base64", plain).await;
}

#[tokio::test]
async fn jar_10_a_request_object_over_16_kib_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let (longest, longer) = forged::around(&trial.tpp.request(), 16 * 1024);
    assert!(longest.len() > 16 * 1024 - 4 && longer.len() < 16 * 1024 + 4);
    trial.refuses_request_call("over 16 KiB", |call| call.set("request", &longer)).await;
    trial.tpp.backchannel_call(|call| call.set("request", &longest)).await.ok();
    let header = |bytes: usize| move |r: Draft| r.header("x", json!(["A".repeat(bytes)]));
    trial.accepts_request("a header of nearly 4 KiB", header(3 * 1024 + 900)).await;
    trial.refuses_request("a header of over 4 KiB", header(4 * 1024)).await;
}

#[tokio::test]
async fn rfc7515_4_a_doubled_member_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let own = &trial.tpp.request_key;
    for name in ["alg", "kid"] {
        trial.refuses_request(format!("header {name}"), |r| forged::doubled_header(r, own, name)).await;
    }
    for name in ["iss", "aud", "exp", "nbf", "jti", "scope", "login_hint", "binding_message"] {
        trial.refuses_request(format!("claim {name}"), |r| forged::doubled_claim(r, name)).await;
    }
    trial.refuses_request("escaped", |r| with_text(&r, r#""login_h\u0069nt":"bob""#)).await;
    trial.refuses_request("nested", |r| with_text(&r, r#""x":{"a":1,"a":1}"#)).await;
    trial.accepts_request("nested once", |r| with_text(&r, r#""x":{"a":1,"b":1}"#)).await;
}

/// The request object with `member` put before its other claims.
fn with_text(draft: &Draft, member: &str) -> Draft {
    let claims = Value::from(draft.claims().clone()).to_string();
    draft.clone().raw_claims(claims.replacen('{', &format!("{{{member},"), 1))
}

#[tokio::test]
async fn rfc7515_4_json_is_bounded_in_depth_and_width() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let deep = |levels: usize| (1..levels).fold(json!(1), |inner, _| json!([inner]));
    trial.accepts_requests("x", [deep(16), json!(vec![0; 256])]).await;
    trial.refuses_requests("x", [deep(17), deep(64), json!(vec![0; 257])]).await;
    let wide = |r: Draft, members: usize| (r.claims().len()..members).fold(r, |r, at| r.with(&format!("m{at}"), 1));
    trial.accepts_request("256 members", |r| wide(r, 256)).await;
    trial.refuses_request("257 members", |r| wide(r, 257)).await;
}

#[tokio::test]
async fn rfc7515_4_claims_that_are_no_strict_json_are_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for text in [r#""x":1e999"#, r#""x":NaN"#, r#""x":'1'"#, r#""x":"\ud800""#, "", "x:1"] {
        trial.refuses_request(text, |r| with_text(&r, text)).await;
    }
    let whole = |r: &Draft| Value::from(r.claims().clone()).to_string();
    let around: [Mangle; 4] =
        [|text| format!("[{text}]"), |text| text + "{}", |text| format!("\u{feff}{text}"), |text| text + "\u{0}"];
    for (at, change) in around.into_iter().enumerate() {
        trial.refuses_request(format!("wrapping {at}"), |r| r.clone().raw_claims(change(whole(&r)))).await;
    }
    trial.accepts_request("as it is", |r| r.clone().raw_claims(whole(&r))).await;
}
