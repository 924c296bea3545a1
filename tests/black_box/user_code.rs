//! `user_code` (CIBA §7.1, §7.1.2): who has one is asked only by those who know it, and it cannot be guessed.

use countersign::wire::bank::Identified;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bank::{Bank, key};
use crate::heard::Heard;
use crate::logs::{Canaries, Log};
use crate::raw::in_time;
use crate::token::Draft;
use crate::tpp::Tpp;
use crate::wired::{till9, till10, wired, wired_with};

const RIGHT: &str = "canary-right-code";
const WRONG: &str = "canary-wrong-code";
const QUARTER: i64 = 900;

/// A bank whose alice and carol have codes.
async fn open() -> Bank {
    coded(wired("https://localhost:1/ping").await)
}

fn coded(bank: Bank) -> Bank {
    bank.phone.knows("carol", Identified::Known { sub: "carol-1".into() });
    for user in ["alice", "carol"] {
        bank.phone.asks_for(user, RIGHT);
    }
    bank
}

/// The till asks alice with this code.
async fn ask(till: &Tpp<'_>, code: impl Into<Value>) -> Heard {
    let code = code.into();
    till.backchannel(|request| request.with("user_code", code)).await
}

async fn wrong(till: &Tpp<'_>, times: usize) {
    for _ in 0..times {
        ask(till, WRONG).await.refused(400, "invalid_user_code");
    }
}

#[tokio::test]
async fn ciba_7_1_32_a_code_that_is_wanted_and_missing_is_asked_for() {
    let bank = open().await;
    let till = till9(&bank);
    till.backchannel(|request| request).await.refused(400, "missing_user_code");
    ask(&till, "").await.refused(400, "missing_user_code");
    assert!(bank.phone.prompts().is_empty());
    ask(&till, RIGHT).await.ok();
    assert_eq!(bank.phone.prompts().len(), 1);
}

#[tokio::test]
async fn ciba_7_1_32_who_has_no_code_is_asked_with_or_without_one() {
    let bank = wired("https://localhost:1/ping").await;
    till9(&bank).backchannel(|request| request).await.ok();
    ask(&till9(&bank), "0000").await.ok();
}

