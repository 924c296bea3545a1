//! `/standing`: the bank locks a user, and whatever was given out in that user's name ends, for good.

use countersign::wire::bank::Identified;
use serde_json::{Value, json};

use crate::bank::{Bank, certificates, client};
use crate::ground::Ground;
use crate::heard::Heard;
use crate::tpp::Tpp;
use crate::wired::{is_live, standing, till9, wired};

const NOWHERE: &str = "https://localhost:1/ping";
const ALICE: &str = "alice-248289761001";
const CAROL: &str = "carol-1";

/// The bank says it, and it is taken.
async fn said(bank: &Bank, sub: &str, word: &str) {
    let heard = standing(bank, sub, word).await;
    assert_eq!((heard.status, heard.text.as_str()), (204, ""), "{heard:#?}");
}

/// Whoever holds `certificate` posts `body`.
async fn post(bank: &Bank, certificate: Option<&str>, body: impl Into<reqwest::Body>) -> Heard {
    let url = format!("https://localhost:{}/standing", bank.internal.port());
    Heard::of(client(certificate).post(url).header("content-type", "application/json").body(body)).await
}

async fn approve(bank: &Bank, auth_req_id: &str, sub: &str) {
    let yes = json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": sub});
    assert_eq!(bank.decide(&yes).await.status, 204);
}

async fn cannot_approve(bank: &Bank, auth_req_id: &str, sub: &str) {
    let yes = json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": sub});
    bank.decide(&yes).await.refused(403, "access_denied");
}

/// Neither live nor renewable.
async fn are_dead(bank: &Bank, till: &Tpp<'_>, tokens: &Heard) {
    assert!(!is_live(bank, &tokens.text("access_token")).await);
    till.userinfo(&tokens.text("access_token")).await.refused(401, "invalid_token");
    till.refresh(&tokens.text("refresh_token")).await.refused(400, "invalid_grant");
}

/// Live and renewable.
async fn are_good(bank: &Bank, till: &Tpp<'_>, tokens: &Heard) {
    assert!(is_live(bank, &tokens.text("access_token")).await);
    till.userinfo(&tokens.text("access_token")).await.ok();
    till.refresh(&tokens.text("refresh_token")).await.ok();
}

#[tokio::test]
async fn ciba_13_11_a_locked_user_is_not_asked() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    said(&bank, ALICE, "locked").await;
    for later in [0, 1, 600] {
        bank.clock.advance(later);
        till.backchannel(|request| request).await.refused(403, "access_denied");
        bank.tpp().backchannel(|request| request).await.refused(403, "access_denied");
    }
    assert!(bank.phone.prompts().is_empty());
    said(&bank, ALICE, "good").await;
    // What is asked in the second of the unlocking could not be told from what was asked before it.
    till.backchannel(|request| request).await.refused(403, "access_denied");
    bank.clock.advance(1);
    till.backchannel(|request| request).await.ok();
    assert_eq!(bank.phone.prompts().len(), 1);
}

#[tokio::test]
async fn ciba_11_4_what_a_user_said_yes_to_before_the_lock_is_denied() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let (approved, pending) = (till.auth_req_id().await, till.auth_req_id().await);
    approve(&bank, &approved, ALICE).await;
    bank.clock.advance(1);
    said(&bank, ALICE, "locked").await;
    till.poll(&approved).await.refused(400, "access_denied");
    till.poll(&pending).await.refused(400, "authorization_pending");
    cannot_approve(&bank, &pending, ALICE).await;
    bank.clock.advance(1);
    said(&bank, ALICE, "good").await;
    bank.clock.advance(1);
    till.poll(&approved).await.refused(400, "access_denied");
    cannot_approve(&bank, &pending, ALICE).await;
    assert_eq!(bank.deny(&pending).await.status, 204, "a no is always taken");
    till.poll(&pending).await.refused(400, "access_denied");
}

