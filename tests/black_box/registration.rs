//! Registration (RFC 7591 §3): who may, what comes back, and what is no registration at all.

use serde_json::{Value, json};

use crate::bank::{Bank, client, pki};
use crate::heard::Heard;
use crate::registrant::{Registrant, changed, with, without};
use crate::tpp::altered;
use crate::wired::{metadata, register, registering, wired};

const NOWHERE: &str = "https://localhost:1/ping";
const HOLDERS: &str = "mode = \"initial_access_token\"\ninitial_access_tokens = \"PKI/initial.tokens\"";

async fn discovered(bank: &Bank) -> Value {
    Heard::of(client(None).get(format!("{}/.well-known/openid-configuration", bank.issuer))).await.published().clone()
}

fn initial() -> String {
    std::fs::read_to_string(pki().join("initial.tokens")).expect("there").trim().to_owned()
}

/// Sends `body` as it is.
async fn post(bank: &Bank, content_type: &str, body: impl Into<String>) -> Heard {
    let request = client(None).post(format!("{}/register", bank.issuer)).header("content-type", content_type);
    Heard::of(request.body(body.into())).await
}

#[tokio::test]
async fn dcr_7591_2_registration_is_closed_unless_it_is_opened() {
    let bank = Bank::open().await;
    register(&bank, &metadata(), None).await.refused(404, "not_found");
    register(&bank, &metadata(), Some(&initial())).await.refused(404, "not_found");
    post(&bank, "text/plain", "junk").await.refused(404, "not_found");
    let published = discovered(&bank).await;
    assert!(published.get("registration_endpoint").is_none());
    assert!(published["mtls_endpoint_aliases"].get("registration_endpoint").is_none());
}

#[tokio::test]
async fn dcr_7591_2_where_it_is_open_the_metadata_says_where() {
    let bank = wired(NOWHERE).await;
    let published = discovered(&bank).await;
    let place = format!("{}/register", bank.issuer);
    assert_eq!(published["registration_endpoint"], place);
    assert_eq!(published["mtls_endpoint_aliases"]["registration_endpoint"], place);
    Registrant::of(&bank, &metadata()).await;
}

#[tokio::test]
async fn dcr_7591_2_an_initial_access_token_opens_it_and_nothing_else_does() {
    let bank = registering(HOLDERS).await;
    assert!(discovered(&bank).await["registration_endpoint"].is_string());
    let right = initial();
    let (other_case, longer, shorter) = (right.to_uppercase(), format!("{right}0"), &right[..right.len() - 1]);
    let refused = |heard: Heard| {
        heard.refused(401, "invalid_token");
        let challenge = &heard.headers["www-authenticate"];
        assert!(challenge == "Bearer" || challenge == "Bearer error=\"invalid_token\"", "{challenge:?}");
    };
    for wrong in [None, Some("wrong"), Some(other_case.as_str()), Some(longer.as_str()), Some(shorter)] {
        refused(register(&bank, &metadata(), wrong).await);
    }
    let url = format!("{}/register", bank.issuer);
    let unsent =
        || client(Some("till8")).post(&url).header("content-type", "application/json").body(metadata().to_string());
    refused(Heard::of(unsent().basic_auth(&right, Some(&right))).await);
    refused(Heard::of(unsent().header("authorization", &right)).await);
    refused(Heard::of(unsent().bearer_auth(&right).header("authorization", format!("Bearer {right}"))).await);
    refused(Heard::of(unsent().bearer_auth("wrong").header("authorization", format!("Bearer {right}"))).await);
    let as_a_member = changed(|metadata| metadata["access_token"] = json!(right));
    refused(register(&bank, &as_a_member, None).await);
    let in_the_uri = altered(unsent(), |request| request.url_mut().set_query(Some(&format!("access_token={right}"))));
    Heard::of(in_the_uri).await.refused(400, "invalid_request");
    for _ in 0..2 {
        Registrant::new(&bank, &register(&bank, &metadata(), Some(&right)).await);
    }
}

/// Who may not register learns nothing of what would be wrong.
#[tokio::test]
async fn dcr_7591_2_the_token_is_looked_at_before_the_metadata() {
    let bank = registering(HOLDERS).await;
    post(&bank, "text/plain", "junk").await.refused(401, "invalid_token");
    register(&bank, &json!({}), Some(&initial())).await.refused(400, "invalid_client_metadata");
}

#[tokio::test]
async fn dcr_7591_14_the_answer_has_every_member_as_it_is_registered() {
    let bank = wired(NOWHERE).await;
    let given = changed(|metadata| {
        metadata["scope"] = json!("accounts openid");
        metadata["software_id"] = json!("4NRB1-0XZABZI9E6-5SM3R");
        metadata["subject_type"] = json!("public");
        metadata["require_signed_request_object"] = json!(true);
    });
    let heard = register(&bank, &given, None).await;
    let registrant = Registrant::new(&bank, &heard);
    assert_eq!(registrant.members, given);
    assert_eq!(heard.body["client_id_issued_at"], bank.now());
}

#[tokio::test]
async fn dcr_7591_14_without_a_scope_a_client_may_have_all_there_is_and_is_told() {
    let bank = wired(NOWHERE).await;
    let registrant = Registrant::of(&bank, &metadata()).await;
    let told = changed(|metadata| {
        metadata["scope"] = json!("openid accounts payments");
        metadata["subject_type"] = json!("public");
        metadata["require_signed_request_object"] = json!(true);
    });
    assert_eq!(registrant.members, told);
    let till = registrant.tpp();
    till.backchannel(|request| request.with("scope", "openid accounts payments")).await.ok();
}

