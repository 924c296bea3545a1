//! `/bc-authorize`: CIBA §7 and §13.

use serde_json::json;

use crate::bank::Bank;

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
async fn ciba_7_1_19_exactly_one_hint() {
    let bank = Bank::open().await;
    bank.tpp().backchannel(|request| request.without("login_hint")).await.refused(400, "invalid_request");
    bank.tpp().backchannel(|request| request.with("login_hint", "")).await.refused(400, "invalid_request");
    bank.tpp()
        .backchannel(|request| request.with("login_hint_token", "x".repeat(20)))
        .await
        .refused(400, "invalid_request");
    assert!(bank.phone.prompts().is_empty());
}
