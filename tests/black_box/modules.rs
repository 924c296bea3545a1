//! The modules of the official plan, one by one: what each sends, and what it accepts. Each runs in every shape of client it is for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::heard::Heard;
use crate::shape::{Shape, Stage, answers};
use crate::token::{header, payload};

/// One test for each shape that a module is for.
macro_rules! in_shapes {
    ($module:path: $($name:ident($ping:literal, $mtls:literal, $dynamic:literal)),+) => {
        $(
            #[tokio::test]
            async fn $name() {
                $module($crate::shape::Shape { ping: $ping, mtls: $mtls, dynamic: $dynamic }).await;
            }
        )+
    };
    ($module:path, poll) => { in_shapes!($module: poll_pkj_static(false, false, false), poll_pkj_dynamic(false, false, true), poll_mtls_static(false, true, false), poll_mtls_dynamic(false, true, true)); };
    ($module:path, ping) => { in_shapes!($module: ping_pkj_static(true, false, false), ping_pkj_dynamic(true, false, true), ping_mtls_static(true, true, false), ping_mtls_dynamic(true, true, true)); };
    ($module:path, pkj) => { in_shapes!($module: poll_pkj_static(false, false, false), poll_pkj_dynamic(false, false, true), ping_pkj_static(true, false, false), ping_pkj_dynamic(true, false, true)); };
    ($module:path, mtls) => { in_shapes!($module: poll_mtls_static(false, true, false), poll_mtls_dynamic(false, true, true), ping_mtls_static(true, true, false), ping_mtls_dynamic(true, true, true)); };
    ($module:path, all) => { in_shapes!($module, poll); in_shapes!($module, ping); };
}

/// A Rust module of tests for each module of the plan.
macro_rules! modules {
    ($($name:ident: $shapes:ident),+ $(,)?) => {
        $(mod $name {
            in_shapes!(super::$name, $shapes);
        })+
    };
}

modules!(
    fapi_ciba_id1_discovery_end_point_verification: all,
    fapi_ciba_id1: all,
    fapi_ciba_id1_user_rejects_authentication: all,
    fapi_ciba_id1_multiple_call_to_token_endpoint: all,
    fapi_ciba_id1_auth_req_id_expired: all,
    fapi_ciba_id1_ensure_authorization_request_with_binding_message_succeeds: all,
    fapi_ciba_id1_ensure_other_scope_order_succeeds: all,
    fapi_ciba_id1_ensure_requested_expiry_as_string_succeeds: all,
    fapi_ciba_id1_ensure_authorization_request_with_potentially_bad_binding_message: all,
    fapi_ciba_id1_refresh_token: all,
    fapi_ciba_id1_ensure_mtls_holder_of_key_required: all,
);

async fn fapi_ciba_id1_discovery_end_point_verification(shape: Shape) {
    let stage = Stage::set(shape).await;
    let url = format!("{}/.well-known/openid-configuration", stage.bank.issuer);
    let heard = Heard::of(crate::bank::client(None).get(url)).await;
    let document = heard.published();
    let has =
        |member: &str, value: &str| document[member].as_array().is_some_and(|list| list.iter().any(|one| one == value));
    assert_eq!(document["issuer"], stage.bank.issuer);
    assert_eq!(document["tls_client_certificate_bound_access_tokens"], true);
    assert!(has("id_token_signing_alg_values_supported", "PS256"));
    assert!(has("backchannel_authentication_request_signing_alg_values_supported", "PS256"));
    assert!(has("token_endpoint_auth_signing_alg_values_supported", "PS256"));
    let method = if shape.mtls { "self_signed_tls_client_auth" } else { "private_key_jwt" };
    assert!(has("token_endpoint_auth_methods_supported", method));
    assert!(has("token_endpoint_auth_methods_supported", "private_key_jwt"), "or tls_client_auth");
    assert!(has("backchannel_token_delivery_modes_supported", if shape.ping { "ping" } else { "poll" }));
    assert!(has("grant_types_supported", "urn:openid:params:grant-type:ciba"));
    assert!(document["backchannel_user_code_parameter_supported"].is_boolean());
    assert!(document["authorization_endpoint"].is_string(), "it is probed");
    for (alias, url) in document["mtls_endpoint_aliases"].as_object().expect("an object") {
        assert!(
            alias.ends_with("_endpoint") && alias != "authorization_endpoint" && document[alias].is_string(),
            "{alias}"
        );
        assert!(url.as_str().is_some_and(|url| url.starts_with("https://")), "{alias}");
    }
}

