//! `/bc-authorize`: what is asked for (CIBA §7.1), and how it is acknowledged (§7.3). Hints and binding messages have files of their own.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::bank::{Bank, key};
use crate::heard::Heard;
use crate::tpp::Tpp;

/// Each of `cases` as the claim `name` is refused with `error`, and nobody is asked.
async fn each_refused(name: &str, cases: impl IntoIterator<Item = Value>, error: &str) {
    let bank = Bank::open().await;
    let till = bank.tpp();
    for value in cases {
        println!("{name}: {value}");
        till.backchannel(|request| request.with(name, value)).await.refused(400, error);
    }
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn ciba_7_3_a_good_request_is_acknowledged_and_the_person_is_asked() {
    let bank = Bank::open().await;
    let heard = bank.tpp().backchannel(|request| request.with("requested_expiry", 30)).await;
    let auth_req_id = heard.text("auth_req_id");
    assert_eq!(heard.body, json!({"auth_req_id": auth_req_id, "expires_in": 30, "interval": 5}));
    assert_eq!(auth_req_id.len(), 43);
    assert!(auth_req_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
    let prompt = json!({
        "auth_req_id": auth_req_id, "sub": "alice-248289761001", "client_id": "till-7", "client_name": "Corner Shop, till 7",
        "scope": ["openid", "accounts"], "binding_message": "1234", "expires_in": 30,
    });
    assert_eq!(bank.phone.prompts(), [prompt]);
}

#[tokio::test]
async fn ciba_7_3_2_every_auth_req_id_is_another() {
    let bank = Bank::open().await;
    let till = bank.other_tpp();
    let mut seen = HashSet::new();
    for _ in 0..32 {
        assert!(seen.insert(till.auth_req_id().await));
    }
}

#[tokio::test]
async fn ciba_7_1_a_client_certificate_is_not_needed_to_ask() {
    let bank = Bank::open().await;
    bank.tpp().backchannel_call(crate::tpp::Call::bare).await.ok();
    assert_eq!(bank.phone.prompts().len(), 1);
}

#[tokio::test]
async fn ciba_7_1_9_a_scope_is_needed() {
    let bank = Bank::open().await;
    bank.tpp().backchannel(|request| request.without("scope")).await.refused(400, "invalid_request");
    assert!(bank.phone.prompts().is_empty());
    each_refused("scope", [json!(""), json!(null), json!(["openid"]), json!(7)], "invalid_request").await;
}

#[tokio::test]
async fn ciba_7_1_10_the_scope_contains_openid() {
    each_refused("scope", ["accounts", "Openid accounts", "accounts payments"].map(Value::from), "invalid_scope").await;
}

#[tokio::test]
async fn ciba_7_1_11_a_scope_is_tokens_with_one_space_between_none_of_them_twice() {
    let malformed = [
        "openid openid",
        "openid accounts openid",
        "openid  accounts",
        " openid",
        "openid ",
        "openid\taccounts",
        "openid\naccounts",
        "openid \"accounts\"",
        "openid acc\\ounts",
        "openid accounts\u{0}",
        "openid accounté",
    ];
    each_refused("scope", malformed.map(Value::from), "invalid_scope").await;
}

#[tokio::test]
async fn ciba_7_1_11_the_order_of_scopes_does_not_matter() {
    let bank = Bank::open().await;
    bank.tpp().backchannel(|request| request.with("scope", "accounts openid")).await.ok();
    assert_eq!(bank.phone.prompts()[0]["scope"], json!(["accounts", "openid"]));
    bank.tpp().backchannel(|request| request.with("scope", "openid")).await.ok();
    assert_eq!(bank.phone.prompts()[1]["scope"], json!(["openid"]));
}

#[tokio::test]
async fn ciba_7_1_12_an_unknown_scope_is_refused() {
    each_refused("scope", ["openid unknown", "openid Accounts", "openid account"].map(Value::from), "invalid_scope")
        .await;
}

#[tokio::test]
async fn ciba_7_1_12_a_scope_that_only_another_client_has_is_refused() {
    let bank = Bank::open().await;
    let with_payments = "openid payments";
    bank.other_tpp().backchannel(|request| request.with("scope", with_payments)).await.refused(400, "invalid_scope");
    assert!(bank.phone.prompts().is_empty());
    bank.tpp().backchannel(|request| request.with("scope", with_payments)).await.ok();
}

#[tokio::test]
async fn ciba_7_1_17_a_notification_token_of_a_poll_client_is_ignored() {
    let bank = Bank::open().await;
    let token = "n0t1f1cat10n-t0ken-n0t1f1cat10n";
    bank.tpp().backchannel(|request| request.with("client_notification_token", token)).await.ok();
    let prompts = bank.phone.prompts();
    assert_eq!(prompts.len(), 1);
    assert!(!prompts[0].to_string().contains(token));
}

#[tokio::test]
async fn ciba_7_1_18_acr_values_are_passed_on_in_order() {
    let bank = Bank::open().await;
    bank.tpp().backchannel(|request| request.with("acr_values", "urn:bank:acr:app-pin urn:other")).await.ok();
    assert_eq!(bank.phone.prompts()[0]["acr_values"], json!(["urn:bank:acr:app-pin", "urn:other"]));
}

#[tokio::test]
async fn ciba_7_1_18_eight_acr_values_of_512_characters_in_all_and_no_more() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    for fits in [["a"; 8].join(" "), "a".repeat(512)] {
        till.backchannel(|request| request.with("acr_values", fits)).await.ok();
    }
    for bad in [json!(["a"; 9].join(" ")), json!("a".repeat(513)), json!("a\nb"), json!("é"), json!(["a"]), json!(1)] {
        println!("{bad}");
        till.backchannel(|request| request.with("acr_values", bad)).await.refused(400, "invalid_request");
    }
    assert_eq!(bank.phone.prompts().len(), 2);
}

#[tokio::test]
async fn ciba_7_1_31_a_user_code_is_refused() {
    each_refused("user_code", [json!("1234"), json!(1234)], "invalid_request").await;
}

#[tokio::test]
async fn ciba_7_1_34_requested_expiry_is_a_positive_whole_number() {
    let bad = [
        json!(0),
        json!(-1),
        json!(1.5),
        json!("abc"),
        json!(null),
        json!(true),
        json!("0"),
        json!("-1"),
        json!("1.5"),
        json!(""),
        json!("10 "),
        json!(1e3),
        json!([10]),
        json!(u64::MAX),
        json!("99999999999"),
    ];
    each_refused("requested_expiry", bad, "invalid_request").await;
}

#[tokio::test]
async fn ciba_7_1_35_and_36_requested_expiry_is_honoured_and_capped() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    for (requested, granted) in [
        (json!(10), 10),
        (json!("30"), 30),
        (json!(1), 1),
        (json!(600), 600),
        (json!(601), 600),
        (json!(9_999_999_999_u64), 600),
        (json!("9999999999"), 600),
    ] {
        let heard = till.backchannel(|request| request.with("requested_expiry", requested.clone())).await;
        assert_eq!(heard.ok()["expires_in"], granted, "{requested}");
        assert_eq!(bank.phone.prompts().last().expect("one")["expires_in"], granted, "{requested}");
    }
    assert_eq!(till.backchannel(|request| request).await.ok()["expires_in"], 120);
}