#[tokio::test]
async fn rt_1_with_a_lock_the_users_tokens_end_and_unlocking_brings_none_back() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let tokens = till.tokens().await;
    bank.clock.advance(1);
    let refreshed = till.refresh(&tokens.text("refresh_token")).await.text("access_token");
    are_good(&bank, &till, &tokens).await;
    said(&bank, ALICE, "locked").await;
    are_dead(&bank, &till, &tokens).await;
    assert!(!is_live(&bank, &refreshed).await);
    bank.clock.advance(1);
    are_dead(&bank, &till, &tokens).await;
    said(&bank, ALICE, "good").await;
    are_dead(&bank, &till, &tokens).await;
    assert!(!is_live(&bank, &refreshed).await);
    bank.clock.advance(1);
    are_dead(&bank, &till, &tokens).await;
    assert!(!is_live(&bank, &refreshed).await);
    let new = till.tokens().await;
    are_good(&bank, &till, &new).await;
    // A second lock, as long after.
    bank.clock.advance(1);
    said(&bank, ALICE, "locked").await;
    said(&bank, ALICE, "locked").await;
    are_dead(&bank, &till, &new).await;
}

#[tokio::test]
async fn rt_1_what_was_given_out_in_the_second_of_the_lock_ends_too() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let tokens = till.tokens().await;
    let approved = till.auth_req_id().await;
    approve(&bank, &approved, ALICE).await;
    said(&bank, ALICE, "locked").await;
    said(&bank, ALICE, "good").await;
    bank.clock.advance(1);
    are_dead(&bank, &till, &tokens).await;
    till.poll(&approved).await.refused(400, "access_denied");
}

/// A lock that comes between the question and the answer.
#[tokio::test]
async fn ciba_13_11_what_was_asked_before_the_lock_cannot_be_approved_after_the_unlocking() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let pending = till.auth_req_id().await;
    bank.clock.advance(1);
    said(&bank, ALICE, "locked").await;
    said(&bank, ALICE, "good").await;
    bank.clock.advance(1);
    cannot_approve(&bank, &pending, ALICE).await;
    till.poll(&pending).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn to_be_called_good_harms_nobody() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let tokens = till.tokens().await;
    let approved = till.auth_req_id().await;
    approve(&bank, &approved, ALICE).await;
    said(&bank, ALICE, "good").await;
    are_good(&bank, &till, &tokens).await;
    till.poll(&approved).await.ok();
    // Nor does it harm somebody who was locked once and is not any more.
    said(&bank, ALICE, "locked").await;
    said(&bank, ALICE, "good").await;
    bank.clock.advance(1);
    let tokens = till.tokens().await;
    bank.clock.advance(1);
    said(&bank, ALICE, "good").await;
    bank.clock.advance(1);
    are_good(&bank, &till, &tokens).await;
}

#[tokio::test]
async fn nobody_else_is_locked() {
    let bank = wired(NOWHERE).await;
    bank.phone.knows("carol", Identified::Known { sub: CAROL.into() });
    let till = till9(&bank);
    let carols = async || {
        let asked = till.backchannel(|request| request.with("login_hint", "carol")).await.text("auth_req_id");
        approve(&bank, &asked, CAROL).await;
        asked
    };
    let (tokens, approved) = (till.poll(&carols().await).await, carols().await);
    said(&bank, ALICE, "locked").await;
    for near in ["carol", "Carol-1", "carol-1 ", "carol-11", "nobody"] {
        said(&bank, near, "locked").await;
    }
    are_good(&bank, &till, &tokens).await;
    till.poll(&approved).await.ok();
    carols().await;
}

#[tokio::test]
async fn a_lock_lasts_until_the_bank_lifts_it() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    said(&bank, ALICE, "locked").await;
    bank.clock.advance(91 * 24 * 3600);
    // Enough others that every shelf of the memory has been swept.
    for other in 0..400 {
        said(&bank, &format!("other-{other}"), "locked").await;
    }
    till.backchannel(|request| request).await.refused(403, "access_denied");
}

