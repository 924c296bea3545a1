//! Ping (CIBA §10.2): a client is told that there is an answer, and nothing of what it is. Which token it gives for that (§7.1), and when it is told.

use serde_json::{Value, json};

use crate::bank::{Bank, certificates, client, pkcs8};
use crate::heard::Heard;
use crate::logs::Log;
use crate::raw::in_time;
use crate::teller::{Says, Teller, response};
use crate::wired::{till9, till10, wired};

/// The token of till 10.
pub(crate) const TOKEN: &str = "8d67dc78-7faa-4d41-aabd-67707b374255";

/// A client's endpoint, with a certificate that the server trusts.
pub(crate) async fn listening(says: Says) -> Teller {
    Teller::open((certificates("bank"), pkcs8("bank.key").into()), says).await
}

/// A client's endpoint that is content with everything.
async fn content() -> Teller {
    listening(response("204 No Content", "", "")).await
}

/// Till 10 asks, and wants to be told.
pub(crate) async fn asked(bank: &Bank) -> String {
    till10(bank).backchannel(|request| request.with("client_notification_token", TOKEN)).await.text("auth_req_id")
}

/// About which request the next ping is.
async fn pinged_about(teller: &Teller) -> String {
    let call = in_time(teller.call()).await;
    let (_, body) = call.text.split_once("\r\n\r\n").expect("a body");
    let body: Value = serde_json::from_str(body).expect("JSON");
    body["auth_req_id"].as_str().expect("a string").to_owned()
}

/// Only the next request that is decided is pinged about: whatever came before it, nobody was told.
async fn nobody_was_told(bank: &Bank, teller: &Teller) {
    let next = asked(bank).await;
    assert_eq!(bank.deny(&next).await.status, 204);
    assert_eq!(pinged_about(teller).await, next);
    assert_eq!(teller.knocks(), 1);
}