async fn fapi_ciba_id1(shape: Shape) {
    let stage = Stage::set(shape).await;
    let (one, two) = (stage.one(), stage.two());
    let tokens = stage.flow(&one, |request| request).await;
    is_good(&stage, &one.client_id, &tokens);
    let access_token = tokens.text("access_token");
    assert_eq!(one.userinfo(&access_token).await.text("sub"), "alice-248289761001");
    let live = stage.bank.accounts_api().introspect(&access_token).await;
    assert_eq!(live.ok()["active"], true);
    let url = format!("{}/userinfo?access_token={access_token}", stage.bank.issuer);
    answers(
        &Heard::of(crate::bank::client(Some("till")).get(url)).await,
        (400, "invalid_request"),
        &[(400, "invalid_request")],
    );

    let notification = format!("{}=", "a1-._~+/".repeat(128).split_at(1023).0);
    let asked = |request: crate::token::Draft| {
        let request = request.header("typ", "OautH-auThZ-REQ+jWt").with("requested_expiry", 300);
        let request = if shape.ping { request.with("client_notification_token", notification) } else { request };
        request.with("acr_values", "urn:bank:acr:app-pin")
    };
    let auth_req_id = two.backchannel(asked).await.text("auth_req_id");
    stage.pending(&two, &auth_req_id).await;
    stage.approve(&auth_req_id).await;
    stage.told(&auth_req_id).await;
    stage.bank.clock.advance(5);
    let tokens = two.poll(&auth_req_id).await;
    is_good(&stage, &two.client_id, &tokens);
    assert_eq!(payload(&tokens.text("id_token"))["acr"], "urn:bank:acr:app-pin");
    let access_token = tokens.text("access_token");
    two.userinfo(&access_token).await.ok();
    one.userinfo(&access_token).await.refused(401, "invalid_token");
    answers(&two.poll(&auth_req_id).await, (400, "invalid_grant"), &[(400, "invalid_grant")]);
}

/// What the suite asks of every token response.
fn is_good(stage: &Stage, client_id: &str, tokens: &Heard) {
    let body = tokens.ok();
    assert_eq!(body["token_type"], "Bearer");
    assert!(body["expires_in"].as_u64().is_some_and(|seconds| (1..=600).contains(&seconds)));
    for member in ["access_token", "refresh_token"] {
        let token = body[member].as_str().expect("a string");
        assert_eq!(URL_SAFE_NO_PAD.decode(token).expect("base64url").len(), 32, "{member}");
    }
    let id_token = body["id_token"].as_str().expect("a string");
    let (claims, now) = (payload(id_token), stage.bank.now());
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(stage.bank.issuer), &json!(client_id)));
    assert!(claims["exp"].as_i64().is_some_and(|exp| exp > now) && claims["iat"] == now);
    assert!(claims["auth_time"].as_i64().is_some_and(|time| time <= now));
    for absent in ["nonce", "c_hash", "s_hash"] {
        assert_eq!(claims.get(absent), None);
    }
    let head = header(id_token);
    assert!(head["kid"].is_string() && ["PS256", "ES256"].iter().any(|alg| head["alg"] == *alg));
}

async fn fapi_ciba_id1_user_rejects_authentication(shape: Shape) {
    let stage = Stage::set(shape).await;
    let one = stage.one();
    let auth_req_id = one.auth_req_id().await;
    stage.pending(&one, &auth_req_id).await;
    assert_eq!(stage.bank.deny(&auth_req_id).await.status, 204);
    stage.told(&auth_req_id).await;
    for _ in 0..3 {
        answers(&one.poll(&auth_req_id).await, (400, "access_denied"), &[(400, "access_denied")]);
        stage.bank.clock.advance(5);
    }
}

async fn fapi_ciba_id1_multiple_call_to_token_endpoint(shape: Shape) {
    let stage = Stage::set(shape).await;
    let one = stage.one();
    let auth_req_id = one.auth_req_id().await;
    stage.pending(&one, &auth_req_id).await;
    let accepted = [(400, "authorization_pending"), (400, "slow_down"), (400, "invalid_request")];
    for _ in 0..20 {
        answers(&one.poll(&auth_req_id).await, (400, "slow_down"), &accepted);
    }
    stage.approve(&auth_req_id).await;
    stage.told(&auth_req_id).await;
    one.poll(&auth_req_id).await.ok();
}

