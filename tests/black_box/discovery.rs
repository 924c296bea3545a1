//! The metadata, the published keys, and what every answer carries (OpenID Connect Discovery §3, RFC 8414, RFC 7517 §5, FAPI 1.0 part 1 §6.2.1).

use std::collections::HashSet;

use countersign::http::serve::Limits;
use countersign::jose::alg::Alg;
use countersign::profile::FAPI_CIBA_ID1;
use http::{HeaderMap, Method};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::bank::{Bank, client};
use crate::heard::Heard;
use crate::token::payload;
use crate::tpp::{CIBA, altered};

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const INTERACTION: &str = "x-fapi-interaction-id";

fn get(bank: &Bank, path: &str) -> RequestBuilder {
    client(None).get(format!("{}{path}", bank.issuer))
}

async fn metadata(bank: &Bank) -> Value {
    Heard::of(get(bank, OPENID)).await.published().clone()
}

/// Neither null nor an empty array, anywhere.
fn is_full(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(entries) => !entries.is_empty() && entries.iter().all(is_full),
        Value::Object(members) => members.values().all(is_full),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[tokio::test]
async fn meta_2_both_well_known_documents_are_the_same_to_the_byte() {
    let bank = Bank::open().await;
    let (openid, oauth) = (Heard::of(get(&bank, OPENID)).await, Heard::of(get(&bank, OAUTH)).await);
    openid.published();
    oauth.published();
    assert_eq!(openid.text, oauth.text);
}

#[tokio::test]
async fn meta_3_the_document_has_these_members_and_no_other() {
    let bank = Bank::open().await;
    let at = |path: &str| format!("{}{path}", bank.issuer);
    let algs = ["PS256", "ES256"];
    // Nobody vouches for certificates, nobody is called, and no codes are kept, as the file ships.
    let methods = ["private_key_jwt", "self_signed_tls_client_auth"];
    let document = json!({
        "issuer": bank.issuer,
        "authorization_endpoint": at("/authorize"),
        "backchannel_authentication_endpoint": at("/bc-authorize"),
        "token_endpoint": at("/token"),
        "introspection_endpoint": at("/introspect"),
        "revocation_endpoint": at("/revoke"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/jwks"),
        "scopes_supported": ["openid", "accounts", "payments"],
        "grant_types_supported": [CIBA, "refresh_token"],
        "subject_types_supported": ["public"],
        "acr_values_supported": ["urn:bank:acr:app-pin", "urn:bank:acr:app-biometric"],
        "id_token_signing_alg_values_supported": algs,
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algs,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algs,
        "introspection_signing_alg_values_supported": ["PS256"],
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algs,
        "backchannel_token_delivery_modes_supported": ["poll"],
        "backchannel_authentication_request_signing_alg_values_supported": algs,
        "backchannel_user_code_parameter_supported": false,
        "request_parameter_supported": true,
        "request_uri_parameter_supported": false,
        "require_signed_request_object": true,
        "tls_client_certificate_bound_access_tokens": true,
        "dpop_signing_alg_values_supported": ["ES256", "PS256", "Ed25519"],
        "mtls_endpoint_aliases": {
            "backchannel_authentication_endpoint": at("/bc-authorize"),
            "token_endpoint": at("/token"),
            "introspection_endpoint": at("/introspect"),
            "revocation_endpoint": at("/revoke"),
            "userinfo_endpoint": at("/userinfo"),
        },
    });
    assert_eq!(metadata(&bank).await, document);
}

/// A profile that has one algorithm publishes one, however many keys there are.
#[tokio::test]
async fn meta_10_only_what_the_profile_allows_is_signed_with() {
    let bank = Bank::with(Limits::default(), |shipped| {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let path = folder.join("profile.toml");
        let one = FAPI_CIBA_ID1.replace(r#"["PS256", "ES256"]"#, r#"["ES256"]"#);
        std::fs::write(&path, one).expect("written");
        let tightened =
            shipped.replace("\"fapi-ciba-id1\"", &format!("\"{}\"", path.display())).replace("PS256", "ES256");
        tightened.replace("till.jwks.json", "till8.jwks.json")
    })
    .await;
    let document = metadata(&bank).await;
    for member in [
        "id_token_signing_alg_values_supported",
        "introspection_signing_alg_values_supported",
        "token_endpoint_auth_signing_alg_values_supported",
        "backchannel_authentication_request_signing_alg_values_supported",
    ] {
        assert_eq!(document[member], json!(["ES256"]), "{member}");
    }
}

#[tokio::test]
async fn meta_3_a_member_without_a_value_is_left_out() {
    let bare =
        |shipped: &str| shipped.lines().filter(|line| !line.starts_with("acr_values")).collect::<Vec<_>>().join("\n");
    let bank = Bank::with(Limits::default(), bare).await;
    let document = metadata(&bank).await;
    assert_eq!(document.get("acr_values_supported"), None);
    assert!(is_full(&document), "{document:#}");
    assert!(is_full(&metadata(&Bank::open().await).await));
}

#[tokio::test]
async fn meta_1_the_issuer_is_the_iss_of_tokens() {
    let bank = Bank::open().await;
    let issuer = metadata(&bank).await["issuer"].clone();
    let tokens = bank.tpp().tokens().await;
    assert_eq!(payload(&tokens.text("id_token"))["iss"], issuer);
    assert_eq!(bank.accounts_api().introspect(&tokens.text("access_token")).await.ok()["iss"], issuer);
}

#[tokio::test]
async fn meta_every_endpoint_is_where_the_document_says() {
    let bank = Bank::open().await;
    let document = metadata(&bank).await;
    let at = |member: &str| {
        let url: url::Url = document[member].as_str().expect("a string").parse().expect("a URL");
        assert_eq!(url.scheme(), "https", "{member}");
        move |request: &mut reqwest::Request| *request.url_mut() = url
    };
    let till = bank.tpp();
    let asked = Heard::of(till.backchannel_http(at("backchannel_authentication_endpoint"))).await;
    let auth_req_id = asked.text("auth_req_id");
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    let access_token = Heard::of(till.poll_http(&auth_req_id, at("token_endpoint"))).await.text("access_token");
    let seen = Heard::of(bank.accounts_api().introspect_http(&access_token, at("introspection_endpoint"))).await;
    assert_eq!(seen.ok()["active"], true);
    Heard::of(altered(get(&bank, "/"), at("jwks_uri"))).await.published();
}

#[tokio::test]
async fn meta_10_what_is_said_not_to_be_supported_is_refused() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    till.backchannel(|request| request.with("user_code", "1")).await.refused(400, "invalid_request");
    let by_reference =
        till.backchannel_call(|call| call.set("request", "").and("request_uri", "https://till.example/r"));
    by_reference.await.refused(400, "invalid_request");
    let unsigned = till.backchannel_call(|call| {
        let claims = ["scope", "login_hint", "binding_message"].map(|name| (name, call.request.claims()[name].clone()));
        let bare = call.drop("request");
        claims.iter().fold(bare, |call, (name, value)| call.and(name, value.as_str().expect("a string")))
    });
    unsigned.await.refused(400, "invalid_request");
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn meta_each_scope_and_acr_on_offer_can_be_had() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let document = metadata(&bank).await;
    let words = |member: &str| {
        let words = document[member].as_array().expect("an array").iter();
        words.map(|word| word.as_str().expect("a string").to_owned()).collect::<Vec<_>>()
    };
    let scope = words("scopes_supported").join(" ");
    let heard = till.backchannel(|request| request.with("scope", scope)).await;
    assert_eq!(bank.phone.prompts()[0]["scope"], document["scopes_supported"]);
    let mut auth_req_id = heard.text("auth_req_id");
    for acr in words("acr_values_supported") {
        let decision =
            json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": "alice-248289761001", "acr": acr});
        assert_eq!(bank.decide(&decision).await.status, 204);
        assert_eq!(payload(&till.poll(&auth_req_id).await.text("id_token"))["acr"], acr);
        auth_req_id = till.auth_req_id().await;
    }
}

#[tokio::test]
async fn meta_no_header_moves_the_issuer() {
    let bank = Bank::open().await;
    for path in [OPENID, OAUTH, "/jwks"] {
        let honest = Heard::of(get(&bank, path)).await;
        let forged = get(&bank, path)
            .header("host", "evil.example")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "http")
            .header("forwarded", "host=evil.example;proto=http");
        let forged = Heard::of(forged).await;
        forged.published();
        assert_eq!(forged.text, honest.text, "{path}");
    }
    let forged = |request: &mut reqwest::Request| {
        drop(request.headers_mut().insert("host", "evil.example".parse().expect("a value")));
    };
    let till = bank.tpp();
    let auth_req_id = Heard::of(till.backchannel_http(forged)).await.text("auth_req_id");
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    let id_token = Heard::of(till.poll_http(&auth_req_id, forged)).await.text("id_token");
    assert_eq!(payload(&id_token)["iss"], bank.issuer.as_str());
}

#[tokio::test]
async fn meta_16_the_keys_are_public_marked_and_told_apart() {
    let bank = Bank::open().await;
    let heard = Heard::of(get(&bank, "/jwks")).await;
    let document = heard.published().as_object().expect("an object");
    assert_eq!(document.keys().collect::<Vec<_>>(), ["keys"]);
    let mut kids = HashSet::new();
    let mut algs = HashSet::new();
    for key in document["keys"].as_array().expect("an array") {
        let members: HashSet<&str> = key.as_object().expect("an object").keys().map(String::as_str).collect();
        let expected = match key["kty"].as_str() {
            Some("EC") => HashSet::from(["kty", "kid", "use", "alg", "crv", "x", "y"]),
            Some("RSA") => HashSet::from(["kty", "kid", "use", "alg", "n", "e"]),
            other => panic!("another kind of key: {other:?}"),
        };
        assert_eq!(members, expected);
        assert_eq!(key["use"], "sig");
        assert!(kids.insert(key["kid"].as_str().expect("a string")), "a kid twice");
        algs.insert(key["alg"].as_str().expect("a string"));
    }
    assert_eq!(algs, Alg::ALL.map(Alg::name).into());
}

#[tokio::test]
async fn meta_17_only_what_was_found_may_be_kept() {
    let bank = Bank::open().await;
    for path in [OPENID, OAUTH, "/jwks"] {
        Heard::of(get(&bank, path)).await.published();
        let posted = altered(get(&bank, path), |request| *request.method_mut() = Method::POST);
        Heard::of(posted).await.refused(405, "invalid_request");
    }
}

#[tokio::test]
async fn rfc9110_15_5_5_where_nothing_is_the_answer_has_the_shape_of_an_error() {
    let bank = Bank::open().await;
    for path in ["/", "/.well-known/", "/.well-known/openid-configuration/", "/jwks.json", "/authorise", "/x?y=1"] {
        println!("{path}");
        Heard::of(get(&bank, path)).await.refused(404, "not_found");
    }
}

/// One request for each kind of answer, with its status.
fn every_answer(bank: &Bank) -> Vec<(RequestBuilder, u16)> {
    let till = bank.tpp();
    vec![
        (get(bank, OPENID), 200),
        (till.backchannel_http(|_| ()), 200),
        (till.poll_http("x", |_| ()), 400),
        (client(None).post(format!("{}/token", bank.issuer)).header("content-type", "text/plain"), 400),
        (bank.accounts_api().introspect_http("x", |request| *request.body_mut() = Some("token=x".into())), 401),
        (get(bank, "/nowhere"), 404),
        (get(bank, "/token"), 405),
    ]
}

fn interaction(headers: &HeaderMap) -> String {
    let ids: Vec<_> = headers.get_all(INTERACTION).iter().collect();
    assert_eq!(ids.len(), 1);
    ids[0].to_str().expect("ASCII").to_owned()
}

#[tokio::test]
async fn fapi1b_6_2_1_8_the_callers_interaction_id_is_echoed() {
    let bank = Bank::open().await;
    let id = "c770aef3-6784-41f7-8e0e-ff5f97bddb3A";
    for (request, status) in every_answer(&bank) {
        let heard = Heard::of(request.header(INTERACTION, id)).await;
        assert_eq!((heard.status, interaction(&heard.headers).as_str()), (status, id));
    }
}

#[tokio::test]
async fn fapi1b_6_2_1_8_without_one_or_with_another_thing_a_new_one_is_made() {
    let bank = Bank::open().await;
    let mut seen = HashSet::new();
    for given in [None, Some("not-a-uuid"), Some("c770aef3-6784-41f7-8e0e-ff5f97bddb3a-"), Some("")] {
        for (request, status) in every_answer(&bank) {
            let request = given.map_or_else(
                || request.try_clone().expect("no stream"),
                |id| request.try_clone().expect("no stream").header(INTERACTION, id),
            );
            let heard = Heard::of(request).await;
            let id = interaction(&heard.headers);
            assert_eq!(heard.status, status);
            assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
            assert!(id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()), "{id}");
            assert!(seen.insert(id), "made twice");
        }
    }
}
