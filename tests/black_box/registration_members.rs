//! The metadata of a client, member by member (RFC 7591 §2, CIBA §4, RFC 8705 §2.1.2): each right at its limit, and wrong one beyond.

use serde_json::{Value, json};

use crate::bank::Bank;
use crate::registrant::{Registrant, changed, plain, refuses, with, without};
use crate::wired::{metadata, wired};

const NOWHERE: &str = "https://localhost:1/ping";

async fn open() -> Bank {
    wired(NOWHERE).await
}

async fn refuses_each(bank: &Bank, member: &str, values: impl IntoIterator<Item = Value>) {
    for value in values {
        refuses(bank, format!("{member}: {value}"), &with(member, value.clone())).await;
    }
}

fn ping(endpoint: &str) -> Value {
    changed(|metadata| {
        metadata["backchannel_token_delivery_mode"] = json!("ping");
        metadata["backchannel_client_notification_endpoint"] = json!(endpoint);
    })
}

#[tokio::test]
async fn dcr_7591_14_a_member_that_has_to_be_there_is_missed() {
    let bank = open().await;
    for member in [
        "client_name",
        "jwks",
        "grant_types",
        "backchannel_token_delivery_mode",
        "backchannel_authentication_request_signing_alg",
        "id_token_signed_response_alg",
        "token_endpoint_auth_method",
        "token_endpoint_auth_signing_alg",
    ] {
        refuses(&bank, member, &without(member)).await;
    }
    for member in ["response_types", "backchannel_user_code_parameter", "tls_client_certificate_bound_access_tokens"] {
        Registrant::of(&bank, &without(member)).await;
    }
}

#[tokio::test]
async fn dcr_7591_14_a_member_of_another_type_is_refused_and_not_taken_for_absent() {
    let bank = open().await;
    let wrong = [json!(null), json!(1), json!([]), json!({}), json!("")];
    for member in [
        "client_name",
        "scope",
        "jwks_uri",
        "backchannel_token_delivery_mode",
        "backchannel_client_notification_endpoint",
        "backchannel_authentication_request_signing_alg",
        "id_token_signed_response_alg",
        "token_endpoint_auth_method",
        "token_endpoint_auth_signing_alg",
        "subject_type",
        "sector_identifier_uri",
        "software_id",
        "tls_client_auth_subject_dn",
    ] {
        refuses_each(&bank, member, wrong.clone()).await;
    }
    refuses_each(
        &bank,
        "jwks",
        [json!(null), json!("x"), json!([]), json!({}), json!({"keys": {}}), json!({"keys": ["x"]})],
    )
    .await;
    refuses_each(
        &bank,
        "grant_types",
        [json!(null), json!("urn:openid:params:grant-type:ciba"), json!([1]), json!({})],
    )
    .await;
    let flags = [
        "backchannel_user_code_parameter",
        "tls_client_certificate_bound_access_tokens",
        "require_signed_request_object",
    ];
    for flag in flags {
        refuses_each(&bank, flag, [json!(null), json!("true"), json!(1), json!([true])]).await;
    }
}

#[tokio::test]
async fn ciba_4r_1_push_and_unknown_modes_are_refused() {
    let bank = open().await;
    let modes = ["push", "Poll", "poll ping", "none"].map(Value::from);
    refuses_each(&bank, "backchannel_token_delivery_mode", modes).await;
    refuses_each(&bank, "backchannel_token_delivery_mode", [json!(["poll"]), json!(["poll", "ping"])]).await;
    let push = changed(|metadata| {
        metadata["backchannel_token_delivery_mode"] = json!("push");
        metadata["backchannel_client_notification_endpoint"] = json!("https://till.example/push");
    });
    refuses(&bank, "push with an endpoint", &push).await;
}

#[tokio::test]
async fn ciba_4r_2_a_ping_client_has_an_endpoint_and_a_poll_client_has_none() {
    let bank = open().await;
    refuses(&bank, "ping without one", &with("backchannel_token_delivery_mode", "ping")).await;
    let poll = with("backchannel_client_notification_endpoint", "https://till.example/ping");
    refuses(&bank, "poll with one", &poll).await;
    Registrant::of(&bank, &ping("https://till.example/ping")).await;
    refuses(&plain().await, "a server that calls nobody", &ping("https://till.example/ping")).await;
}

