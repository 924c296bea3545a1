//! The modules of the official plan that are refused at the backchannel or at the token endpoint for what the client is or sends.

use serde_json::json;

use crate::shape::{Shape, Stage, answers};
use crate::token::Draft;

modules!(
    fapi_ciba_id1_ensure_request_object_missing_aud_fails: all,
    fapi_ciba_id1_ensure_request_object_bad_aud_fails: all,
    fapi_ciba_id1_ensure_request_object_missing_iss_fails: all,
    fapi_ciba_id1_ensure_request_object_bad_iss_fails: all,
    fapi_ciba_id1_ensure_request_object_missing_exp_fails: all,
    fapi_ciba_id1_ensure_request_object_expired_exp_fails: all,
    fapi_ciba_id1_ensure_request_object_exp_is_70_minutes_in_future_fails: all,
    fapi_ciba_id1_ensure_request_object_missing_iat_fails: all,
    fapi_ciba_id1_ensure_request_object_missing_nbf_fails: all,
    fapi_ciba_id1_ensure_request_object_nbf_is_10_minutes_in_future_fails: all,
    fapi_ciba_id1_ensure_request_object_nbf_is_70_minutes_in_past_fails: all,
    fapi_ciba_id1_ensure_request_object_missing_jti_fails: all,
    fapi_ciba_id1_ensure_request_object_signature_algorithm_is_none_fails: all,
    fapi_ciba_id1_ensure_request_object_signature_algorithm_is_bad_fails: all,
    fapi_ciba_id1_ensure_request_object_signature_algorithm_is_rs256_fails: all,
    fapi_ciba_id1_ensure_request_object_signed_by_other_client_fails: all,
    fapi_ciba_id1_ensure_authorization_request_with_multiple_hints_fails: all,
    fapi_ciba_id1_ensure_unsigned_backchannel_authorization_request_fails: all,
    fapi_ciba_id1_ensure_wrong_auth_req_id_in_token_endpoint_request: all,
    fapi_ciba_id1_ensure_different_client_id_and_issuer_in_backchannel_authorization_request: mtls,
    fapi_ciba_id1_ensure_wrong_client_id_in_token_endpoint_request: mtls,
    fapi_ciba_id1_ensure_wrong_client_id_in_backchannel_authorization_request: mtls,
    fapi_ciba_id1_ensure_without_client_assertion_in_token_endpoint_request: pkj,
    fapi_ciba_id1_ensure_without_client_assertion_in_backchannel_authorization_request: pkj,
    fapi_ciba_id1_ensure_client_assertion_signature_algorithm_in_backchannel_authorization_request_is_rs256_fails: pkj,
    fapi_ciba_id1_ensure_client_assertion_signature_algorithm_in_token_endpoint_request_is_rs256_fails: pkj,
    fapi_ciba_id1_ensure_client_assertion_with_iss_aud_to_token_endpoint_succeeds: pkj,
);

/// What the suite accepts where the client is not who it says (conformance plan, backchannel errors).
const WHO: [(u16, &str); 4] =
    [(400, "invalid_request"), (403, "access_denied"), (401, "invalid_client"), (400, "invalid_client")];
/// The same at the token endpoint.
const NOBODY: [(u16, &str); 2] = [(400, "invalid_client"), (401, "invalid_client")];

/// The request object, with one defect, is refused with exactly `invalid_request`; nobody is asked.
async fn defect(shape: Shape, defect: impl FnOnce(&Stage, Draft) -> Draft) {
    let stage = Stage::set(shape).await;
    let heard = stage.one().backchannel(|request| defect(&stage, request)).await;
    answers(&heard, (400, "invalid_request"), &[(400, "invalid_request")]);
    assert!(stage.bank.phone.prompts().is_empty());
    assert_eq!(stage.ear.knocks(), 0);
}

/// A module that sends one defect.
macro_rules! defects {
    ($($name:ident: |$stage:ident, $request:ident| $defect:expr;)+) => {
        $(async fn $name(shape: Shape) {
            defect(shape, |$stage, $request| $defect).await;
        })+
    };
}

