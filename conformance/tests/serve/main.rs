//! `conformance serve`: a till that knows nothing but the one line it prints gets its token and is let in at the bank.

mod bank;
mod served;
mod till;

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::served::Served;
use crate::till::Till;

#[tokio::test]
async fn the_line_says_all_that_a_client_needs() {
    let served = Served::start(&["--plan", "plain-poll-pkj-dynamic"]);
    let line = served.line.as_object().expect("an object");
    let members = ["issuer", "ca", "approval_url", "resource_url", "initial_access_token", "bank", "store"];
    assert_eq!(line.len(), members.len());
    assert!(members.iter().all(|member| line.get(*member).is_some_and(Value::is_string)), "{line:?}");
    assert_eq!(served.line["store"], "memory");
    sale(&served).await;
}

#[tokio::test]
async fn several_servers_on_one_redis_are_one_to_the_client() {
    let redis = served::redis();
    let served = Served::start(&["--plan", "plain-poll-pkj-dynamic", "--nodes", "2", "--store", &redis.url()]);
    assert_eq!(served.line["store"], redis.url());
    // Each call goes to the next of the two.
    for _ in 0..2 {
        sale(&served).await;
    }
    let ready = |at: usize| served.log(at).contains("ready");
    let asked = |at: usize| served.log(at).matches("route=\"/token\" status=200").count();
    assert!(ready(1) && ready(2));
    // A line is written soon after the answer.
    let looks = (0..1_000).find(|_| {
        sleep(Duration::from_millis(10));
        asked(1) + asked(2) == 2
    });
    assert!(looks.is_some(), "{} and {} tokens were handed out", asked(1), asked(2));
    let called = |at: usize| served.log(at).matches("INFO request").count();
    assert!(called(1) > 0 && called(2) > 0, "one of them had nothing to do");
}

#[tokio::test]
async fn a_denial_is_heard_and_the_approval_url_says_what_it_does_not_know() {
    let served = Served::start(&["--plan", "plain-poll-pkj-dynamic"]);
    let till = Till::register(&served).await;
    let auth_req_id = till.ask("bob").await;
    assert_eq!(till.poll(&auth_req_id).await, (400, json!("authorization_pending")));
    assert_eq!(till.phone(&auth_req_id, "deny").await, 204);
    assert_eq!(till.poll(&auth_req_id).await, (400, json!("access_denied")));
    assert_eq!(till.phone("nobody-was-asked-in-this-one", "allow").await, 404);
    assert_eq!(till.phone(&auth_req_id, "allow").await, 404, "it is not asked any more");
}

/// From registration to the account.
async fn sale(served: &Served) {
    let till = Till::register(served).await;
    let token = till.approved("alice").await;
    let (status, accounts) = till.accounts(&token).await;
    assert_eq!(status, 200, "{accounts}");
    assert!(accounts.is_object());
}

fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
    let output = command.arg("serve").args(arguments).output().expect("it runs");
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn several_servers_without_a_store_that_they_share_are_refused() {
    let (code, said) = refused(&["--plan", "plain-poll-pkj-dynamic", "--nodes", "2"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("--store redis://"), "{said}");
}

#[test]
fn a_store_that_is_none_and_a_plan_that_is_none_are_told_with_what_there_is() {
    for store in ["redis://user:password@127.0.0.1", "rediss://127.0.0.1", "disk", "redis://127.0.0.1/3"] {
        let (code, said) = refused(&["--plan", "plain-poll-pkj-dynamic", "--store", store]);
        assert_eq!(code, Some(2));
        assert!(said.contains("memory, or a Redis as in redis://127.0.0.1:6379"), "{said}");
    }
    let (code, said) = refused(&["--plan", "plain-poll-pkj"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("{plain|uk}-{poll|ping}-{pkj|mtls}-{static|dynamic}"), "{said}");
}

#[tokio::test]
async fn a_server_that_ends_is_told_with_what_it_said_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().to_str().expect("UTF-8");
    // Made once, then spoilt.
    drop(Served::start(&["--plan", "plain-poll-pkj-dynamic", "--folder", at]));
    std::fs::write(folder.path().join("certs/server-rsa.pem"), "nothing").expect("written");
    let (code, said) = refused(&["--plan", "plain-poll-pkj-dynamic", "--folder", at]);
    assert_eq!(code, Some(1));
    assert!(said.contains("the server ended") && said.contains("tls.rsa_certificate"), "{said}");
}

#[test]
fn people_get_a_table_with_the_same() {
    let (table, line) = Served::table(&["--plan", "plain-poll-pkj-static"]);
    for word in ["issuer", "approval URL", "resource", "initial access token", "always-approves", "Ctrl-C"] {
        assert!(table.contains(word), "{word}: {table}");
    }
    assert_eq!(line, Value::Null, "JSON was not asked for");
}
