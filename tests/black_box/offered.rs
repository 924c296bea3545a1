//! What the metadata offers (OpenID Connect Discovery §3, RFC 8705 §5): what the deployment is set up for, and nothing else.

use countersign::http::serve::Limits;
use serde_json::{Value, json};

use crate::bank::{Bank, client, pki};
use crate::heard::Heard;
use crate::tpp::Tpp;
use crate::trial::Trial;
use crate::wired::wired;

const NOWHERE: &str = "https://localhost:1/ping";
const ALIAS: &str = "https://mtls.bank.example";
const PROFILE: &str = "profile = \"fapi-ciba-id1\"";

async fn metadata(bank: &Bank) -> Value {
    let url = format!("{}/.well-known/openid-configuration", bank.issuer);
    Heard::of(client(None).get(url)).await.published().clone()
}

/// A server with this beside its profile, and this at the end of its configuration.
async fn with(beside: &str, end: &str) -> Bank {
    let pki = pki().to_str().expect("UTF-8");
    let (beside, end) = (beside.replace("PKI", pki), end.replace("PKI", pki));
    Bank::with(Limits::default(), |shipped| shipped.replace(PROFILE, &format!("{PROFILE}\n{beside}")) + &end).await
}

/// The members in question, as they are where nothing is configured.
fn plain() -> Value {
    json!({
        "modes": ["poll"], "subjects": ["public"], "user_code": false, "registration": null, "alias": null,
        "methods": ["private_key_jwt", "self_signed_tls_client_auth"],
    })
}

fn offers(document: &Value) -> Value {
    json!({
        "modes": document["backchannel_token_delivery_modes_supported"],
        "subjects": document["subject_types_supported"],
        "user_code": document["backchannel_user_code_parameter_supported"],
        "registration": document["registration_endpoint"],
        "alias": document["mtls_endpoint_aliases"]["registration_endpoint"],
        "methods": document["token_endpoint_auth_methods_supported"],
    })
}

#[tokio::test]
async fn meta_3_each_thing_is_offered_only_where_it_is_configured_and_brings_no_other() {
    assert_eq!(offers(&metadata(&Bank::open().await).await), plain());
    let calls = "\n[client_endpoints]\ntrust = \"PKI/ca.pem\"\n";
    let open = "\n[registration]\nmode = \"open\"\n";
    let vouched = "\n[client_certificates]\nauthorities = \"PKI/ca.pem\"\n";
    let pairwise = "pairwise_key = \"PKI/pairwise.key\"";
    for (beside, end, member, value) in [
        ("", calls, "modes", json!(["poll", "ping"])),
        (pairwise, "", "subjects", json!(["public", "pairwise"])),
        ("user_code = true", "", "user_code", json!(true)),
        ("user_code = false", "", "user_code", json!(false)),
        ("", vouched, "methods", json!(["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"])),
    ] {
        println!("{member}");
        let mut expected = plain();
        expected[member] = value;
        assert_eq!(offers(&metadata(&with(beside, end).await).await), expected);
    }
    let bank = with("", open).await;
    let mut expected = plain();
    expected["registration"] = json!(format!("{}/register", bank.issuer));
    expected["alias"] = expected["registration"].clone();
    assert_eq!(offers(&metadata(&bank).await), expected);
}

#[tokio::test]
async fn meta_9_what_is_configured_is_offered_all_at_once() {
    let bank = wired(NOWHERE).await;
    let document = metadata(&bank).await;
    let at = format!("{}/register", bank.issuer);
    let expected = json!({
        "modes": ["poll", "ping"], "subjects": ["public", "pairwise"], "user_code": true, "registration": at, "alias": at,
        "methods": ["private_key_jwt", "self_signed_tls_client_auth"],
    });
    assert_eq!(offers(&document), expected);
}

#[tokio::test]
async fn mtls_5_1_clients_with_a_certificate_are_sent_to_the_other_name() {
    let bank = with(&format!("mtls_origin = \"{ALIAS}\""), "\n[registration]\nmode = \"open\"\n").await;
    let document = metadata(&bank).await;
    let aliases = document["mtls_endpoint_aliases"].as_object().expect("an object");
    assert_eq!(aliases.len(), 6);
    for (name, alias) in aliases {
        let twin = document[name].as_str().unwrap_or_else(|| panic!("{name} has no twin"));
        let path = twin.strip_prefix(&bank.issuer).expect("below the issuer");
        assert_eq!(alias, &json!(format!("{ALIAS}{path}")), "{name}");
    }
    // Nothing else moves there.
    let mut rest = document.clone();
    rest["mtls_endpoint_aliases"] = Value::Null;
    assert!(!rest.to_string().contains("mtls.bank.example"), "{rest:#}");
}

#[tokio::test]
async fn ciba_7_1_5_the_other_names_of_the_endpoints_are_audiences_too() {
    let bank = with(&format!("mtls_origin = \"{ALIAS}\""), "").await;
    let trial = Trial::of(&bank);
    for path in ["/bc-authorize", "/token", "/introspect", "/revoke"] {
        let (plain, alias) = (format!("{}{path}", bank.issuer), format!("{ALIAS}{path}"));
        trial.accepts_assertions("aud", [json!(plain), json!(alias), json!([alias])]).await;
        trial
            .refuses_assertions("aud", [json!([plain, alias]), json!(format!("{alias}/")), json!(format!("{alias}?x"))])
            .await;
    }
    let elsewhere = ["", "/", "/userinfo", "/register", "/jwks", "/decision", ".evil.example/token", ":443/token"];
    trial.refuses_assertions("aud", elsewhere.map(|path| json!(format!("{ALIAS}{path}")))).await;
    // A request object is for the issuer, whatever the endpoint is called.
    trial.refuses_requests("aud", [json!(ALIAS), json!(format!("{ALIAS}/bc-authorize"))]).await;
}

#[tokio::test]
async fn ciba_7_1_5_without_another_name_there_is_none() {
    let bank = Bank::open().await;
    Trial::of(&bank).refuses_assertions("aud", [json!(format!("{ALIAS}/token"))]).await;
}

#[tokio::test]
async fn mtls_5_2_at_each_endpoint_the_other_name_will_do() {
    let bank = with(&format!("mtls_origin = \"{ALIAS}\""), "").await;
    let till = bank.tpp();
    let token = till.tokens().await.text("access_token");
    let alias = |path: &str| format!("{ALIAS}{path}");
    let api: Tpp<'_> = bank.accounts_api();
    let asked = api.introspect_call(&token, |call| call.assertion(|a| a.with("aud", alias("/introspect"))));
    assert_eq!(asked.await.ok()["active"], true);
    let done = till.revoke_call(&token, |call| call.assertion(|a| a.with("aud", alias("/revoke")))).await;
    assert_eq!(done.status, 200);
    assert_eq!(api.introspect(&token).await.ok()["active"], false);
}