async fn fapi_ciba_id1_auth_req_id_expired(shape: Shape) {
    let stage = Stage::set(shape).await;
    let one = stage.one();
    let asked = one.backchannel(|request| request.with("requested_expiry", 10)).await;
    assert_eq!(asked.ok()["expires_in"], 10);
    assert!(asked.ok()["interval"].as_u64().is_some_and(|interval| interval <= 5));
    let auth_req_id = asked.text("auth_req_id");
    stage.pending(&one, &auth_req_id).await;
    stage.bank.clock.advance(10);
    answers(&one.poll(&auth_req_id).await, (400, "expired_token"), &[(400, "expired_token")]);
    assert_eq!(stage.ear.knocks(), 0, "expiry is not told");
}

async fn fapi_ciba_id1_ensure_authorization_request_with_binding_message_succeeds(shape: Shape) {
    let stage = Stage::set(shape).await;
    stage.flow(&stage.one(), |request| request.with("binding_message", "1234")).await;
    assert_eq!(stage.bank.phone.prompts()[0]["binding_message"], "1234");
}

async fn fapi_ciba_id1_ensure_other_scope_order_succeeds(shape: Shape) {
    let stage = Stage::set(shape).await;
    stage.flow(&stage.one(), |request| request.with("scope", "accounts openid")).await;
}

async fn fapi_ciba_id1_ensure_requested_expiry_as_string_succeeds(shape: Shape) {
    let stage = Stage::set(shape).await;
    stage.flow(&stage.one(), |request| request.with("requested_expiry", "30")).await;
}

async fn fapi_ciba_id1_ensure_authorization_request_with_potentially_bad_binding_message(shape: Shape) {
    let stage = Stage::set(shape).await;
    let message = format!("1234 \u{1f44d}\u{1f3ff} \u{54c1}\u{5ddd} {}", "Lorem ipsum dolor sit amet ".repeat(17));
    let heard = stage.one().backchannel(|request| request.with("binding_message", message)).await;
    answers(&heard, (400, "invalid_binding_message"), &[(400, "invalid_binding_message")]);
}

async fn fapi_ciba_id1_refresh_token(shape: Shape) {
    let stage = Stage::set(shape).await;
    let (one, two) = (stage.one(), stage.two());
    let mut last = String::new();
    for (till, scope) in [(&one, Some("openid accounts")), (&two, None)] {
        let tokens = stage.flow(till, |request| request).await;
        let first = payload(&tokens.text("id_token"));
        last = tokens.text("refresh_token");
        stage.bank.clock.advance(1);
        let refreshed = till
            .refresh_call(&last, |call| match scope {
                Some(scope) => call.and("scope", scope),
                None => call,
            })
            .await;
        let second = payload(&refreshed.text("id_token"));
        assert_ne!(first["iat"], second["iat"]);
        for same in ["iss", "sub", "aud", "auth_time", "acr"] {
            assert_eq!(first[same], second[same], "{same}");
        }
        assert_ne!(tokens.text("access_token"), refreshed.text("access_token"));
        till.userinfo(&refreshed.text("access_token")).await.ok();
    }
    answers(&one.refresh(&last).await, (400, "invalid_grant"), &[(400, "invalid_grant")]);
}

async fn fapi_ciba_id1_ensure_mtls_holder_of_key_required(shape: Shape) {
    let stage = Stage::set(shape).await;
    let one = stage.one();
    let auth_req_id = one.auth_req_id().await;
    let heard = one.poll_call(&auth_req_id, crate::tpp::Call::bare).await;
    if shape.mtls {
        answers(
            &heard,
            (401, "invalid_client"),
            &[(400, "invalid_client"), (401, "invalid_client"), (400, "invalid_request")],
        );
    } else {
        let accepted =
            [(400, "invalid_request"), (400, "invalid_grant"), (400, "invalid_client"), (401, "invalid_client")];
        answers(&heard, (400, "invalid_request"), &accepted);
    }
    stage.approve(&auth_req_id).await;
    stage.told(&auth_req_id).await;
    one.poll(&auth_req_id).await.ok();
}

/// Otherwise "another certificate" would be none.
#[tokio::test]
async fn the_two_actors_hold_different_certificates() {
    let stage = Stage::set(Shape { ping: false, mtls: true, dynamic: false }).await;
    let of = async |tokens: Heard| {
        let live = stage.bank.accounts_api().introspect(&tokens.text("access_token")).await;
        live.ok()["cnf"]["x5t#S256"].clone()
    };
    let first = of(stage.flow(&stage.one(), |request| request).await).await;
    let second = of(stage.flow(&stage.two(), |request| request).await).await;
    assert!(first.is_string() && second.is_string() && first != second);
}