#[tokio::test]
async fn ciba_7_1_33_a_wrong_code_prompts_nobody() {
    let bank = open().await;
    for code in [WRONG, "CANARY-RIGHT-CODE", "canary-right-code ", " "] {
        println!("{code:?}");
        ask(&till9(&bank), code).await.refused(400, "invalid_user_code");
    }
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn ciba_7_1_31_a_client_that_is_not_registered_for_codes_sends_none_and_is_asked_for_none() {
    let bank = open().await;
    for till in [bank.tpp(), till10(&bank)] {
        let ask = |code: Option<&str>| {
            let code = code.map(str::to_owned);
            till.backchannel(move |request| {
                let request = request.with("client_notification_token", "a".repeat(22));
                code.into_iter().fold(request, |request, code| request.with("user_code", code))
            })
        };
        let before = bank.phone.prompts();
        ask(Some(RIGHT)).await.refused(400, "invalid_request");
        ask(Some(WRONG)).await.refused(400, "invalid_request");
        assert_eq!(bank.phone.prompts(), before);
        ask(None).await.ok();
    }
}

#[tokio::test]
async fn ciba_7_1_31_where_the_server_takes_no_codes_nobody_sends_one() {
    let off = |on: &str| on.replace("user_code = true\n", "").replace("backchannel_user_code_parameter = true\n", "");
    let bank = coded(wired_with("https://localhost:1/ping", off).await);
    ask(&till9(&bank), RIGHT).await.refused(400, "invalid_request");
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn ciba_7_1_31_a_code_has_at_most_64_bytes_and_no_control_characters() {
    let bank = open().await;
    let till = till9(&bank);
    for longest in ["a".repeat(64), "é".repeat(32)] {
        bank.phone.asks_for("alice", &longest);
        ask(&till, longest).await.ok();
    }
    let before = bank.phone.prompts();
    for odd in [
        json!("a".repeat(65)),
        json!("é".repeat(32) + "a"),
        json!("12\n34"),
        json!("1234\r"),
        json!("\u{0}1234"),
        json!("12\t34"),
        json!("1234\u{7f}"),
        json!("1234\u{85}"),
        json!(null),
        json!(1234),
        json!(["1234"]),
        json!({ "user_code": "1234" }),
    ] {
        println!("{odd}");
        ask(&till, odd).await.refused(400, "invalid_request");
    }
    let outside = till.backchannel_call(|call| call.and("user_code", RIGHT)).await;
    outside.refused(400, "invalid_request");
    assert_eq!(bank.phone.prompts(), before);
}

#[tokio::test]
async fn ciba_7_1_2_4_after_five_wrong_codes_not_even_the_right_one_is_judged() {
    let bank = open().await;
    let till = till9(&bank);
    wrong(&till, 5).await;
    // A bank that was asked would have made 503 of these.
    bank.phone.silent(true);
    ask(&till, WRONG).await.refused(403, "access_denied");
    ask(&till, RIGHT).await.refused(403, "access_denied");
    bank.phone.silent(false);
    assert!(bank.phone.prompts().is_empty());
    till.backchannel(|request| request).await.refused(400, "missing_user_code");
    till.backchannel(|request| request.with("login_hint", "carol").with("user_code", RIGHT)).await.ok();
    bank.tpp().backchannel(|request| request).await.ok();
}

#[tokio::test]
async fn ciba_7_1_2_4_another_client_does_not_get_five_more_about_the_same_user() {
    let mode = "backchannel_token_delivery_mode = \"ping\"";
    let both = |on: &str| on.replace(mode, &format!("{mode}\nbackchannel_user_code_parameter = true"));
    let bank = coded(wired_with("https://localhost:1/ping", both).await);
    wrong(&till9(&bank), 3).await;
    let other = till10(&bank);
    let ask = |code: &str| {
        let code = code.to_owned();
        other.backchannel(|r| r.with("client_notification_token", "a".repeat(22)).with("user_code", code))
    };
    ask(WRONG).await.refused(400, "invalid_user_code");
    ask(WRONG).await.refused(400, "invalid_user_code");
    ask(RIGHT).await.refused(403, "access_denied");
}

#[tokio::test]
async fn ciba_7_1_2_4_guesses_at_once_are_counted_before_they_are_judged() {
    let bank = open().await;
    let judging = bank.phone.slow();
    let till = till9(&bank);
    let body = || {
        let request = till.request().with("user_code", WRONG).finish();
        let form = [
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &till.assertion().finish()),
            ("request", &request),
        ];
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
    };
    let guess = |_| Heard::of(till.backchannel_http(|http| *http.body_mut() = Some(body().into())));
    let mut guesses: JoinSet<Heard> = (0..12).map(guess).collect();
    for _ in 5..12 {
        let heard = in_time(guesses.join_next()).await.expect("another").expect("no panic");
        heard.refused(403, "access_denied");
    }
    for _ in 0..5 {
        judging.notify_one();
        let heard = in_time(guesses.join_next()).await.expect("another").expect("no panic");
        heard.refused(400, "invalid_user_code");
    }
    ask(&till, RIGHT).await.refused(403, "access_denied");
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn ciba_7_1_2_4_the_right_code_forgives_the_wrong_ones_before_it() {
    let bank = open().await;
    let till = till9(&bank);
    for _ in 0..3 {
        wrong(&till, 4).await;
        ask(&till, RIGHT).await.ok();
    }
    wrong(&till, 5).await;
    ask(&till, RIGHT).await.refused(403, "access_denied");
}

#[tokio::test]
async fn ciba_7_1_2_4_right_codes_are_no_guesses() {
    let bank = open().await;
    for _ in 0..51 {
        ask(&till9(&bank), RIGHT).await.ok();
    }
}

#[tokio::test]
async fn ciba_7_1_2_4_a_quarter_of_an_hour_after_the_first_wrong_code_it_begins_anew() {
    let bank = open().await;
    let till = till9(&bank);
    wrong(&till, 1).await;
    bank.clock.advance(QUARTER - 2);
    wrong(&till, 4).await;
    ask(&till, RIGHT).await.refused(403, "access_denied");
    bank.clock.advance(1);
    ask(&till, RIGHT).await.refused(403, "access_denied");
    bank.clock.advance(1);
    wrong(&till, 4).await;
    ask(&till, RIGHT).await.ok();
}

#[tokio::test]
async fn ciba_7_1_2_4_after_fifty_wrong_codes_about_anybody_a_client_is_not_listened_to() {
    let bank = open().await;
    let till = till9(&bank);
    let ask = async |user: &str, code: &str| {
        let (user, code) = (user.to_owned(), code.to_owned());
        till.backchannel(|request| request.with("login_hint", user).with("user_code", code)).await
    };
    ask("carol", RIGHT).await.ok();
    for user in 0..10 {
        let user = format!("user-{user}");
        bank.phone.asks_for(&user, RIGHT);
        for _ in 0..5 {
            ask(&user, WRONG).await.refused(400, "invalid_user_code");
        }
    }
    ask("carol", RIGHT).await.refused(403, "access_denied");
    till.backchannel(|request| request).await.refused(400, "missing_user_code");
    assert_eq!(bank.phone.prompts().len(), 1);
    bank.clock.advance(QUARTER);
    ask("carol", RIGHT).await.ok();
}

/// Five times nobody says whether it was right: then nobody has guessed.
#[tokio::test]
async fn ciba_7_1_2_4_a_code_that_nobody_judged_is_no_guess() {
    let bank = open().await;
    let till = till9(&bank);
    bank.phone.silent(true);
    for _ in 0..6 {
        ask(&till, RIGHT).await.refused(503, "temporarily_unavailable");
    }
    bank.phone.silent(false);
    for _ in 0..6 {
        let nobody = till.backchannel(|request| request.with("user_code", RIGHT).with("login_hint", "nobody")).await;
        nobody.refused(400, "unknown_user_id");
    }
    wrong(&till, 4).await;
    ask(&till, RIGHT).await.ok();
}

#[tokio::test]
async fn ciba_7_1_2_4_a_request_that_is_wrong_in_itself_is_no_guess() {
    let bank = open().await;
    let till = till9(&bank);
    let broken: [fn(Draft) -> Draft; 3] = [
        |request| request.with("scope", "openid nothing"),
        |request| request.without("binding_message"),
        |request| request.with("aud", "https://elsewhere.example"),
    ];
    for breaking in broken {
        for _ in 0..5 {
            let heard = till.backchannel(|request| breaking(request.with("user_code", WRONG))).await;
            assert_eq!(heard.status, 400, "{heard:#?}");
        }
    }
    // A stranger in the till's name locks nobody out.
    let stranger = Tpp::new(&bank, "till-9", (key("payments-api.key"), key("till8.key")), None);
    for _ in 0..5 {
        ask(&stranger, WRONG).await.refused(401, "invalid_client");
    }
    ask(&till, RIGHT).await.ok();
}

#[tokio::test]
async fn c_26_a_code_is_neither_logged_nor_shown() {
    let (log, bank, _listening) = Log::listen_to(open()).await;
    let till = till9(&bank);
    let mut canaries = Canaries::default();
    for code in [RIGHT, WRONG, "canary-too-long"] {
        canaries.keep(code);
    }
    wrong(&till, 4).await;
    ask(&till, RIGHT).await.ok();
    wrong(&till, 5).await;
    ask(&till, RIGHT).await.refused(403, "access_denied");
    ask(&till, "canary-too-long".repeat(5)).await.refused(400, "invalid_request");
    bank.tpp().backchannel(|request| request.with("user_code", RIGHT)).await.refused(400, "invalid_request");
    canaries.are_not_in(&log);
    let shown = json!(bank.phone.prompts()).to_string();
    assert!(!shown.contains(RIGHT) && !shown.contains("user_code"), "{shown}");
}
