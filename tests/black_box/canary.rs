//! A canary in everything that is secret, or is a caller's own: none of them is in a log line, a span or a metric, whatever the level and whatever becomes of the request.

use countersign::telemetry::collector::Protocol;
use countersign::wire::bank::Identified;
use http::Method;
use serde_json::json;

use crate::bank::{Bank, client, key};
use crate::collector::Collector;
use crate::heard::Heard;
use crate::logs::Canaries;
use crate::ping::listening;
use crate::prover::{on, proof, till11};
use crate::telemetry::{span, telling_of};
use crate::teller::response;
use crate::tpp::{Call, Tpp};
use crate::wired::{hint_token, metadata, till9, till10};

const SUB: &str = "canary-sub-27182818";

/// The same call, its assertion and its request object known to `canaries`.
fn signed(call: Call, canaries: &mut Canaries) -> Call {
    let jti = canaries.keep(format!("canary-jti-{}", canaries.count()));
    let call = call.assertion(|assertion| assertion.with("jti", jti));
    let assertion = canaries.token(call.assertion.finish());
    let call = if call.form.iter().any(|(name, _)| name == "request") {
        let request = canaries.token(call.request.finish());
        call.set("request", &request)
    } else {
        call
    };
    call.set("client_assertion", &assertion)
}

/// `till` asks for whoever the last of `claims` is about, with the rest of them in its request object.
async fn ask(till: &Tpp<'_>, canaries: &mut Canaries, claims: &[(&str, String)]) -> Heard {
    till.backchannel_call(|call| {
        let message = canaries.keep(format!("canary-message-{}", canaries.count()));
        let call = call.request(|request| {
            let request = request.without("login_hint").with("binding_message", message);
            claims.iter().fold(request, |request, (name, value)| request.with(name, value.as_str()))
        });
        signed(call, canaries)
    })
    .await
}

