//! What one server did, the others know at once: what is spent, how fast somebody polls, who is registered, locked, revoked or decided.

use std::sync::Arc;

use countersign::wire::bank::Identified;
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::bank::{Bank, client, key};
use crate::heard::Heard;
use crate::node::{NOWHERE, Nodes};
use crate::prover::{at_resource, challenged, for_token, on, poll, till11, userinfo};
use crate::tpp::Tpp;
use crate::wired::{hint_token, is_live, metadata, register, standing, till9};

const ALICE: &str = "alice-248289761001";

/// Two servers on one Redis.
async fn two() -> (Nodes, Bank, Bank) {
    let nodes = Nodes::new();
    let (one, other) = (nodes.node(NOWHERE).await, nodes.node(NOWHERE).await);
    assert_eq!(one.issuer, other.issuer);
    assert_ne!(one.public, other.public);
    (nodes, one, other)
}

#[tokio::test]
async fn what_was_spent_at_one_is_spent_at_the_other() {
    let (_nodes, one, other) = two().await;
    let (here, there) = (till9(&one), till9(&other));
    let auth_req_id = here.auth_req_id().await;
    let assertion = here.assertion();
    let poll = async |till: &Tpp<'_>| till.poll_call(&auth_req_id, |call| call.assertion(|_| assertion.clone())).await;
    poll(&here).await.refused(400, "authorization_pending");
    poll(&there).await.refused(401, "invalid_client");
    let request = here.request();
    here.backchannel(|_| request.clone()).await.ok();
    there.backchannel(|_| request.clone()).await.refused(400, "invalid_request");
    let hint = hint_token(&one, "once").finish();
    let hinted = async |till: &Tpp<'_>| {
        till.backchannel(|request| request.without("login_hint").with("login_hint_token", hint.as_str())).await
    };
    hinted(&here).await.ok();
    hinted(&there).await.refused(400, "invalid_request");
    assert_eq!(other.phone.prompts().len(), 0);
}

#[tokio::test]
async fn a_proof_shown_at_one_is_spent_at_the_other_and_a_nonce_of_one_is_good_at_the_other() {
    let nodes = Nodes::new();
    let node = async || nodes.node_on(nodes.backend().await, on).await;
    let (one, other, held) = (node().await, node().await, key("till8.key"));
    let (here, there) = (till11(&one), till11(&other));
    let auth_req_id = here.auth_req_id().await;
    let proof = for_token(&one, &held).finish();
    let heard = poll(&here, &auth_req_id, &[&proof]).await;
    heard.refused(400, "authorization_pending");
    poll(&there, &auth_req_id, &[&proof]).await.refused(400, "invalid_dpop_proof");
    let nonce = heard.headers["dpop-nonce"].to_str().expect("ASCII").to_owned();
    assert_eq!(one.approve(&auth_req_id).await.status, 204);
    nodes.clock.advance(5);
    let with_nonce = for_token(&other, &held).with("nonce", nonce).finish();
    let token = poll(&there, &auth_req_id, &[&with_nonce]).await.text("access_token");
    let at_resource = at_resource(&one, &held, &token);
    userinfo(&one, ("DPoP", &token), Some(at_resource.clone())).await.ok();
    challenged(&userinfo(&other, ("DPoP", &token), Some(at_resource)).await, "invalid_dpop_proof");
}

