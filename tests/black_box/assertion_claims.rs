//! What a client assertion has to say (RFC 7523 §3, OpenID Connect Core §9, CIBA §7.1), at both endpoints where a till authenticates.

use serde_json::{Value, json};

use crate::bank::Bank;
use crate::trial::Trial;

/// What is neither a time nor a number that could be one.
fn no_times() -> Vec<Value> {
    let numbers = [json!(-1), json!(-0.5), json!(1e300), json!(i64::MAX), json!(u64::MAX), json!(1_u64 << 53)];
    let others = [json!("1"), json!(null), json!(true), json!([1]), json!({"at": 1}), json!("")];
    [numbers, others].concat()
}

#[tokio::test]
async fn ca_3_iss_and_sub_are_the_client_id() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for claim in ["iss", "sub"] {
        trial.refuses_assertion(format!("no {claim}"), |a| a.without(claim)).await;
        let others = ["till-8", "nobody", "", "TILL-7", "till-7 "].map(Value::from);
        trial.refuses_assertions(claim, others).await;
        trial.refuses_assertions(claim, [json!(7), json!(null), json!(["till-7"]), json!({"id": "till-7"})]).await;
    }
    trial.refuses_assertion("iss is the issuer", |a| a.with("iss", bank.issuer.as_str())).await;
}

#[tokio::test]
async fn ca_14_an_unknown_client_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for id in ["nobody", "till", "till-7\u{0}", "*"] {
        trial.refuses_assertion(id, |a| a.with("iss", id).with("sub", id)).await;
    }
}

#[tokio::test]
async fn ciba_7_1_5_the_issuer_and_its_endpoints_are_audiences() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for ours in ["", "/token", "/bc-authorize", "/introspect"].map(|path| format!("{}{path}", bank.issuer)) {
        trial.accepts_assertions("aud", [json!(ours), json!([ours])]).await;
    }
}

#[tokio::test]
async fn ciba_7_1_5_any_other_audience_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let issuer = bank.issuer.as_str();
    trial.refuses_assertion("no aud", |a| a.without("aud")).await;
    for path in
        ["/", "/token/", "/bc-authorize/", "/jwks", "/token?x", "#", "/TOKEN", "/.well-known/openid-configuration"]
    {
        trial.refuses_assertions("aud", [json!(format!("{issuer}{path}"))]).await;
    }
    let uppercase = issuer.replace("localhost", "LOCALHOST");
    let elsewhere = "https://www.other1.example.com/";
    trial.refuses_assertions("aud", [json!(uppercase), json!(elsewhere), json!(""), json!("localhost")]).await;
    trial.refuses_assertions("aud", [json!(7), json!(null), json!(true), json!({"aud": issuer})]).await;
}

#[tokio::test]
async fn ciba_7_1_5_an_audience_beside_ours_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let issuer = bank.issuer.as_str();
    let elsewhere = "https://www.other1.example.com/";
    trial.refuses_assertions("aud", [json!([issuer, elsewhere]), json!([elsewhere, issuer])]).await;
    trial.refuses_assertions("aud", [json!([]), json!([issuer, 7]), json!([[issuer]]), json!([issuer, issuer])]).await;
}

#[tokio::test]
async fn ca_6_a_strict_profile_takes_the_issuer_alone() {
    let bank = Bank::under(r#"assertion_audience = "endpoints""#, r#"assertion_audience = "issuer""#).await;
    let trial = Trial::of(&bank);
    trial.accepts_assertions("aud", [json!(bank.issuer), json!([bank.issuer])]).await;
    for path in ["/token", "/bc-authorize", "/introspect", "/"] {
        trial.refuses_assertions("aud", [json!(format!("{}{path}", bank.issuer))]).await;
    }
}

#[tokio::test]
async fn ca_7_the_typ_is_that_of_an_assertion_or_says_nothing() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for good in [
        "JWT",
        "jwt",
        "client-authentication+jwt",
        "Client-Authentication+JWT",
        "application/client-authentication+jwt",
    ] {
        trial.accepts_assertion(good, |a| a.header("typ", good)).await;
    }
    for bad in ["oauth-authz-req+jwt", "at+jwt", "dpop+jwt", "application/at+jwt", "logout+jwt", "JOSE", ""] {
        trial.refuses_assertion(bad, |a| a.header("typ", bad)).await;
    }
    trial.refuses_assertion("a number", |a| a.header("typ", 1)).await;
}

#[tokio::test]
async fn ca_8_an_assertion_without_a_future_exp_is_refused() {
    let bank = Bank::open().await;
    let (trial, now) = (Trial::of(&bank), bank.now());
    trial.accepts_assertions("exp", [json!(now + 1), json!(now + 60), json!(60.5 + seconds(now))]).await;
    trial.refuses_assertion("no exp", |a| a.without("exp")).await;
    trial.refuses_assertions("exp", [json!(now), json!(now - 1), json!(now - 3600), json!(0)]).await;
    trial.refuses_assertions("exp", [json!(0.5 + seconds(now)), json!((now + 60).to_string())]).await;
    trial.refuses_assertions("exp", no_times()).await;
}

#[tokio::test]
async fn rfc7523_3_4_an_exp_over_ten_minutes_off_is_refused() {
    let bank = Bank::open().await;
    let (trial, now) = (Trial::of(&bank), bank.now());
    trial.accepts_assertions("exp", [json!(now + 600)]).await;
    trial.refuses_assertions("exp", [json!(now + 601), json!(now + 86_400), json!((1_u64 << 53) - 1)]).await;
}

#[tokio::test]
async fn ca_9_an_nbf_over_30_seconds_ahead_is_refused() {
    ahead("nbf").await;
}

#[tokio::test]
async fn ca_10_an_iat_over_30_seconds_ahead_is_refused() {
    ahead("iat").await;
}

async fn ahead(claim: &str) {
    let bank = Bank::open().await;
    let (trial, now) = (Trial::of(&bank), bank.now());
    trial.accepts_assertion(format!("no {claim}"), |a| a.without(claim)).await;
    trial.accepts_assertions(claim, [json!(now + 8), json!(now + 30), json!(now - 30), json!(0)]).await;
    trial.refuses_assertions(claim, [json!(now + 31), json!(now + 70), json!(now + 600)]).await;
    trial.refuses_assertions(claim, no_times()).await;
}

#[tokio::test]
async fn ca_11_a_jti_is_1_to_256_visible_characters() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for jti in ["j".repeat(256), "!".into(), "~".into()] {
        trial.tpp.backchannel_call(|call| call.assertion(|a| a.with("jti", jti))).await.ok();
    }
    trial.refuses_assertion("no jti", |a| a.without("jti")).await;
    trial.refuses_assertions("jti", [json!(""), json!("j".repeat(257)), json!("j".repeat(4096))]).await;
    trial.refuses_assertions("jti", [json!("é"), json!("a b"), json!("a\n"), json!("a\u{0}"), json!("\u{7f}")]).await;
    trial.refuses_assertions("jti", [json!(7), json!(null), json!(true), json!(["7"]), json!({"7": 7})]).await;
}

fn seconds(whole: i64) -> f64 {
    f64::from(u32::try_from(whole).expect("until 2106"))
}