defects! {
    fapi_ciba_id1_ensure_request_object_missing_aud_fails: |_s, r| r.without("aud");
    fapi_ciba_id1_ensure_request_object_bad_aud_fails: |_s, r| r.with("aud", "https://www.other1.example.com/");
    fapi_ciba_id1_ensure_request_object_missing_iss_fails: |_s, r| r.without("iss");
    fapi_ciba_id1_ensure_request_object_bad_iss_fails: |s, r| r.with("iss", s.two().client_id);
    fapi_ciba_id1_ensure_request_object_missing_exp_fails: |_s, r| r.without("exp");
    fapi_ciba_id1_ensure_request_object_expired_exp_fails: |s, r| r.with("exp", s.bank.now() - 3_600);
    fapi_ciba_id1_ensure_request_object_exp_is_70_minutes_in_future_fails: |s, r| r.with("exp", s.bank.now() + 70 * 60);
    fapi_ciba_id1_ensure_request_object_missing_iat_fails: |_s, r| r.without("iat");
    fapi_ciba_id1_ensure_request_object_missing_nbf_fails: |_s, r| r.without("nbf");
    fapi_ciba_id1_ensure_request_object_nbf_is_10_minutes_in_future_fails: |s, r| r.with("nbf", s.bank.now() + 600).with("exp", s.bank.now() + 300);
    fapi_ciba_id1_ensure_request_object_nbf_is_70_minutes_in_past_fails: |s, r| r.with("nbf", s.bank.now() - 70 * 60);
    fapi_ciba_id1_ensure_request_object_missing_jti_fails: |_s, r| r.without("jti");
    fapi_ciba_id1_ensure_request_object_signature_algorithm_is_none_fails: |_s, r| r.header("alg", "none").sign_with(|_, _| Vec::new());
    fapi_ciba_id1_ensure_request_object_signature_algorithm_is_bad_fails: |_s, r| r.sign_with(|key, message| {
        josekit::jws::JwsSigner::sign(key, message).expect("signs").iter().map(|byte| byte ^ 0x5a).collect()
    });
    fapi_ciba_id1_ensure_request_object_signature_algorithm_is_rs256_fails: |_s, r| rs256(r);
    fapi_ciba_id1_ensure_request_object_signed_by_other_client_fails: |s, r| r.signed_by(s.two().request_key);
    fapi_ciba_id1_ensure_authorization_request_with_multiple_hints_fails: |_s, r| {
        r.without("binding_message").with("login_hint", "join@example.com").with("login_hint_token", "xxxxxxxxxxxxxxxxxxxx")
    };
}

/// RS256 over the same key: a signature that holds, under an algorithm that does not.
fn rs256(draft: Draft) -> Draft {
    draft.header("alg", "RS256").sign_with(crate::forged::rs256)
}

async fn fapi_ciba_id1_ensure_unsigned_backchannel_authorization_request_fails(shape: Shape) {
    let stage = Stage::set(shape).await;
    let one = stage.one();
    let claims = [
        ("scope", "openid accounts"),
        ("login_hint", "alice"),
        ("binding_message", "1234"),
        ("client_notification_token", "4bd4eef9-8ab4-4d9c-ba2d="),
    ];
    let heard = one
        .backchannel_call(|call| claims.iter().fold(call.drop("request"), |call, (name, value)| call.and(name, value)))
        .await;
    answers(&heard, (400, "invalid_request"), &[(400, "invalid_request")]);
}

async fn fapi_ciba_id1_ensure_wrong_auth_req_id_in_token_endpoint_request(shape: Shape) {
    let stage = Stage::set(shape).await;
    let (one, two) = (stage.one(), stage.two());
    let auth_req_id = one.auth_req_id().await;
    answers(&two.poll(&auth_req_id).await, (400, "invalid_grant"), &[(400, "invalid_grant")]);
    stage.approve(&auth_req_id).await;
    stage.told(&auth_req_id).await;
    answers(&two.poll(&auth_req_id).await, (400, "invalid_grant"), &[(400, "invalid_grant")]);
    one.poll(&auth_req_id).await.ok();
}