#[tokio::test]
async fn ciba_8_1_only_the_bank_may_lock_anybody() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let tokens = till.tokens().await;
    let locked = json!({"sub": ALICE, "standing": "locked"}).to_string();
    for stranger in [None, Some("till8"), Some("till"), Some("countersign"), Some("server-p256")] {
        println!("{stranger:?}");
        post(&bank, stranger, locked.clone()).await.refused(401, "invalid_client");
        // Who is not the bank does not even learn what a good message looks like.
        post(&bank, stranger, "{").await.refused(401, "invalid_client");
    }
    assert_ne!(certificates("bank")[0], certificates("till")[0]);
    let outside = client(Some("bank")).post(format!("{}/standing", bank.issuer));
    Heard::of(outside.header("content-type", "application/json").body(locked)).await.refused(404, "not_found");
    are_good(&bank, &till, &tokens).await;
}

#[tokio::test]
async fn ciba_8_1_what_cannot_be_read_locks_nobody() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let tokens = till.tokens().await;
    let doubled =
        |first: &str, second: &str| format!(r#"{{"sub":"{ALICE}","standing":"{first}","standing":"{second}"}}"#);
    let bad: Vec<String> = [
        json!({}),
        json!({"sub": ALICE}),
        json!({"standing": "locked"}),
        json!({"sub": ALICE, "standing": "Locked"}),
        json!({"sub": ALICE, "standing": "locked "}),
        json!({"sub": ALICE, "standing": "bad"}),
        json!({"sub": ALICE, "standing": ""}),
        json!({"sub": ALICE, "standing": true}),
        json!({"sub": ALICE, "standing": ["locked"]}),
        json!({"sub": ALICE, "standing": Value::Null}),
        json!({"sub": [ALICE], "standing": "locked"}),
        json!({"sub": Value::Null, "standing": "locked"}),
        json!({"sub": 7, "standing": "locked"}),
        json!({"sub": ALICE, "standing": "locked", "until": 7}),
        json!([{"sub": ALICE, "standing": "locked"}]),
    ]
    .iter()
    .map(Value::to_string)
    .chain([doubled("locked", "good"), doubled("good", "locked"), String::new(), "null".into(), "{".into()])
    .chain([format!(r#"{{"sub":"{ALICE}","sub":"{CAROL}","standing":"locked"}}"#)])
    .collect();
    for body in bad {
        println!("{body}");
        post(&bank, Some("bank"), body).await.refused(400, "invalid_request");
    }
    post(&bank, Some("bank"), vec![0xff, 0xfe]).await.refused(400, "invalid_request");
    let url = format!("https://localhost:{}/standing", bank.internal.port());
    let body = json!({"sub": ALICE, "standing": "locked"}).to_string();
    let as_text = client(Some("bank")).post(&url).header("content-type", "text/plain").body(body.clone());
    Heard::of(as_text).await.refused(400, "invalid_request");
    let with_query = client(Some("bank")).post(format!("{url}?x=y")).header("content-type", "application/json");
    Heard::of(with_query.body(body)).await.refused(400, "invalid_request");
    are_good(&bank, &till, &tokens).await;
}

#[tokio::test]
async fn oidc_2_sub_a_user_is_named_as_in_a_decision() {
    let bank = wired(NOWHERE).await;
    said(&bank, &"x".repeat(255), "locked").await;
    for bad in ["", &"x".repeat(256), "é", "a\nb", "a\u{7f}"] {
        println!("{bad}");
        standing(&bank, bad, "locked").await.refused(400, "invalid_request");
    }
}

/// What one server hears, those beside it know.
#[tokio::test]
async fn a_lock_holds_wherever_the_memory_is_shared() {
    let ground = Ground::new();
    let (one, two) = (ground.bank(str::to_owned).await, ground.bank(str::to_owned).await);
    let tokens = till9(&one).tokens().await;
    are_good(&two, &till9(&two), &tokens).await;
    said(&one, ALICE, "locked").await;
    are_dead(&two, &till9(&two), &tokens).await;
    till9(&two).backchannel(|request| request).await.refused(403, "access_denied");
}