#[tokio::test]
async fn who_is_too_fast_over_both_is_slowed_down_at_both() {
    let (nodes, one, other) = two().await;
    let (here, there) = (till9(&one), till9(&other));
    let auth_req_id = here.auth_req_id().await;
    here.poll(&auth_req_id).await.refused(400, "authorization_pending");
    nodes.clock.advance(2);
    there.poll(&auth_req_id).await.refused(400, "slow_down");
    // Soon enough by the first interval, and too soon by the grown one.
    nodes.clock.advance(6);
    here.poll(&auth_req_id).await.refused(400, "slow_down");
    nodes.clock.advance(15);
    there.poll(&auth_req_id).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn a_client_that_registers_at_one_is_known_replaced_and_deleted_at_the_other_at_once() {
    let (_nodes, one, other) = two().await;
    let registered = register(&one, &metadata(), None).await;
    assert_eq!(registered.status, 201, "{registered:#?}");
    let text = |name: &str| registered.body[name].as_str().expect("a string").to_owned();
    let (client_id, token) = (text("client_id"), text("registration_access_token"));
    let with = |name: &str| Tpp::new(&other, client_id.clone(), (key(name), key(name)), Some("till8"));
    let (before, after) = (with("till8.key"), with("payments-api.key"));
    let tokens = before.tokens().await.text("access_token");
    assert!(is_live(&other, &tokens).await);
    let manage = |method, bank: &Bank| {
        client(None).request(method, bank.url(&format!("/register/{client_id}"))).bearer_auth(&token)
    };
    let mut members = metadata();
    members["client_id"] = json!(client_id);
    members["jwks"] = json!({ "keys": [key("payments-api.key").public().clone()] });
    let put = manage(http::Method::PUT, &one).header("content-type", "application/json").body(members.to_string());
    Heard::of(put).await.ok();
    before.backchannel(|request| request).await.refused(401, "invalid_client");
    after.backchannel(|request| request).await.ok();
    assert!(is_live(&other, &tokens).await);
    assert_eq!(Heard::of(manage(http::Method::DELETE, &one)).await.status, 204);
    after.backchannel(|request| request).await.refused(401, "invalid_client");
    assert!(!is_live(&other, &tokens).await);
    Heard::of(manage(http::Method::GET, &other)).await.refused(401, "invalid_token");
}

#[tokio::test]
async fn who_is_locked_at_one_is_locked_at_the_other() {
    let (nodes, one, other) = two().await;
    let (here, there) = (till9(&one), till9(&other));
    let tokens = there.tokens().await;
    let (pending, approved) = (there.auth_req_id().await, there.auth_req_id().await);
    assert_eq!(other.approve(&approved).await.status, 204);
    assert_eq!(standing(&one, ALICE, "locked").await.status, 204);
    assert!(!is_live(&other, &tokens.text("access_token")).await);
    there.refresh(&tokens.text("refresh_token")).await.refused(400, "invalid_grant");
    there.poll(&approved).await.refused(400, "access_denied");
    other.approve(&pending).await.refused(403, "access_denied");
    there.backchannel(|request| request).await.refused(403, "access_denied");
    assert_eq!(standing(&other, ALICE, "good").await.status, 204);
    nodes.clock.advance(1);
    here.tokens().await.ok();
    assert!(!is_live(&one, &tokens.text("access_token")).await, "what was before the lock stays dead");
}

#[tokio::test]
async fn what_is_revoked_at_one_is_dead_at_the_other() {
    let (_nodes, one, other) = two().await;
    let (here, there) = (till9(&one), till9(&other));
    let (first, second) = (there.tokens().await, there.tokens().await);
    for tokens in [&first, &second] {
        assert!(is_live(&other, &tokens.text("access_token")).await);
    }
    for token in [first.text("access_token"), second.text("refresh_token")] {
        assert_eq!(here.revoke(&token).await.status, 200);
    }
    for tokens in [&first, &second] {
        assert!(!is_live(&other, &tokens.text("access_token")).await);
        there.userinfo(&tokens.text("access_token")).await.refused(401, "invalid_token");
    }
    there.refresh(&first.text("refresh_token")).await.ok();
    there.refresh(&second.text("refresh_token")).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn wrong_user_codes_are_counted_over_both() {
    let (_nodes, one, other) = two().await;
    for bank in [&one, &other] {
        bank.phone.knows("carol", Identified::Known { sub: "carol-1".into() });
        bank.phone.asks_for("carol", "2580");
    }
    let (here, there) = (till9(&one), till9(&other));
    let ask = async |till: &Tpp<'_>, code: &str| {
        till.backchannel(|request| request.with("login_hint", "carol").with("user_code", code)).await
    };
    for till in [&here, &there, &here, &there] {
        ask(till, "0000").await.refused(400, "invalid_user_code");
    }
    ask(&there, "2580").await.ok();
    for till in [&here, &there, &here, &there, &here] {
        ask(till, "0000").await.refused(400, "invalid_user_code");
    }
    for till in [&here, &there] {
        ask(till, "2580").await.refused(403, "access_denied");
    }
}

#[tokio::test]
async fn a_request_made_at_one_is_decided_at_the_other_and_collected_anywhere() {
    let (_nodes, one, other) = two().await;
    let (here, there) = (till9(&one), till9(&other));
    for (decider, till) in [(&one, &here), (&one, &there), (&other, &here), (&other, &there)] {
        let auth_req_id = here.auth_req_id().await;
        assert_eq!(decider.approve(&auth_req_id).await.status, 204);
        assert!(is_live(&one, &till.poll(&auth_req_id).await.text("access_token")).await);
        for late in [&here, &there] {
            late.poll(&auth_req_id).await.refused(400, "invalid_grant");
        }
    }
    let denied = there.auth_req_id().await;
    assert_eq!(one.deny(&denied).await.status, 204);
    other.approve(&denied).await.refused(409, "already_settled");
    there.poll(&denied).await.refused(400, "access_denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_decisions_at_once_over_both_one_is_taken() {
    let (_nodes, one, other) = two().await;
    let till = till9(&one);
    let http = client(Some("bank"));
    for _ in 0..8 {
        let auth_req_id = till.auth_req_id().await;
        let start = Arc::new(Barrier::new(32));
        let decisions = (0..32).map(|at| {
            let bank = if at % 2 == 0 { &one } else { &other };
            let decision = if at % 4 < 2 { "approve" } else { "deny" };
            let body = json!({"auth_req_id": auth_req_id, "decision": decision, "sub": ALICE}).to_string();
            let url = format!("https://localhost:{}/decision", bank.internal.port());
            let (request, start) =
                (http.post(url).header("content-type", "application/json").body(body), start.clone());
            async move {
                start.wait().await;
                Heard::of(request).await
            }
        });
        let heard = decisions.collect::<JoinSet<_>>().join_all().await;
        assert_eq!(Heard::count(&heard, 204, None), 1, "{heard:#?}");
        assert_eq!(Heard::count(&heard, 409, Some("already_settled")), 31, "{heard:#?}");
    }
}
