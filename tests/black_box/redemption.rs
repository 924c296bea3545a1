//! `/token` when there is something to collect: tokens once, for the one who asked (CIBA §10.1.1, OpenID Connect Core §2).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::jose::alg::Alg;
use countersign::jose::jwk::KeySet;
use countersign::jose::jws::Compact;
use serde_json::{Value, json};

use crate::bank::{Bank, certificates, client, key};
use crate::heard::Heard;
use crate::token::{header, payload};
use crate::tpp::Tpp;

/// The keys that are published.
pub(crate) async fn jwks(bank: &Bank) -> Value {
    Heard::of(client(None).get(format!("{}/jwks", bank.issuer))).await.published().clone()
}

/// The claims of `id_token`, once a published key vouched for them under `alg`.
pub(crate) async fn verified(bank: &Bank, id_token: &str, alg: Alg) -> Value {
    let published = jwks(bank).await;
    let kids: Vec<&Value> = published["keys"].as_array().expect("keys").iter().map(|key| &key["kid"]).collect();
    let header = header(id_token);
    assert_eq!(header, json!({"alg": alg.name(), "kid": header["kid"], "typ": "JWT"}));
    assert!(kids.contains(&&header["kid"]));
    let keys = KeySet::parse(published.to_string().as_bytes()).expect("public keys");
    let token = Compact::parse(id_token, 8192).expect("well-formed");
    token.verify(&keys, alg).expect("signed by a published key");
    payload(id_token)
}

/// RFC 8705 §3.1, worked out here: the thumbprint of the certificate in `{name}.pem`.
pub(crate) fn thumbprint(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificates(name)[0]))
}

#[tokio::test]
async fn ciba_10_1_8_an_approval_gives_tokens() {
    let bank = Bank::open().await;
    let heard = bank.tpp().tokens().await;
    let (access_token, id_token) = (heard.text("access_token"), heard.text("id_token"));
    let tokens = json!({
        "access_token": access_token, "token_type": "Bearer", "expires_in": 300, "scope": "openid accounts", "id_token": id_token,
    });
    assert_eq!(heard.body, tokens);
    assert_eq!(access_token.len(), 43);
    assert!(access_token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
}

#[tokio::test]
async fn ciba_10_1_11_the_id_token_says_who_when_and_for_whom_and_nothing_else() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    bank.clock.advance(7);
    let approved_at = bank.now();
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    bank.clock.advance(11);
    let id_token = till.poll(&auth_req_id).await.text("id_token");
    let now = bank.now();
    let claims = json!({
        "iss": bank.issuer, "sub": "alice-248289761001", "aud": "till-7", "iat": now, "exp": now + 300, "auth_time": approved_at,
    });
    assert_eq!(verified(&bank, &id_token, Alg::Ps256).await, claims);
}

#[tokio::test]
async fn idt_2_the_algorithm_is_the_one_the_client_registered() {
    let bank = Bank::open().await;
    let claims = verified(&bank, &bank.other_tpp().tokens().await.text("id_token"), Alg::Es256).await;
    assert_eq!(claims["aud"], "till-8");
}

#[tokio::test]
async fn ciba_10_1_11_acr_and_auth_time_are_what_the_bank_reported() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    let auth_time = bank.now() - 40;
    let decision = json!({
        "auth_req_id": auth_req_id, "decision": "approve", "sub": "alice-248289761001", "acr": "urn:bank:acr:app-pin", "auth_time": auth_time,
    });
    assert_eq!(bank.decide(&decision).await.status, 204);
    let heard = till.poll(&auth_req_id).await;
    let claims = verified(&bank, &heard.text("id_token"), Alg::Ps256).await;
    let now = bank.now();
    let expected = json!({
        "iss": bank.issuer, "sub": "alice-248289761001", "aud": "till-7", "iat": now, "exp": now + 300, "auth_time": auth_time,
        "acr": "urn:bank:acr:app-pin",
    });
    assert_eq!(claims, expected);
    let seen = bank.accounts_api().introspect(&heard.text("access_token")).await;
    assert_eq!(seen.ok()["acr"], "urn:bank:acr:app-pin");
    assert_eq!(seen.ok()["auth_time"], auth_time);
}

