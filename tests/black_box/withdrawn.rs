//! What an operator takes back: a client, an API, or a scope. A second server on the same memory plays the first one, restarted.

use crate::bank::{Bank, key};
use crate::ground::Ground;
use crate::heard::Heard;
use crate::token::payload;
use crate::tpp::{CIBA, Call, Tpp};
use crate::wired::{and_another, granted, is_live, till9};

const ALL: &str = "openid accounts payments";

/// What till 9 has with the server before it is restarted.
struct Before {
    approved: String,
    pending: String,
    tokens: Heard,
}

impl Before {
    async fn of(bank: &Bank) -> Self {
        let till = till9(bank);
        let ask = async || till.backchannel(|request| request.with("scope", ALL)).await.text("auth_req_id");
        let (approved, pending) = (ask().await, ask().await);
        assert_eq!(bank.approve(&approved).await.status, 204);
        Self { approved, pending, tokens: granted(bank, &till, ALL).await }
    }

    fn access_token(&self) -> String {
        self.tokens.text("access_token")
    }

    fn refresh_token(&self) -> String {
        self.tokens.text("refresh_token")
    }
}

/// The entry of `client_id`, changed from `from` to `to`.
fn entry(on: &str, client_id: &str, (from, to): (&str, &str)) -> String {
    let start = on.find(&format!("client_id = \"{client_id}\"")).expect("it is there");
    let (before, rest) = on.split_at(start);
    let end = rest.find("\n[[").unwrap_or(rest.len());
    let (entry, after) = rest.split_at(end);
    assert!(entry.contains(from), "{entry}");
    format!("{before}{}{after}", entry.replacen(from, to, 1))
}

fn disabled(on: &str, client_id: &str) -> String {
    entry(on, client_id, ("client_name", "disabled = true\nclient_name"))
}

/// The configuration without till 9.
fn without(on: &str) -> String {
    let (before, rest) = on.split_once("[[clients]]\nclient_id = \"till-9\"").expect("it is there");
    let (_, after) = rest.split_once("[[clients]]").expect("another follows");
    format!("{before}[[clients]]{after}")
}

