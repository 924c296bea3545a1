//! `/bc-authorize`: the hint (CIBA §7.1), and the user it names (§7.2, §13).

use countersign::wire::bank::Identified;
use serde_json::json;

use crate::bank::Bank;
use crate::raw::in_time;
use crate::token::Draft;

const TOKEN: &str = "xxxxxxxxxxxxxxxxxxxx";

fn hints(mut request: Draft, names: &[&str]) -> Draft {
    for name in ["login_hint", "login_hint_token", "id_token_hint"] {
        request = match (names.contains(&name), name) {
            (false, _) => request.without(name),
            (true, "login_hint") => request.with(name, "alice"),
            (true, _) => request.with(name, TOKEN),
        };
    }
    request
}

/// A request with exactly these hints is refused, and nobody is asked.
async fn refused(names: &[&str]) {
    let bank = Bank::open().await;
    bank.tpp().backchannel(|request| hints(request, names)).await.refused(400, "invalid_request");
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn ciba_7_1_19_exactly_one_hint() {
    refused(&[]).await;
    refused(&["login_hint", "login_hint_token"]).await;
    refused(&["login_hint", "id_token_hint"]).await;
    refused(&["login_hint_token", "id_token_hint"]).await;
    refused(&["login_hint", "login_hint_token", "id_token_hint"]).await;
}

#[tokio::test]
async fn ciba_7_1_19_an_empty_hint_is_none() {
    let bank = Bank::open().await;
    bank.tpp().backchannel(|request| request.with("login_hint", "")).await.refused(400, "invalid_request");
    assert!(bank.phone.prompts().is_empty());
    bank.tpp().backchannel(|request| request.with("login_hint_token", "")).await.ok();
}

#[tokio::test]
async fn ciba_7_1_20_without_an_issuer_that_is_known_no_login_hint_token_is_taken() {
    refused(&["login_hint_token"]).await;
}

#[tokio::test]
async fn ciba_7_1_22_what_is_no_id_token_is_no_id_token_hint() {
    refused(&["id_token_hint"]).await;
}

#[tokio::test]
async fn ciba_7_1_26_a_login_hint_has_at_most_512_bytes_and_no_control_characters() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let longest = "é".repeat(256);
    till.backchannel(|request| request.with("login_hint", longest.clone())).await.refused(400, "unknown_user_id");
    for bad in [
        json!("a".repeat(513)),
        json!("alice\n"),
        json!("\u{0}alice"),
        json!("al\tice"),
        json!("alice\u{7f}"),
        json!("alice\u{85}"),
        json!(null),
        json!({"sub": "alice"}),
        json!(["alice"]),
    ] {
        println!("{bad}");
        till.backchannel(|request| request.with("login_hint", bad)).await.refused(400, "invalid_request");
    }
    assert!(bank.phone.prompts().is_empty());
    bank.phone.knows(&longest, Identified::Known { sub: "carol".into() });
    till.backchannel(|request| request.with("login_hint", longest)).await.ok();
    assert_eq!(bank.phone.prompts()[0]["sub"], "carol");
}

#[tokio::test]
async fn ciba_7_1_27_an_unknown_user() {
    let bank = Bank::open().await;
    for unknown in ["nobody", "Alice", "alice ", "alice-248289761001"] {
        println!("{unknown}");
        let heard = bank.tpp().backchannel(|request| request.with("login_hint", unknown)).await;
        heard.refused(400, "unknown_user_id");
    }
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn ciba_13_11_a_user_who_must_not_be_asked_is_not_asked() {
    let bank = Bank::open().await;
    bank.tpp().backchannel(|request| request.with("login_hint", "bob")).await.refused(403, "access_denied");
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn ciba_7_2_4_a_bank_that_does_not_answer_is_no_answer() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    bank.phone.silent(true);
    let heard = till.backchannel(|request| request).await;
    heard.refused(503, "temporarily_unavailable");
    let seconds: u32 = heard.headers["retry-after"].to_str().expect("ASCII").parse().expect("seconds");
    assert!(seconds > 0);
    assert!(bank.phone.prompts().is_empty());
    bank.phone.silent(false);
    till.backchannel(|request| request).await.ok();
    assert_eq!(bank.phone.prompts().len(), 1);
}

#[tokio::test]
async fn ciba_7_2_4_the_user_is_looked_for_only_when_all_else_is_right() {
    let bank = Bank::open().await;
    let broken: [fn(Draft) -> Draft; 4] = [
        |request| request.with("scope", "openid unknown"),
        |request| request.with("requested_expiry", 0),
        |request| request.with("user_code", "1"),
        |request| request.with("binding_message", "\u{202e}"),
    ];
    let errors = ["invalid_scope", "invalid_request", "invalid_request", "invalid_binding_message"];
    // A bank that was asked would have made 503 of each of these.
    bank.phone.silent(true);
    for (at, (breaking, error)) in broken.into_iter().zip(errors).enumerate() {
        println!("{at}");
        bank.tpp().backchannel(breaking).await.refused(400, error);
    }
}

#[tokio::test]
async fn ciba_13_2_nothing_of_the_request_is_said_back() {
    let bank = Bank::open().await;
    let marked = "marker\"\\\r\né";
    for (name, error) in
        [("login_hint", "invalid_request"), ("scope", "invalid_scope"), ("binding_message", "invalid_binding_message")]
    {
        let heard = bank.tpp().backchannel(|request| request.with(name, marked)).await;
        heard.refused(400, error);
        assert!(!heard.text.contains("marker"), "{heard:#?}");
    }
}

#[tokio::test]
async fn ciba_8_2_a_prompt_that_the_bank_does_not_take_leaves_nothing_to_approve() {
    let bank = Bank::open().await;
    bank.phone.unreachable(true);
    let heard = bank.tpp().backchannel(|request| request).await;
    heard.refused(503, "temporarily_unavailable");
    assert_eq!(heard.headers["retry-after"], "5");
    let lost = bank.phone.prompts()[0]["auth_req_id"].as_str().expect("it was told").to_owned();
    bank.approve(&lost).await.refused(409, "already_settled");
    bank.tpp().poll(&lost).await.refused(400, "access_denied");
    bank.phone.unreachable(false);
    bank.tpp().backchannel(|request| request).await.ok();
}

/// The bank is slow, the till hangs up: what was begun is finished, and there is a line about it.
#[tokio::test]
async fn a_caller_that_hangs_up_stops_nothing() {
    let bank = Bank::open().await;
    let asking = bank.phone.slow();
    bank.tpp().hangs_up().await;
    asking.notify_one();
    in_time(async {
        while bank.phone.prompts().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
