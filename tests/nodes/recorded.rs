//! What happened is recorded before anybody is told: no answer without its line, and where no line can be written, nothing is given, decided or begun.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use countersign::audit::Audit;
use countersign::wire::bank::Identified;
use http::Method;
use serde_json::{Value, json};

use crate::bank::{Bank, client};
use crate::drawn::Drawn;
use crate::heard::Heard;
use crate::node::{NOWHERE, Nodes};
use crate::oracle::digest;
use crate::process::ALICE;
use crate::wired::{in_the_uk, is_live, metadata, standing, switched_on, till9};

/// Where everybody comes from.
const HERE: &str = "127.0.0.1";

/// A server that records in the file at `path`.
async fn recording(nodes: &Nodes, path: &Path) -> Bank {
    let audit = Audit::to(path).expect("a thread");
    nodes.node_with((nodes.backend().await, audit), |shipped| switched_on(shipped, NOWHERE)).await
}

/// The last line of the file at `path`.
fn last(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("it is there");
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

#[tokio::test]
async fn each_event_is_in_the_file_before_its_answer_and_no_secret_is() {
    let nodes = Nodes::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let bank = recording(&nodes, &path).await;
    bank.phone.knows("canary-hint", Identified::Known { sub: "canary-sub".into() });
    let till = till9(&bank);
    let at = bank.now();
    let ask = async || {
        let asked = till.backchannel(|r| r.with("login_hint", "canary-hint").with("binding_message", "canary-text"));
        let auth_req_id = asked.await.text("auth_req_id");
        let requested = json!({
            "at": at, "event": "requested", "request": digest(&auth_req_id), "client_id": "till-9", "address": HERE,
        });
        assert_eq!(last(&path), requested);
        auth_req_id
    };
    let (denied, approved) = (ask().await, ask().await);
    let event = |name: &str, id: &str| json!({"at": at, "event": name, "request": digest(id), "client_id": "till-9", "address": HERE});
    assert_eq!(bank.deny(&denied).await.status, 204);
    assert_eq!(last(&path), event("denied", &denied));
    let yes = json!({"auth_req_id": approved, "decision": "approve", "sub": "canary-sub"});
    assert_eq!(bank.decide(&yes).await.status, 204);
    assert_eq!(last(&path), event("approved", &approved));
    let tokens = till.poll(&approved).await;
    let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let mut issued = event("issued", &approved);
    issued["access_token"] = json!(digest(&access));
    issued["refresh_token"] = json!(digest(&refresh));
    assert_eq!(last(&path), issued);
    let second = till.refresh(&refresh).await.text("access_token");
    let refreshed = json!({
        "at": at, "event": "refreshed", "refresh_token": digest(&refresh), "client_id": "till-9", "access_token": digest(&second),
        "address": HERE,
    });
    assert_eq!(last(&path), refreshed);
    assert_eq!(till.revoke(&access).await.status, 200);
    let revoked =
        json!({"at": at, "event": "revoked", "token": digest(&access), "client_id": "till-9", "address": HERE});
    assert_eq!(last(&path), revoked);
    assert_eq!(till.revoke(&"a".repeat(43)).await.status, 200);
    assert_eq!(last(&path), revoked, "what is nobody's is revoked by nobody");
    let text = fs::read_to_string(&path).expect("it is there");
    assert_eq!(text.lines().count(), 7);
    for secret in [&denied, &approved, &access, &refresh, &second, "canary"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[tokio::test]
async fn a_clients_own_token_is_in_the_file_before_its_answer_or_is_not_given() {
    let chance = Arc::<Drawn>::default();
    let nodes = Nodes::drawing(chance.clone());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let on = async |path: &Path| {
        let audit = Audit::to(path).expect("a thread");
        nodes.node_with((nodes.backend().await, audit), |shipped| in_the_uk(&switched_on(shipped, NOWHERE))).await
    };
    let (good, full) = (on(&path).await, on(Path::new("/dev/full")).await);
    let token = till9(&good).own().await.text("access_token");
    let told = json!({"at": good.now(), "event": "issued_to_client", "client_id": "till-9", "access_token": digest(&token), "address": HERE});
    assert_eq!(last(&path), told);
    assert!(is_live(&good, &token).await && is_live(&full, &token).await);
    chance.since();
    till9(&full).own().await.refused(503, "temporarily_unavailable");
    let drawn = chance.since();
    assert!(!drawn.is_empty());
    for token in drawn {
        assert!(!is_live(&good, &token).await);
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_begun() {
    let chance = Arc::<Drawn>::default();
    let nodes = Nodes::drawing(chance.clone());
    let (good, full) = (nodes.node(NOWHERE).await, recording(&nodes, Path::new("/dev/full")).await);
    chance.since();
    till9(&full).backchannel(|request| request).await.refused(503, "temporarily_unavailable");
    assert_eq!(full.phone.prompts().len(), 0, "nobody was asked");
    let drawn = chance.since();
    assert!(!drawn.is_empty());
    for id in drawn {
        let decided = good.approve(&id).await;
        assert!([404, 409].contains(&decided.status), "the request is closed: {decided:#?}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("later/audit.jsonl");
    let bank = recording(&nodes, &path).await;
    till9(&bank).backchannel(|request| request).await.refused(503, "temporarily_unavailable");
    fs::create_dir(folder.path().join("later")).expect("a folder");
    till9(&bank).tokens().await.ok();
    assert_eq!(last(&path)["event"], "issued");
}

#[tokio::test]
async fn a_decision_that_cannot_be_recorded_is_not_taken() {
    let nodes = Nodes::new();
    let (good, full) = (nodes.node(NOWHERE).await, recording(&nodes, Path::new("/dev/full")).await);
    let auth_req_id = till9(&good).auth_req_id().await;
    full.approve(&auth_req_id).await.refused(503, "temporarily_unavailable");
    full.deny(&auth_req_id).await.refused(503, "temporarily_unavailable");
    till9(&good).poll(&auth_req_id).await.refused(400, "authorization_pending");
    assert_eq!(good.approve(&auth_req_id).await.status, 204);
    till9(&good).poll(&auth_req_id).await.ok();
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_given() {
    let chance = Arc::<Drawn>::default();
    let nodes = Nodes::drawing(chance.clone());
    let (good, full) = (nodes.node(NOWHERE).await, recording(&nodes, Path::new("/dev/full")).await);
    let (here, there) = (till9(&good), till9(&full));
    let tokens = here.tokens().await;
    let auth_req_id = here.auth_req_id().await;
    assert_eq!(good.approve(&auth_req_id).await.status, 204);
    chance.since();
    there.poll(&auth_req_id).await.refused(503, "temporarily_unavailable");
    here.poll(&auth_req_id).await.refused(400, "invalid_grant");
    there.refresh(&tokens.text("refresh_token")).await.refused(503, "temporarily_unavailable");
    let drawn = chance.since();
    assert!(drawn.len() >= 3, "an access token and a refresh token, and another access token");
    for token in drawn {
        assert!(!is_live(&good, &token).await);
        here.refresh(&token).await.refused(400, "invalid_grant");
    }
    assert!(is_live(&good, &tokens.text("access_token")).await, "what was given before is none the worse");
    here.refresh(&tokens.text("refresh_token")).await.ok();
    there.revoke(&tokens.text("access_token")).await.refused(503, "temporarily_unavailable");
    assert!(!is_live(&good, &tokens.text("access_token")).await, "in doubt it is dead");
    assert_eq!(here.revoke(&tokens.text("access_token")).await.status, 200);
}

#[tokio::test]
async fn a_lock_holds_though_it_cannot_be_recorded_and_is_lifted_only_if_that_can_be() {
    let nodes = Nodes::new();
    let (good, full) = (nodes.node(NOWHERE).await, recording(&nodes, Path::new("/dev/full")).await);
    let till = till9(&good);
    let token = till.tokens().await.text("access_token");
    standing(&full, ALICE, "locked").await.refused(503, "temporarily_unavailable");
    assert!(!is_live(&good, &token).await, "in doubt they are locked");
    assert_eq!(standing(&good, ALICE, "locked").await.status, 204);
    standing(&full, ALICE, "good").await.refused(503, "temporarily_unavailable");
    till.backchannel(|request| request).await.refused(403, "access_denied");
    assert_eq!(standing(&good, ALICE, "good").await.status, 204);
    nodes.clock.advance(1);
    till.auth_req_id().await;
}

#[tokio::test]
async fn a_registration_is_not_made_changed_or_deleted_unless_that_can_be_recorded() {
    let nodes = Nodes::new();
    let (good, full) = (nodes.node(NOWHERE).await, recording(&nodes, Path::new("/dev/full")).await);
    let post = |bank: &Bank| client(None).post(bank.url("/register")).header("content-type", "application/json");
    let made = Heard::of(post(&good).body(metadata().to_string())).await;
    assert_eq!(made.status, 201, "{made:#?}");
    let of = |name: &str| made.body[name].as_str().expect("a string").to_owned();
    let (client_id, token) = (of("client_id"), of("registration_access_token"));
    let call = |bank: &Bank, method| {
        client(None).request(method, bank.url(&format!("/register/{client_id}"))).bearer_auth(&token)
    };
    let mut other = metadata();
    (other["client_name"], other["client_id"]) = ("Another Name".into(), client_id.clone().into());
    let put = call(&full, Method::PUT).header("content-type", "application/json").body(other.to_string());
    Heard::of(put).await.refused(503, "temporarily_unavailable");
    Heard::of(call(&full, Method::DELETE)).await.refused(503, "temporarily_unavailable");
    assert_eq!(Heard::of(call(&good, Method::GET)).await.ok()["client_name"], metadata()["client_name"]);
    Heard::of(post(&full).body(metadata().to_string())).await.refused(503, "temporarily_unavailable");
}