/// Everything till 9 can try is refused with the same bytes, and nobody is asked.
async fn is_out(bank: &Bank, before: &Before) {
    let till = till9(bank);
    let nobody = Tpp::new(bank, "nobody", (key("till8.key"), key("till8.key")), Some("till8"));
    let unknown = nobody.poll("x").await;
    for heard in [
        till.backchannel(|request| request).await,
        till.poll(&before.approved).await,
        till.poll(&before.pending).await,
        till.refresh(&before.refresh_token()).await,
        till.revoke(&before.access_token()).await,
        till.introspect(&before.access_token()).await,
        till.poll_call("x", |call| {
            call.drop("client_assertion").drop("client_assertion_type").and("client_id", "till-9")
        })
        .await,
    ] {
        heard.refused(401, "invalid_client");
        assert_eq!(heard.text, unknown.text);
    }
    assert!(bank.phone.prompts().is_empty());
    assert!(!is_live(bank, &before.access_token()).await);
    assert_eq!(bank.payments_api().introspect(&before.access_token()).await.text, r#"{"active":false}"#);
    till.userinfo(&before.access_token()).await.refused(401, "invalid_token");
}

#[tokio::test]
async fn a_disabled_client_is_nobody_and_its_tokens_are_nothing() {
    let ground = Ground::new();
    let first = ground.bank(str::to_owned).await;
    let before = Before::of(&first).await;
    let second = ground.bank(|on| disabled(on, "till-9")).await;
    is_out(&second, &before).await;
    // Those beside it are as they were, though they have the same keys.
    assert!(is_live(&second, &second.other_tpp().tokens().await.text("access_token")).await);
    // Enabled again in time, it has what it had: disabling is no revocation.
    let third = ground.bank(str::to_owned).await;
    assert!(is_live(&third, &before.access_token()).await);
    till9(&third).refresh(&before.refresh_token()).await.ok();
    till9(&third).poll(&before.approved).await.ok();
}

#[tokio::test]
async fn a_client_that_is_gone_is_nobody_and_its_tokens_are_nothing() {
    let ground = Ground::new();
    let before = Before::of(&ground.bank(str::to_owned).await).await;
    is_out(&ground.bank(without).await, &before).await;
}

#[tokio::test]
async fn disabled_false_disables_nobody() {
    let ground = Ground::new();
    let bank = ground.bank(|on| entry(on, "till-9", ("client_name", "disabled = false\nclient_name"))).await;
    till9(&bank).tokens().await.ok();
}

#[tokio::test]
async fn a_disabled_api_asks_about_nothing() {
    let ground = Ground::new();
    let bank = ground.bank(|on| disabled(on, "payments-api")).await;
    let token = granted(&bank, &till9(&bank), ALL).await.text("access_token");
    bank.payments_api().introspect(&token).await.refused(401, "invalid_client");
    assert!(is_live(&bank, &token).await);
}

#[tokio::test]
async fn ciba_7_1_12_a_scope_that_was_withdrawn_cannot_be_had_any_more() {
    let ground = Ground::new();
    let before = Before::of(&ground.bank(str::to_owned).await).await;
    let bank = ground.bank(|on| entry(on, "till-9", ("openid accounts payments", "openid accounts"))).await;
    let till = till9(&bank);
    // Nobody is asked for it.
    till.backchannel(|request| request.with("scope", ALL)).await.refused(400, "invalid_scope");
    assert!(bank.phone.prompts().is_empty());
    // Nobody gets it who asked before.
    till.poll(&before.approved).await.refused(400, "access_denied");
    till.poll(&before.pending).await.refused(400, "authorization_pending");
    assert_eq!(bank.approve(&before.pending).await.status, 204);
    till.poll(&before.pending).await.refused(400, "access_denied");
    // Nobody sees it who has it.
    assert_eq!(bank.payments_api().introspect(&before.access_token()).await.text, r#"{"active":false}"#);
    let seen = bank.accounts_api().introspect(&before.access_token()).await;
    assert_eq!(seen.ok()["scope"], "accounts");
    till.userinfo(&before.access_token()).await.ok();
    // Nobody renews it; what is left can be renewed.
    let token = before.refresh_token();
    till.refresh(&token).await.refused(400, "invalid_scope");
    for wide in [ALL, "openid payments"] {
        till.refresh_call(&token, |call| call.and("scope", wide)).await.refused(400, "invalid_scope");
    }
    let narrower = till.refresh_call(&token, |call| call.and("scope", "openid accounts")).await;
    assert_eq!(narrower.ok()["scope"], "openid accounts");
    assert!(is_live(&bank, &narrower.text("access_token")).await);
}

#[tokio::test]
async fn oauth_5_a_grant_that_was_withdrawn_cannot_be_used_any_more() {
    let ground = Ground::new();
    let before = Before::of(&ground.bank(str::to_owned).await).await;
    let both = format!("\"{CIBA}\", \"refresh_token\"");
    let bank = ground.bank(|on| entry(on, "till-9", (&both, &format!("\"{CIBA}\"")))).await;
    let till = till9(&bank);
    till.refresh(&before.refresh_token()).await.refused(400, "unauthorized_client");
    assert_eq!(till.poll(&before.approved).await.ok().get("refresh_token"), None);
    // It can still be given back, and takes along what came of it.
    assert!(is_live(&bank, &before.access_token()).await);
    assert_eq!(till.revoke(&before.refresh_token()).await.status, 200);
    assert!(!is_live(&bank, &before.access_token()).await);
}

/// A client that takes the place of another has its keys and nothing else.
#[tokio::test]
async fn rt_1_a_client_of_the_same_keys_inherits_nothing() {
    let ground = Ground::new();
    let before = Before::of(&ground.bank(str::to_owned).await).await;
    let bank = ground.bank(|on| disabled(&and_another(on, "till-11"), "till-9")).await;
    let heir = Tpp::new(&bank, "till-11", (key("till8.key"), key("till8.key")), Some("till8"));
    heir.poll(&before.approved).await.refused(400, "invalid_grant");
    heir.refresh(&before.refresh_token()).await.refused(400, "invalid_grant");
    heir.userinfo(&before.access_token()).await.refused(401, "invalid_token");
    let as_before = |call: Call| call.and("client_id", "till-9");
    heir.refresh_call(&before.refresh_token(), as_before).await.refused(401, "invalid_client");
    assert_eq!(payload(&heir.tokens().await.text("id_token"))["aud"], "till-11");
}