#[tokio::test]
async fn oidc_2_auth_time_is_not_after_iat_although_the_clock_of_the_bank_runs_ahead() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    let ahead = bank.now() + 30;
    let decision =
        json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": "alice-248289761001", "auth_time": ahead});
    assert_eq!(bank.decide(&decision).await.status, 204);
    let claims = payload(&till.poll(&auth_req_id).await.text("id_token"));
    assert!(claims["auth_time"].as_i64() <= claims["iat"].as_i64(), "{claims:#}");
}

#[tokio::test]
async fn ciba_10_1_9_an_auth_req_id_is_spent_once_collected() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    let access_token = till.poll(&auth_req_id).await.text("access_token");
    for wait in [0, 5, 120, 60] {
        bank.clock.advance(wait);
        till.poll(&auth_req_id).await.refused(400, "invalid_grant");
    }
    assert_eq!(bank.accounts_api().introspect(&access_token).await.ok()["active"], true);
}

#[tokio::test]
async fn ciba_10_1_3_another_client_gets_nothing_and_harms_nothing_while_pending() {
    let bank = Bank::open().await;
    let (till, other) = (bank.tpp(), bank.other_tpp());
    let auth_req_id = till.auth_req_id().await;
    for _ in 0..3 {
        other.poll(&auth_req_id).await.refused(400, "invalid_grant");
    }
    till.poll(&auth_req_id).await.refused(400, "authorization_pending");
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    till.poll(&auth_req_id).await.ok();
}

#[tokio::test]
async fn ciba_10_1_3_another_client_gets_nothing_and_harms_nothing_once_approved() {
    let bank = Bank::open().await;
    let (till, other) = (bank.tpp(), bank.other_tpp());
    let auth_req_id = till.auth_req_id().await;
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    other.poll(&auth_req_id).await.refused(400, "invalid_grant");
    till.poll(&auth_req_id).await.ok();
}

#[tokio::test]
async fn ciba_11_8_another_client_cannot_tell_what_became_of_a_request() {
    let bank = Bank::open().await;
    let (till, other) = (bank.tpp(), bank.other_tpp());
    let pending = till.auth_req_id().await;
    let denied = till.auth_req_id().await;
    assert_eq!(bank.deny(&denied).await.status, 204);
    let spent = till.auth_req_id().await;
    assert_eq!(bank.approve(&spent).await.status, 204);
    till.poll(&spent).await.ok();
    let mut bodies = vec![till.poll(&spent).await.text];
    for foreign in [&pending, &denied, &spent] {
        bodies.push(other.poll(foreign).await.text);
    }
    bank.clock.advance(120);
    bodies.push(other.poll(&pending).await.text);
    let unknown = "A".repeat(43);
    let unlike =
        ["A".repeat(42), "A".repeat(44), "A".repeat(9000), format!("{}!", &unknown[1..]), pending[1..].to_owned()];
    for id in [unknown].iter().chain(&unlike) {
        let heard = other.poll(id).await;
        heard.refused(400, "invalid_grant");
        bodies.push(heard.text);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
}

#[tokio::test]
async fn mtls_3_1_the_access_token_is_bound_to_the_certificate_of_the_token_request() {
    let bank = Bank::open().await;
    let access_token = bank.tpp().tokens().await.text("access_token");
    let seen = bank.accounts_api().introspect(&access_token).await;
    assert_eq!(seen.ok()["cnf"], json!({ "x5t#S256": thumbprint("till") }));
    // The same client behind another certificate: what counts is the one it shows now.
    let renewed = Tpp::new(&bank, "till-7", (key("till-es256.key"), key("till-ps256.key")), Some("till8"));
    let access_token = renewed.tokens().await.text("access_token");
    let seen = bank.accounts_api().introspect(&access_token).await;
    assert_eq!(seen.ok()["cnf"], json!({ "x5t#S256": thumbprint("till8") }));
    assert_ne!(thumbprint("till"), thumbprint("till8"));
}

#[tokio::test]
async fn conf_5_without_a_certificate_nothing_is_told_and_nothing_is_lost() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    let bare = async || till.poll_call(&auth_req_id, crate::tpp::Call::bare).await.refused(400, "invalid_request");
    bare().await;
    till.poll(&auth_req_id).await.refused(400, "authorization_pending");
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    bare().await;
    till.poll(&auth_req_id).await.ok();
    bare().await;
}