#[tokio::test]
async fn ciba_4r_3_a_url_of_a_client_names_a_host_over_https_and_nothing_more() {
    let bank = open().await;
    let longest = format!("https://till.example/{}", "a".repeat(2048 - 21));
    for bad in [
        "http://till.example/x",
        "ftp://till.example/x",
        "till.example/x",
        "/x",
        "https://",
        "https://127.0.0.1/x",
        "https://10.0.0.1/x",
        "https://[::1]/x",
        "https://[2a00::1]/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://till.example/x#y",
        "https://till.example/x#",
        "https://u@till.example/x",
        "https://u:p@till.example/x",
        "https://:p@till.example/x",
        "https://till.example/a b",
        "https://till.example/\u{202e}",
        "javascript:alert(1)",
        &format!("{longest}a"),
    ] {
        refuses(&bank, bad, &ping(bad)).await;
        let published = changed(|metadata| {
            metadata.as_object_mut().expect("an object").remove("jwks");
            metadata["jwks_uri"] = json!(bad);
        });
        refuses(&bank, format!("{bad} as a jwks_uri"), &published).await;
    }
    for fine in [&longest, "https://till.example", "https://till.example:8443/ping?client=9"] {
        assert_eq!(Registrant::of(&bank, &ping(fine)).await.members["backchannel_client_notification_endpoint"], *fine);
    }
}

#[tokio::test]
async fn ciba_4r_5_and_dcr_7591_10_an_algorithm_is_one_of_two_and_has_a_key() {
    let bank = open().await;
    for member in [
        "backchannel_authentication_request_signing_alg",
        "id_token_signed_response_alg",
        "token_endpoint_auth_signing_alg",
    ] {
        let names = ["none", "RS256", "HS256", "EdDSA", "ES384", "es256", "PS512"].map(Value::from);
        refuses_each(&bank, member, names).await;
        refuses_each(&bank, member, [json!(["ES256"])]).await;
    }
    for member in ["backchannel_authentication_request_signing_alg", "token_endpoint_auth_signing_alg"] {
        refuses(&bank, format!("{member} without a key for it"), &with(member, "PS256")).await;
    }
    Registrant::of(&bank, &with("id_token_signed_response_alg", "PS256")).await;
}

#[tokio::test]
async fn ciba_4r_7_a_client_has_user_codes_only_where_the_server_has() {
    let with_codes = with("backchannel_user_code_parameter", true);
    assert_eq!(Registrant::of(&open().await, &with_codes).await.members["backchannel_user_code_parameter"], true);
    let bank = plain().await;
    refuses(&bank, "none here", &with_codes).await;
    Registrant::of(&bank, &metadata()).await;
}

#[tokio::test]
async fn ciba_4r_8_and_dcr_7591_11_the_grants_are_ciba_and_perhaps_refresh() {
    const CIBA: &str = "urn:openid:params:grant-type:ciba";
    let bank = open().await;
    for grants in [
        json!([]),
        json!(["refresh_token"]),
        json!(["authorization_code"]),
        json!([CIBA, "authorization_code"]),
        json!([CIBA, "refresh_token", "client_credentials"]),
        json!([CIBA, "implicit"]),
        json!([CIBA, "password"]),
        json!(["urn:openid:params:grant-type:CIBA"]),
        json!([CIBA, ""]),
        json!([[CIBA]]),
    ] {
        refuses(&bank, &grants, &with("grant_types", grants.clone())).await;
    }
    Registrant::of(&bank, &with("grant_types", json!([CIBA, "refresh_token"]))).await;
    for types in [json!(["code"]), json!([""]), json!(["none"]), json!("")] {
        refuses(&bank, &types, &with("response_types", types.clone())).await;
    }
}

#[tokio::test]
async fn dcr_7591_12_a_scope_is_of_those_that_are_offered_and_has_openid() {
    let bank = open().await;
    let scopes =
        ["admin", "openid admin", "accounts", "openid  accounts", " openid", "openid ", "openid\taccounts", "OpenID"];
    refuses_each(&bank, "scope", scopes.map(Value::from)).await;
    assert_eq!(Registrant::of(&bank, &with("scope", "openid")).await.members["scope"], "openid");
    let till = Registrant::of(&bank, &with("scope", "openid")).await;
    till.tpp().backchannel(|request| request).await.refused(400, "invalid_scope");
}

#[tokio::test]
async fn dcr_7591_17_a_name_is_what_a_screen_shows_as_it_is_written() {
    let bank = open().await;
    for name in [
        "Shop \u{202e}knaB",
        "Shop\u{200b}",
        "Shop\n",
        " Shop",
        "Shop ",
        "see https://evil.example",
        "a\u{301}\u{302}\u{303}",
        "\u{1f512} Bank",
        "\u{0}",
        &"x".repeat(129),
        &"é".repeat(129),
    ] {
        refuses(&bank, name.escape_debug(), &with("client_name", name)).await;
    }
    for name in [&"é".repeat(128), "Café 品川 №7"] {
        let till = Registrant::of(&bank, &with("client_name", name)).await;
        till.tpp().backchannel(|request| request).await.ok();
        assert_eq!(bank.phone.prompts().last().expect("one")["client_name"], *name);
    }
}

#[tokio::test]
async fn fapi1a_tokens_are_always_bound_and_requests_always_signed() {
    let bank = open().await;
    for member in ["tls_client_certificate_bound_access_tokens", "require_signed_request_object"] {
        refuses(&bank, member, &with(member, false)).await;
        Registrant::of(&bank, &with(member, true)).await;
    }
}
