//! What stands in a request object and what beside it (CIBA §7.1.1, RFC 9101). Whatever is wrong, it is `invalid_request`, and nobody is prompted.

use serde_json::{Value, json};

use crate::bank::Bank;
use crate::trial::Trial;

/// Every parameter of an authentication request, as a till might send it. Those a good request object has carry the same value there.
const PARAMETERS: [(&str, &str); 13] = [
    ("scope", "openid accounts"),
    ("client_notification_token", "8d67dc78-7faa-4d41-aabd-67707b374255"),
    ("acr_values", "urn:bank:acr:app-pin"),
    ("login_hint_token", "e30.e30.e30"),
    ("id_token_hint", "e30.e30.e30"),
    ("login_hint", "alice"),
    ("binding_message", "1234"),
    ("user_code", "1234"),
    ("requested_expiry", "120"),
    ("request_context", "{}"),
    ("authorization_details", "[]"),
    ("claims", "{}"),
    ("resource", "https://accounts.example"),
];

#[tokio::test]
async fn fapiciba_5_2_2_6_a_request_without_a_signed_object_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    trial.refuses_request_call("nothing", |call| call.drop("request")).await;
    trial.refuses_request_call("empty", |call| call.set("request", "")).await;
    let plain = [("scope", "openid"), ("login_hint", "alice"), ("binding_message", "1234")];
    trial
        .refuses_request_call("plain parameters", |call| {
            plain.iter().fold(call.drop("request"), |call, (name, value)| call.and(name, value))
        })
        .await;
}

#[tokio::test]
async fn ciba_7_1_1_2_and_jar_10_4_1_a_request_uri_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for uri in ["https://www.other1.example.com/request", "urn:ietf:params:oauth:request_uri:6esc"] {
        trial.refuses_request_call(format!("{uri} alone"), |call| call.drop("request").and("request_uri", uri)).await;
        trial.refuses_request_call(format!("{uri} with request"), |call| call.and("request_uri", uri)).await;
    }
}

#[tokio::test]
async fn ciba_7_1_1_4_no_parameter_of_the_request_stands_outside() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for (name, value) in PARAMETERS {
        trial.refuses_request_call(format!("{name} as well"), |call| call.and(name, value)).await;
        trial.refuses_request_call(format!("another {name}"), |call| call.and(name, "something else")).await;
        trial
            .refuses_request_call(format!("{name} outside alone"), |call| {
                call.and(name, value).request(|r| r.without(name))
            })
            .await;
    }
    let aside = trial.tpp.backchannel_call(|call| call.and("scope", "").and("unknown", "1")).await;
    aside.ok();
}

#[tokio::test]
async fn ciba_7_1_1_5_and_jar_10_7_1_what_belongs_outside_is_refused_inside() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for name in ["request", "request_uri", "client_assertion", "client_assertion_type", "client_secret", "grant_type"] {
        trial.refuses_requests(name, [json!("x"), json!(""), json!(null), json!({})]).await;
    }
    trial.refuses_requests("request", [json!(trial.tpp.request().finish())]).await;
}

#[tokio::test]
async fn ciba_7_1_1_7_the_issuer_is_among_the_audiences() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let (issuer, elsewhere) = (bank.issuer.as_str(), "https://www.other1.example.com/");
    trial.accepts_requests("aud", [json!([issuer]), json!([issuer, elsewhere]), json!([elsewhere, issuer])]).await;
    trial.refuses_request("no aud", |r| r.without("aud")).await;
    for path in ["/", "/token", "/bc-authorize", "/introspect"] {
        trial.refuses_requests("aud", [json!(format!("{issuer}{path}"))]).await;
    }
    let uppercase = issuer.replace("localhost", "LOCALHOST");
    trial.refuses_requests("aud", [json!(elsewhere), json!([elsewhere]), json!(uppercase), json!(""), json!([])]).await;
    trial.refuses_requests("aud", [json!(7), json!(null), json!([issuer, 7]), json!({"aud": issuer})]).await;
}

#[tokio::test]
async fn ciba_7_1_1_8_the_iss_is_the_client_that_authenticated() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    trial.refuses_request("no iss", |r| r.without("iss")).await;
    trial.refuses_requests("iss", ["till-8", "nobody", "", "TILL-7", "till-7 "].map(Value::from)).await;
    trial.refuses_requests("iss", [json!(7), json!(null), json!(["till-7"]), json!(bank.issuer)]).await;
}

#[tokio::test]
async fn jar_10_8_1_a_sub_that_is_the_client_id_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    trial.accepts_requests("sub", [json!("alice"), json!("")]).await;
    trial.refuses_requests("sub", [json!("till-7"), json!(7), json!(null), json!(["till-7"])]).await;
}

#[tokio::test]
async fn ciba_7_1_1_12_a_jti_is_1_to_256_visible_characters() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    trial.accepts_requests("jti", [json!("j".repeat(256)), json!("!")]).await;
    trial.refuses_request("no jti", |r| r.without("jti")).await;
    trial.refuses_requests("jti", [json!(""), json!("j".repeat(257)), json!("é"), json!("a b"), json!("a\u{0}")]).await;
    trial.refuses_requests("jti", [json!(7), json!(null), json!(true), json!(["7"]), json!({"7": 7})]).await;
}

#[tokio::test]
async fn ciba_7_1_1_14_parameters_are_strings() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for name in ["scope", "acr_values", "login_hint", "binding_message"] {
        let list = json!(["openid", "accounts"]);
        trial.refuses_requests(name, [list, json!(7), json!(null), json!(true), json!({"a": 1}), json!(0.5)]).await;
    }
    for name in ["login_hint_token", "id_token_hint", "user_code"] {
        trial.refuses_requests(name, [json!(["x"]), json!(7), json!(null), json!({"a": 1})]).await;
    }
    trial.accepts_requests("acr_values", [json!("urn:bank:acr:app-pin urn:bank:acr:app-biometric")]).await;
}

#[tokio::test]
async fn ciba_7_1_37_an_unknown_claim_is_ignored() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    trial.accepts_requests("foo", [json!("bar"), json!(1), json!(null), json!({"a": [1, {"b": 2}]})]).await;
    trial.accepts_requests("nonce", [json!("n-0S6_WzA2Mj")]).await;
    trial.accepts_requests("client_id", [json!("till-7")]).await;
}

#[tokio::test]
async fn ciba_4r_9_a_client_that_only_asks_about_tokens_makes_no_request() {
    let bank = Bank::open().await;
    bank.accounts_api().backchannel(|r| r).await.refused(400, "unauthorized_client");
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn jar_5_2_a_client_id_inside_is_the_client() {
    let bank = Bank::open().await;
    bank.tpp().backchannel(|request| request.with("client_id", "till-7")).await.ok();
    bank.tpp().backchannel(|request| request.with("client_id", "till-8")).await.refused(400, "invalid_request");
    bank.tpp().backchannel(|request| request.with("client_id", 7)).await.refused(400, "invalid_request");
}