#[tokio::test]
async fn ciba_7_1_37_what_the_request_object_holds_besides_is_ignored() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    till.backchannel(|request| request.with("foo", "bar").with("x", json!({"y": [1]}))).await.ok();
    let prompts = bank.phone.prompts();
    assert_eq!(prompts.len(), 1);
    assert!(!prompts[0].to_string().contains("bar"));
}

#[tokio::test]
async fn ciba_7_1_37_and_so_is_an_unknown_parameter_beside_it() {
    let bank = Bank::open().await;
    bank.tpp().backchannel_call(|call| call.and("foo", "bar")).await.ok();
}

#[tokio::test]
async fn ciba_4r_9_a_resource_server_cannot_ask_anyone() {
    let bank = Bank::open().await;
    bank.accounts_api().backchannel(|request| request).await.refused(400, "unauthorized_client");
    let keys = (key("accounts-api-es256.key"), key("accounts-api-es256.key"));
    let with_a_certificate = Tpp::new(&bank, "accounts-api", keys, Some("till"));
    with_a_certificate.backchannel(|request| request).await.refused(400, "unauthorized_client");
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn ciba_7_2_1_who_comes_before_what() {
    let bank = Bank::open().await;
    let heard: Heard = bank
        .tpp()
        .backchannel_call(|call| call.drop("client_assertion").request(|request| request.without("scope")))
        .await;
    heard.refused(401, "invalid_client");
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn fapiciba_5_3_1_a_request_context_reaches_the_bank_as_it_is() {
    let bank = Bank::open().await;
    let context = json!({"terminal": {"id": "7", "lane": [1, 2, {"x": null}]}, "amount": 42.9, "unknown": "é"});
    bank.tpp().backchannel(|request| request.with("request_context", context.clone())).await.ok();
    assert_eq!(bank.phone.prompts()[0]["request_context"], context);
    bank.tpp().backchannel(|request| request).await.ok();
    assert_eq!(bank.phone.prompts()[1].get("request_context"), None);
}

#[tokio::test]
async fn fapiciba_5_3_1_a_request_context_is_an_object_within_limits() {
    let bank = Bank::open().await;
    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "in": inner }));
    let sized = |length: usize| json!({ "x": "x".repeat(length - r#"{"x":""}"#.len()) });
    for good in [json!({}), nested(8), sized(4_096)] {
        bank.tpp().backchannel(|request| request.with("request_context", good)).await.ok();
    }
    let asked = bank.phone.prompts().len();
    for bad in [json!("{}"), json!([]), json!(null), json!(1), json!(true), nested(9), sized(4_097)] {
        let heard = bank.tpp().backchannel(|request| request.with("request_context", bad.clone())).await;
        println!("{bad}");
        heard.refused(400, "invalid_request");
    }
    assert_eq!(bank.phone.prompts().len(), asked);
}