async fn fapi_ciba_id1_ensure_different_client_id_and_issuer_in_backchannel_authorization_request(shape: Shape) {
    let stage = Stage::set(shape).await;
    let two = stage.two().client_id;
    let heard = stage.one().backchannel_call(|call| call.set("client_id", &two)).await;
    answers(&heard, (401, "invalid_client"), &[(401, "invalid_client")]);
}

async fn fapi_ciba_id1_ensure_wrong_client_id_in_token_endpoint_request(shape: Shape) {
    let stage = Stage::set(shape).await;
    let (one, two) = (stage.one(), stage.two().client_id);
    let auth_req_id = one.auth_req_id().await;
    answers(&one.poll_call(&auth_req_id, |call| call.set("client_id", &two)).await, (401, "invalid_client"), &NOBODY);
    answers(&stage.one_over_two().poll(&auth_req_id).await, (401, "invalid_client"), &NOBODY);
    stage.approve(&auth_req_id).await;
    stage.told(&auth_req_id).await;
    one.poll(&auth_req_id).await.ok();
}

async fn fapi_ciba_id1_ensure_wrong_client_id_in_backchannel_authorization_request(shape: Shape) {
    let stage = Stage::set(shape).await;
    let two = stage.two().client_id;
    let heard = stage
        .one()
        .backchannel_call(|call| {
            call.set("client_id", &two)
                .request(|request| request.with("iss", two.clone()).header("typ", "OautH-auThZ-REQ+jWt"))
        })
        .await;
    answers(&heard, (401, "invalid_client"), &WHO);
}

async fn fapi_ciba_id1_ensure_without_client_assertion_in_token_endpoint_request(shape: Shape) {
    let stage = Stage::set(shape).await;
    let one = stage.one();
    let auth_req_id = one.auth_req_id().await;
    let id = one.client_id.clone();
    let heard = one
        .poll_call(&auth_req_id, |call| {
            call.drop("client_assertion").drop("client_assertion_type").and("client_id", &id)
        })
        .await;
    answers(
        &heard,
        (401, "invalid_client"),
        &[(400, "invalid_client"), (401, "invalid_client"), (400, "invalid_request")],
    );
    stage.approve(&auth_req_id).await;
    stage.told(&auth_req_id).await;
}

async fn fapi_ciba_id1_ensure_without_client_assertion_in_backchannel_authorization_request(shape: Shape) {
    let stage = Stage::set(shape).await;
    let one = stage.one();
    let id = one.client_id.clone();
    let bare =
        |call: crate::tpp::Call| call.drop("client_assertion").drop("client_assertion_type").and("client_id", &id);
    answers(&one.backchannel_call(bare).await, (401, "invalid_client"), &WHO);
}

async fn fapi_ciba_id1_ensure_client_assertion_signature_algorithm_in_backchannel_authorization_request_is_rs256_fails(
    shape: Shape,
) {
    let stage = Stage::set(shape).await;
    answers(&stage.one().backchannel_call(|call| call.assertion(rs256)).await, (401, "invalid_client"), &WHO);
}

async fn fapi_ciba_id1_ensure_client_assertion_signature_algorithm_in_token_endpoint_request_is_rs256_fails(
    shape: Shape,
) {
    let stage = Stage::set(shape).await;
    let one = stage.one();
    let auth_req_id = one.auth_req_id().await;
    answers(&one.poll_call(&auth_req_id, |call| call.assertion(rs256)).await, (401, "invalid_client"), &NOBODY);
    stage.approve(&auth_req_id).await;
    stage.told(&auth_req_id).await;
    one.poll(&auth_req_id).await.ok();
}

async fn fapi_ciba_id1_ensure_client_assertion_with_iss_aud_to_token_endpoint_succeeds(shape: Shape) {
    let stage = Stage::set(shape).await;
    let one = stage.one();
    let auth_req_id = one.auth_req_id().await;
    let issuer = json!(stage.bank.issuer);
    let heard = one.poll_call(&auth_req_id, |call| call.assertion(|assertion| assertion.with("aud", issuer))).await;
    answers(&heard, (400, "authorization_pending"), &[(400, "authorization_pending"), (400, "slow_down")]);
}