#[tokio::test]
async fn ciba_10_2_1_a_ping_is_a_post_of_the_auth_req_id_and_nothing_else_with_the_clients_token() {
    let teller = content().await;
    let bank = wired(&teller.url).await;
    let till = till10(&bank);
    let asked = till.backchannel(|request| request.with("client_notification_token", TOKEN)).await;
    let auth_req_id = asked.text("auth_req_id");
    till.poll(&auth_req_id).await.refused(400, "authorization_pending");
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    let call = in_time(teller.call()).await;
    let (head, body) = call.text.split_once("\r\n\r\n").expect("a body");
    assert!(head.starts_with("POST /ciba HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
    assert!(head.lines().any(|line| line.eq_ignore_ascii_case(&format!("authorization: Bearer {TOKEN}"))), "{head}");
    assert_eq!(body, json!({ "auth_req_id": auth_req_id }).to_string());
    till.poll(&auth_req_id).await.ok();
}

#[tokio::test]
async fn ciba_7_1_13_a_client_that_is_pinged_has_to_say_with_which_token() {
    let bank = wired("https://localhost:1/ping").await;
    let till = till10(&bank);
    till.backchannel(|request| request).await.refused(400, "invalid_request");
    for bad in [json!(""), json!(null), json!(0), json!([TOKEN]), json!({ "token": TOKEN })] {
        println!("{bad}");
        till.backchannel(|request| request.with("client_notification_token", bad))
            .await
            .refused(400, "invalid_request");
    }
    let outside = till.backchannel_call(|call| call.and("client_notification_token", TOKEN)).await;
    outside.refused(400, "invalid_request");
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn ciba_7_1_14_a_notification_token_has_22_to_1024_characters() {
    let teller = content().await;
    let bank = wired(&teller.url).await;
    let till = till10(&bank);
    for bad in [1, 21, 1025, 2048] {
        println!("{bad}");
        let heard = till.backchannel(|request| request.with("client_notification_token", "a".repeat(bad))).await;
        heard.refused(400, "invalid_request");
    }
    assert!(bank.phone.prompts().is_empty());
    for good in [22, 1024] {
        println!("{good}");
        let token = "a".repeat(good);
        let heard = till.backchannel(|request| request.with("client_notification_token", token.clone())).await;
        assert_eq!(bank.approve(&heard.text("auth_req_id")).await.status, 204);
        let call = in_time(teller.call()).await;
        let told = format!("authorization: Bearer {token}");
        assert!(call.text.lines().any(|line| line.eq_ignore_ascii_case(&told)), "{}", call.text);
    }
}

#[tokio::test]
async fn ciba_7_1_15_a_notification_token_is_a_b64token() {
    let bank = wired("https://localhost:1/ping").await;
    let till = till10(&bank);
    for good in
        ["abcXYZ019-._~+/abcdefg", "abcdefghijklmnopqrstuv==", "a=====================", "1111111111111111111111"]
    {
        println!("{good}");
        till.backchannel(|request| request.with("client_notification_token", good)).await.ok();
    }
    let before = bank.phone.prompts();
    for bad in [
        "======================",
        "=abcdefghijklmnopqrstuvw",
        "abcdefghijk=lmnopqrstuvw",
        "abcdefghijk lmnopqrstuvw",
        " abcdefghijklmnopqrstuvw",
        "abcdefghijklmnopqrstuvw ",
        "abcdefghijklmnopqrstuvw\n",
        "abcdefghijk\r\nX-Evil: lmn",
        "abcdefghijk\u{0}lmnopqrstuvw",
        "abcdefghijk,lmnopqrstuvw",
        "abcdefghijk:lmnopqrstuvw",
        "abcdefghijk\"lmnopqrstuvw",
        "abcdefghijk\\lmnopqrstuvw",
        "abcdefghijk%lmnopqrstuvw",
        "abcdefghijkélmnopqrstuvw",
        "ｆｕｌｌｗｉｄｔｈｌｅｔｔｅｒｓｈｅｒｅｎｏｗ",
    ] {
        println!("{bad:?}");
        till.backchannel(|request| request.with("client_notification_token", bad))
            .await
            .refused(400, "invalid_request");
    }
    assert_eq!(bank.phone.prompts(), before);
}

#[tokio::test]
async fn ciba_7_1_17_the_notification_token_of_a_poll_client_is_not_looked_at_nor_kept() {
    let teller = content().await;
    let (log, bank, _listening) = Log::listen_to(wired(&teller.url)).await;
    let till = till9(&bank);
    for token in [TOKEN, "short", "a b", &"a".repeat(1025)] {
        println!("{token}");
        let heard = till.backchannel(|request| request.with("client_notification_token", token)).await;
        let auth_req_id = heard.text("auth_req_id");
        assert_eq!(bank.approve(&auth_req_id).await.status, 204);
        till.poll(&auth_req_id).await.ok();
    }
    nobody_was_told(&bank, &teller).await;
    assert!(!log.text().contains("notified any more"), "there was something to tell them with");
}

#[tokio::test]
async fn ciba_10_2_2_a_denial_is_pinged_about_in_the_same_words() {
    let teller = content().await;
    let bank = wired(&teller.url).await;
    let mut told = Vec::new();
    for approved in [true, false] {
        let auth_req_id = asked(&bank).await;
        let decided = if approved { bank.approve(&auth_req_id).await } else { bank.deny(&auth_req_id).await };
        assert_eq!(decided.status, 204);
        told.push(in_time(teller.call()).await.text.replace(&auth_req_id, "id"));
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn ciba_10_2_4_whoever_polls_from_within_the_ping_finds_the_answer() {
    let teller = listening(Says::Nothing).await;
    let bank = wired(&teller.url).await;
    let till = till10(&bank);
    let approved = asked(&bank).await;
    let (decided, ()) = tokio::join!(bank.approve(&approved), async {
        assert_eq!(pinged_about(&teller).await, approved);
        till.poll(&approved).await.ok();
    });
    assert_eq!(decided.status, 204);
    let denied = asked(&bank).await;
    let (decided, ()) = tokio::join!(bank.deny(&denied), async {
        assert_eq!(pinged_about(&teller).await, denied);
        till.poll(&denied).await.refused(400, "access_denied");
    });
    assert_eq!(decided.status, 204);
}

#[tokio::test]
async fn ciba_8_3_a_decision_that_is_refused_is_not_pinged_about() {
    let teller = content().await;
    let bank = wired(&teller.url).await;
    let auth_req_id = asked(&bank).await;
    let another = json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": "mallory"});
    bank.decide(&another).await.refused(403, "access_denied");
    bank.deny("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await.refused(404, "unknown_auth_req_id");
    nobody_was_told(&bank, &teller).await;
}

#[tokio::test]
async fn ciba_10_2_1_of_decisions_at_once_one_is_pinged_about() {
    let teller = content().await;
    let (log, bank, _listening) = Log::listen_to(wired(&teller.url)).await;
    let auth_req_id = asked(&bank).await;
    let url = format!("https://localhost:{}/decision", bank.internal.port());
    let yes = json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": "alice-248289761001"}).to_string();
    let no = json!({"auth_req_id": auth_req_id, "decision": "deny"}).to_string();
    let decide =
        |body: &String| client(Some("bank")).post(&url).header("content-type", "application/json").body(body.clone());
    let heard = Heard::all([&yes, &no, &yes, &no, &yes, &no].map(decide).into()).await;
    assert_eq!(Heard::count(&heard, 204, None), 1);
    assert_eq!(Heard::count(&heard, 409, Some("already_settled")), 5);
    log.line("notified").await;
    assert_eq!(teller.knocks(), 1);
    assert_eq!(bank.deny(&auth_req_id).await.status, 409);
    let next = asked(&bank).await;
    assert_eq!(bank.deny(&next).await.status, 204);
    assert_eq!(pinged_about(&teller).await, auth_req_id);
    assert_eq!(pinged_about(&teller).await, next);
    assert_eq!(teller.knocks(), 2);
}

#[tokio::test]
async fn ciba_10_2_3_a_request_that_expires_is_not_pinged_about() {
    let teller = content().await;
    let bank = wired(&teller.url).await;
    let auth_req_id = asked(&bank).await;
    bank.clock.advance(120);
    bank.approve(&auth_req_id).await.refused(409, "already_settled");
    till10(&bank).poll(&auth_req_id).await.refused(400, "expired_token");
    nobody_was_told(&bank, &teller).await;
}

#[tokio::test]
async fn ciba_8_2_a_request_that_the_bank_lost_is_not_pinged_about() {
    let teller = content().await;
    let bank = wired(&teller.url).await;
    bank.phone.unreachable(true);
    let heard = till10(&bank).backchannel(|request| request.with("client_notification_token", TOKEN)).await;
    heard.refused(503, "temporarily_unavailable");
    bank.phone.unreachable(false);
    nobody_was_told(&bank, &teller).await;
}
