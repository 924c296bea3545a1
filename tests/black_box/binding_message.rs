//! `/bc-authorize`: the binding message (CIBA §7.1, FAPI-CIBA-ID1 §5.2.2-2), which both devices show.

use serde_json::{Value, json};

use crate::bank::Bank;

/// The message of the conformance suite's module fapi-ciba-id1-ensure-authorization-request-with-potentially-bad-binding-message.
const CONFORMANCE: &str = "1234 \u{1f44d}\u{1f3ff} \u{54c1}\u{5ddd} Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor \
    incididunt ut labore et dolore magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea \
    commodo consequat. Duis aute irure dolor in reprehenderit in voluptate velit esse cillum dolore eu fugiat nulla pariatur. Excepteur sint \
    occaecat cupidatat non proident, sunt in culpa qui officia deserunt mollit anim id est laborum.";

/// Each of `messages` is refused with `error`, and nobody is asked.
async fn each_refused(messages: impl IntoIterator<Item = Value>, error: &str) {
    let bank = Bank::open().await;
    let till = bank.tpp();
    for message in messages {
        println!("{message}");
        till.backchannel(|request| request.with("binding_message", message)).await.refused(400, error);
    }
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn fapiciba_5_2_2_2_a_binding_message_is_needed() {
    let bank = Bank::open().await;
    bank.tpp().backchannel(|request| request.without("binding_message")).await.refused(400, "invalid_request");
    assert!(bank.phone.prompts().is_empty());
    each_refused([json!(""), json!(null), json!(1234), json!(["1234"])], "invalid_request").await;
}

#[tokio::test]
async fn ciba_7_1_28_it_is_shown_unchanged() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let messages = ["1234", "Café 品川 €9,90 №7 — ok", "a  b", "<b>&amp;\"\\%41+", "e\u{301}", "é", "مرحبا 12"];
    for message in messages {
        till.backchannel(|request| request.with("binding_message", message)).await.ok();
    }
    let shown: Vec<Value> = bank.phone.prompts().into_iter().map(|prompt| prompt["binding_message"].clone()).collect();
    assert_eq!(shown, messages);
}

#[tokio::test]
async fn ciba_7_1_30_it_has_at_most_64_characters() {
    let bank = Bank::open().await;
    for longest in ["7".repeat(64), "品".repeat(64)] {
        bank.tpp().backchannel(|request| request.with("binding_message", longest)).await.ok();
    }
    each_refused([json!("7".repeat(65)), json!("品".repeat(65)), json!("7".repeat(4096))], "invalid_binding_message")
        .await;
}

#[tokio::test]
async fn ciba_7_1_29_control_characters_are_refused() {
    let bad = ["12\n34", "12\r34", "12\t34", "12\u{0}34", "12\u{1b}[2J", "12\u{7f}34", "12\u{85}34", "12\u{9b}34"];
    each_refused(bad.map(Value::from), "invalid_binding_message").await;
}

#[tokio::test]
async fn ciba_7_1_29_nothing_turns_the_direction_of_the_text() {
    let bad = ['\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2069}'];
    each_refused(bad.map(|c| json!(format!("pay 1{c}00"))), "invalid_binding_message").await;
}

#[tokio::test]
async fn ciba_7_1_29_nothing_is_invisible() {
    let bad =
        ['\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{fe0f}', '\u{3164}', '\u{2028}'];
    each_refused(bad.map(|c| json!(format!("12{c}34"))), "invalid_binding_message").await;
}

#[tokio::test]
async fn ciba_7_1_29_no_emoji_private_use_or_noncharacters() {
    let bad = ['\u{1f44d}', '\u{1f1e9}', '\u{e000}', '\u{fffd}', '\u{ffff}', '\u{e0041}', '\u{10ffff}'];
    each_refused(bad.map(|c| json!(format!("12{c}34"))), "invalid_binding_message").await;
}

#[tokio::test]
async fn ciba_7_1_29_no_space_at_either_end() {
    each_refused([" 1234", "1234 ", "\u{a0}1234", "1234\u{3000}", " "].map(Value::from), "invalid_binding_message")
        .await;
}

#[tokio::test]
async fn ciba_7_1_29_the_message_of_the_conformance_suite_is_refused() {
    assert!((455..=465).contains(&CONFORMANCE.chars().count()), "{}", CONFORMANCE.chars().count());
    each_refused([json!(CONFORMANCE)], "invalid_binding_message").await;
    each_refused([json!(CONFORMANCE.chars().take(64).collect::<String>())], "invalid_binding_message").await;
}