/// A whole sale by `till`, and what it was given.
async fn sale(bank: &Bank, till: &Tpp<'_>, canaries: &mut Canaries, claims: &[(&str, String)]) -> Heard {
    let asked = ask(till, canaries, claims).await;
    let auth_req_id = canaries.keep(asked.text("auth_req_id"));
    till.poll_call(&auth_req_id, |call| signed(call, canaries)).await.refused(400, "authorization_pending");
    bank.clock.advance(10);
    assert_eq!(bank.decide(&json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": SUB})).await.status, 204);
    let tokens = till.poll_call(&auth_req_id, |call| signed(call, canaries)).await;
    canaries.keep(tokens.text("access_token"));
    canaries.token(tokens.text("id_token"));
    tokens
}

/// What is refused, at every place where a caller can put something.
async fn strangers(bank: &Bank, canaries: &mut Canaries) {
    let canary = canaries.keep("canary-of-a-stranger");
    let url = |path: &str| format!("{}{path}", bank.issuer);
    let form = |path: &str, body: String| {
        client(None).post(url(path)).header("content-type", "application/x-www-form-urlencoded").body(body)
    };
    let headers = ["x-fapi-interaction-id", "user-agent", "referer", "cookie", "x-forwarded-for", "forwarded"];
    let traced = ["traceparent", "tracestate", "baggage", "x-request-id", "dpop", &canary];
    let nowhere = client(None).get(url(&format!("/{canary}/{canary}?{canary}={canary}")));
    let nowhere = headers.iter().chain(&traced).fold(nowhere, |call, name| call.header(*name, &canary));
    Heard::of(nowhere).await.refused(404, "not_found");
    Heard::of(client(None).get(url(&format!("/register/{canary}"))).bearer_auth(&canary))
        .await
        .refused(401, "invalid_token");
    Heard::of(client(None).get(url("/userinfo")).bearer_auth(&canary)).await.refused(401, "invalid_token");
    Heard::of(
        client(None).get(url("/userinfo")).header("authorization", format!("DPoP {canary}")).header("dpop", &canary),
    )
    .await
    .refused(401, "invalid_dpop_proof");
    for path in ["/token", "/bc-authorize", "/introspect", "/revoke"] {
        let fields =
            ["client_assertion", "client_id", "client_assertion_type", "grant_type", "auth_req_id", "token", "request"];
        let body: Vec<String> = fields.iter().map(|name| format!("{name}={canary}")).collect();
        Heard::of(form(path, body.join("&") + &format!("&{canary}={canary}"))).await.refused(401, "invalid_client");
        Heard::of(form(path, format!("{canary}=%zz"))).await.refused(400, "invalid_request");
    }
    let method = Method::from_bytes(canaries.keep("CANARY-METHOD").as_bytes()).expect("a token");
    Heard::of(client(None).request(method, url("/token"))).await.refused(405, "invalid_request");
    bank.decide_as(None, canary.clone()).await.refused(401, "invalid_client");
    bank.decide(&json!({"auth_req_id": canary, "decision": "approve", "sub": canary}))
        .await
        .refused(404, "unknown_auth_req_id");
}

#[tokio::test]
async fn c_26_no_secret_is_in_a_log_line_a_span_or_a_metric() {
    let teller = listening(response("503 Service Unavailable", "", "canary-of-an-answer")).await;
    let (collector, destination) = Collector::open(Protocol::Http).await;
    let switched = |shipped: &str| on(shipped).replace("https://localhost:1/ping", &teller.url);
    let (log, bank, (telemetry, _guard)) = telling_of(&destination, switched).await;
    let mut canaries = Canaries::default();
    canaries.keep("canary-of-an-answer");
    let sub = canaries.keep(SUB);
    for hint in ["canary-hint@example.com", "canary-hint-of-a-token", SUB] {
        bank.phone.knows(&canaries.keep(hint), Identified::Known { sub: sub.clone() });
    }
    let hint = ("login_hint", "canary-hint@example.com".to_owned());

    // Poll, refresh, a user code.
    let till = till9(&bank);
    let code = canaries.keep("canary-user-code");
    let tokens = sale(&bank, &till, &mut canaries, &[hint.clone(), ("user_code", code)]).await;
    let (access, id) = (tokens.text("access_token"), tokens.text("id_token"));
    let refresh_token = canaries.keep(tokens.text("refresh_token"));
    let refreshed = till.refresh_call(&refresh_token, |call| signed(call, &mut canaries)).await;
    canaries.keep(refreshed.text("access_token"));
    // The user by the ID token, and by a token of the directory.
    sale(&bank, &till, &mut canaries, &[("id_token_hint", id)]).await;
    let by_directory = hint_token(&bank, "canary-jti-of-a-hint").with("sub", "canary-hint-of-a-token");
    canaries.keep("canary-jti-of-a-hint");
    let by_directory = canaries.token(by_directory.finish());
    sale(&bank, &till, &mut canaries, &[("login_hint_token", by_directory)]).await;
    // Ping, to a client that does not answer.
    let token = canaries.keep("canary-notification-token");
    sale(&bank, &till10(&bank), &mut canaries, &[hint.clone(), ("client_notification_token", token)]).await;
    // DPoP, at a resource.
    let holder = key("till8.key");
    let prove =
        canaries.token(proof(&bank, &holder, ("GET", "/userinfo")).with("ath", "canary-ath-of-no-token").finish());
    Heard::of(
        client(None).get(bank.url("/userinfo")).header("authorization", format!("DPoP {access}")).header("dpop", prove),
    )
    .await
    .refused(401, "invalid_dpop_proof");
    let proof = canaries.token(proof(&bank, &holder, ("POST", "/token")).finish());
    let nobodys = canaries.keep("canary-token-of-nobody");
    till11(&bank).refresh_with(&nobodys, &proof).await.refused(400, "invalid_grant");
    // An API, and a client that registers itself.
    let seen = bank.accounts_api().introspect_call(&access, |call| signed(call, &mut canaries)).await;
    assert_eq!(seen.ok()["active"], true);
    let mut registered = metadata();
    registered["client_name"] = canaries.keep("Canary Name of a Client").into();
    let answer = Heard::of(
        client(None)
            .post(bank.url("/register"))
            .header("content-type", "application/json")
            .body(registered.to_string()),
    )
    .await;
    assert_eq!(answer.status, 201, "{answer:#?}");
    canaries.keep(answer.body["registration_access_token"].as_str().expect("a token"));
    // A denial, and what is refused.
    let denied = ask(&till, &mut canaries, &[hint]).await;
    let denied = canaries.keep(denied.text("auth_req_id"));
    assert_eq!(bank.deny(&denied).await.status, 204);
    till.poll_call(&denied, |call| signed(call, &mut canaries)).await.refused(400, "access_denied");
    ask(&till, &mut canaries, &[("login_hint", "canary-hint-of-nobody".to_owned())])
        .await
        .refused(400, "unknown_user_id");
    canaries.keep("canary-hint-of-nobody");
    strangers(&bank, &mut canaries).await;

    // Whatever is not told by the time that all this was is told with this.
    Heard::of(client(None).get(bank.url("/jwks"))).await.published();
    span(&collector, "GET /jwks").await;
    let (_, exposed) = telemetry.metrics.exposition();
    canaries.are_not_in(&log);
    canaries.are_not_among(&exposed);
    canaries.are_not_among(&String::from_utf8_lossy(&collector.bytes()));
    for told in ["/bc-authorize", "till-10", "_OTHER", "HTTP /token", "invalid_dpop_proof"] {
        assert!(String::from_utf8_lossy(&collector.bytes()).contains(told), "{told} is told");
    }
}