#[tokio::test]
async fn dcr_7591_3_what_is_unknown_here_is_ignored_and_not_echoed() {
    let bank = wired(NOWHERE).await;
    let more = changed(|metadata| {
        metadata["client_name#fr"] = json!("Boutique");
        metadata["logo_uri"] = json!("javascript:alert(1)");
        metadata["redirect_uris"] = json!(["https://till.example/cb"]);
        metadata["contacts"] = json!({"a": 1});
        metadata["role"] = json!("resource_server");
        metadata["first"] = json!({"scope": "everything"});
    });
    assert_eq!(Registrant::of(&bank, &more).await.members, Registrant::of(&bank, &metadata()).await.members);
}

#[tokio::test]
async fn dcr_7591_16_the_server_says_what_the_client_is_called_whatever_the_client_says() {
    let bank = wired(NOWHERE).await;
    let imposing = changed(|metadata| {
        metadata["client_id"] = json!("till-7");
        metadata["client_id_issued_at"] = json!(1);
        metadata["client_secret"] = json!("secret");
        metadata["client_secret_expires_at"] = json!(0);
        metadata["registration_access_token"] = json!("mine");
        metadata["registration_client_uri"] = json!("https://evil.example");
    });
    let heard = register(&bank, &imposing, None).await;
    let registrant = Registrant::new(&bank, &heard);
    assert_ne!(registrant.client_id, "till-7");
    assert_eq!(heard.body["client_id_issued_at"], bank.now());
    bank.tpp().backchannel(|request| request).await.ok();
}

#[tokio::test]
async fn dcr_7591_16_two_clients_may_have_the_same_key_and_stay_two() {
    let bank = wired(NOWHERE).await;
    let (one, two) = (Registrant::of(&bank, &metadata()).await, Registrant::of(&bank, &metadata()).await);
    assert!(one.client_id != two.client_id && one.token != two.token);
    let auth_req_id = one.tpp().auth_req_id().await;
    bank.approve(&auth_req_id).await;
    two.tpp().poll(&auth_req_id).await.refused(400, "invalid_grant");
    one.tpp().poll(&auth_req_id).await.ok();
}

#[tokio::test]
async fn dcr_7591_4_a_client_registers_without_what_only_a_front_channel_needs() {
    let bank = wired(NOWHERE).await;
    Registrant::of(&bank, &with("response_types", json!([]))).await;
    Registrant::of(&bank, &without("response_types")).await;
}

#[tokio::test]
async fn dcr_7591_1_no_more_than_16_kib_of_metadata_is_kept() {
    let bank = wired(NOWHERE).await;
    let padded = |bytes: usize| {
        changed(|metadata| {
            let key = &mut metadata["jwks"]["keys"][0];
            key["note"] = json!("x".repeat(bytes));
        })
    };
    register(&bank, &padded(17 * 1024), None).await.refused(400, "invalid_client_metadata");
    assert_eq!(register(&bank, &padded(15 * 1024), None).await.status, 201);
    assert_eq!(
        register(&bank, &with("note", "x".repeat(17 * 1024)), None).await.status,
        201,
        "what is ignored is not kept"
    );
}

#[tokio::test]
async fn dcr_7591_1_a_body_is_one_strict_json_object_of_at_most_64_kib() {
    let bank = wired(NOWHERE).await;
    let (fine, json) = (metadata().to_string(), "application/json");
    let doubled = fine.replacen('{', r#"{"client_name":"Twice","#, 1);
    let doubled_within = fine.replacen(r#"{"keys":"#, r#"{"keys":[],"keys":"#, 1);
    let escaped = fine.replacen('{', r#"{"client_nam\u0065":"Twice","#, 1);
    let nested = |deep: usize| fine.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(deep), "]".repeat(deep)), 1);
    assert!([&doubled, &doubled_within, &escaped].into_iter().all(|body| *body != fine));
    for body in [
        "",
        "{}",
        "null",
        "[]",
        "\"x\"",
        "junk",
        &fine[..fine.len() - 1],
        &format!("{fine}{fine}"),
        &format!("[{fine}]"),
        &format!("\u{feff}{fine}"),
        &doubled,
        &doubled_within,
        &escaped,
        &nested(17),
        &nested(5_000),
    ] {
        println!("{body:.80}");
        post(&bank, json, body).await.refused(400, "invalid_client_metadata");
    }
    for content_type in ["application/x-www-form-urlencoded", "text/plain", "application/jwt", "application/json5", ""]
    {
        post(&bank, content_type, fine.clone()).await.refused(400, "invalid_client_metadata");
    }
    let twice = client(None).post(format!("{}/register", bank.issuer)).body(fine.clone());
    let twice = altered(twice, |request| {
        for value in [json, "text/plain"] {
            request.headers_mut().append("content-type", value.parse().expect("a value"));
        }
    });
    Heard::of(twice).await.refused(400, "invalid_client_metadata");
    let padded = |length: usize| fine.clone() + &" ".repeat(length - fine.len());
    post(&bank, json, padded(64 * 1024 + 1)).await.refused(413, "invalid_request");
    for body in [padded(64 * 1024), nested(15)] {
        Registrant::new(&bank, &post(&bank, json, body).await);
    }
    Registrant::new(&bank, &post(&bank, "application/json; charset=utf-8", fine).await);
}

#[tokio::test]
async fn oauth_2_nothing_of_a_registration_travels_in_the_uri() {
    let bank = wired(NOWHERE).await;
    let url = format!("{}/register?client_name=x", bank.issuer);
    let request = client(None).post(url).header("content-type", "application/json").body(metadata().to_string());
    Heard::of(request).await.refused(400, "invalid_request");
}
