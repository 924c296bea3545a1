//! `login_hint_token` (CIBA §7.1): the word of an issuer that the operator named says who is meant, once.

use countersign::wire::bank::Identified;
use serde_json::{Value, json};

use crate::bank::{Bank, key};
use crate::forged::{
    Forgery, around, doubled_claim, hmac_of_jwk, inverted, nothing, one_bit_off, reworded, rs256, stray_bit, zeros,
};
use crate::heard::Heard;
use crate::token::Draft;
use crate::tpp::Tpp;
use crate::wired::{DIRECTORY, hint_token, till9, wired, wired_with};

async fn open() -> Bank {
    wired("https://localhost:1/ping").await
}

/// The till asks with this as its only hint.
async fn ask(till: &Tpp<'_>, hint: impl Into<Value>) -> Heard {
    let hint = hint.into();
    till.backchannel(|request| request.without("login_hint").with("login_hint_token", hint)).await
}

/// It is refused like this, and the bank is not asked: silent, it would make 503 of that.
async fn refused_as(bank: &Bank, error: &str, hint: impl Into<Value>) {
    bank.phone.silent(true);
    ask(&bank.tpp(), hint).await.refused(400, error);
    bank.phone.silent(false);
}

async fn refused(bank: &Bank, hint: impl Into<Value>) {
    refused_as(bank, "invalid_request", hint).await;
}

/// Changed like this, it is refused, and its `jti` is still good for the honest one.
async fn spoilt(bank: &Bank, change: impl FnOnce(Draft) -> Draft) {
    let honest = hint_token(bank, &format!("jti-{}", bank.phone.prompts().len()));
    refused(bank, change(honest.clone()).finish()).await;
    ask(&bank.tpp(), honest.finish()).await.ok();
}

#[tokio::test]
async fn ciba_7_1_20_a_token_of_a_known_issuer_says_who_is_meant() {
    let bank = open().await;
    ask(&bank.tpp(), hint_token(&bank, "one").finish()).await.ok();
    assert_eq!(bank.phone.prompts()[0]["sub"], "alice-248289761001", "the bank was asked about alice");
    bank.phone.knows("carol", Identified::Known { sub: "carol-1".into() });
    ask(&till9(&bank), hint_token(&bank, "two").with("sub", "carol").with("aud", json!([bank.issuer])).finish())
        .await
        .ok();
    assert_eq!(bank.phone.prompts()[1]["sub"], "carol-1");
    ask(&bank.tpp(), hint_token(&bank, "three").with("sub", "nobody").finish()).await.refused(400, "unknown_user_id");
    ask(&bank.tpp(), hint_token(&bank, "four").with("sub", "bob").finish()).await.refused(403, "access_denied");
    ask(&bank.tpp(), hint_token(&bank, "five").without("iat").without_header("kid").finish()).await.ok();
    ask(&bank.tpp(), hint_token(&bank, "six").header("typ", "Login-Hint+JWT").finish()).await.ok();
}

#[tokio::test]
async fn ciba_7_1_20_it_is_good_once_whoever_shows_it() {
    let bank = open().await;
    let token = hint_token(&bank, "one").finish();
    ask(&bank.tpp(), token.clone()).await.ok();
    ask(&bank.tpp(), token.clone()).await.refused(400, "invalid_request");
    ask(&till9(&bank), token).await.refused(400, "invalid_request");
    bank.phone.knows("carol", Identified::Known { sub: "carol-1".into() });
    ask(&bank.tpp(), hint_token(&bank, "one").with("sub", "carol").finish()).await.refused(400, "invalid_request");
    ask(&bank.tpp(), hint_token(&bank, "One").finish()).await.ok();
    assert_eq!(bank.phone.prompts().len(), 2);
    let longest = hint_token(&bank, "two").with("exp", bank.now() + 300).finish();
    ask(&bank.tpp(), longest.clone()).await.ok();
    bank.clock.advance(299);
    ask(&bank.tpp(), longest).await.refused(400, "invalid_request");
}

/// Whatever else is wrong with a request, it is put right with the same token.
#[tokio::test]
async fn ciba_7_2_4_a_request_that_is_refused_for_something_else_does_not_use_it_up() {
    let bank = open().await;
    let till = till9(&bank);
    let token = hint_token(&bank, "one").finish();
    let with = |name: &'static str, value: &'static str| {
        let token = token.clone();
        move |request: Draft| request.without("login_hint").with("login_hint_token", token).with(name, value)
    };
    till.backchannel(with("scope", "accounts")).await.refused(400, "invalid_scope");
    till.backchannel(with("binding_message", "\u{202e}")).await.refused(400, "invalid_binding_message");
    till.backchannel(with("acr_values", "a b c d e f g h i")).await.refused(400, "invalid_request");
    bank.phone.silent(true);
    ask(&till, token.clone()).await.refused(503, "temporarily_unavailable");
    bank.phone.silent(false);
    bank.phone.asks_for("alice", "1234");
    ask(&till, token.clone()).await.refused(400, "missing_user_code");
    till.backchannel(with("user_code", "1235")).await.refused(400, "invalid_user_code");
    till.backchannel(with("user_code", "1234")).await.ok();
    till.backchannel(with("user_code", "1234")).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn ciba_7_1_20_its_jti_is_its_issuers_and_no_other_tokens() {
    let bank = wired_with("https://localhost:1/ping", |on| on.replace(DIRECTORY, "till-7")).await;
    let till = bank.tpp();
    let token = hint_token(&bank, "shared").with("iss", "till-7").finish();
    let asked = till.backchannel_call(|call| {
        let hinted =
            move |request: Draft| request.without("login_hint").with("login_hint_token", token).with("jti", "shared");
        call.assertion(|assertion| assertion.with("jti", "shared")).request(hinted)
    });
    asked.await.ok();
}

#[tokio::test]
async fn ciba_7_1_20_a_replay_at_once_succeeds_once() {
    let bank = open().await;
    let (till, token) = (bank.tpp(), hint_token(&bank, "one").finish());
    let request = || {
        let request = till.request().without("login_hint").with("login_hint_token", token.clone());
        let form = [
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned()),
            ("client_assertion", till.assertion().finish()),
            ("request", request.finish()),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        till.backchannel_http(|http| *http.body_mut() = Some(body.into()))
    };
    let heard = Heard::all((0..12).map(|_| request()).collect()).await;
    assert_eq!(Heard::count(&heard, 200, None), 1, "{heard:#?}");
    assert_eq!(Heard::count(&heard, 400, Some("invalid_request")), 11, "{heard:#?}");
    assert_eq!(bank.phone.prompts().len(), 1);
}

#[tokio::test]
async fn ciba_13_5_an_expired_one_is_refused_by_name() {
    let bank = open().await;
    let token = hint_token(&bank, "one").finish();
    bank.clock.advance(60);
    refused_as(&bank, "expired_login_hint_token", token).await;
    bank.clock.advance(-1);
    ask(&bank.tpp(), hint_token(&bank, "two").with("exp", bank.now() + 1).finish()).await.ok();
    for exp in [bank.now(), bank.now() - 1, 0] {
        println!("{exp}");
        refused_as(&bank, "expired_login_hint_token", hint_token(&bank, "three").with("exp", exp).finish()).await;
    }
    // What is wrong beside that comes first: nothing is said about a token that nobody vouches for, or that is for another.
    let expired = || hint_token(&bank, "three").with("exp", bank.now());
    refused(&bank, expired().sign_with(one_bit_off).finish()).await;
    refused(&bank, expired().with("aud", "https://elsewhere.example").finish()).await;
}

#[tokio::test]
async fn ciba_7_1_20_it_lives_for_five_minutes_at_most_and_not_before_its_time() {
    let bank = open().await;
    let now = bank.now();
    ask(&bank.tpp(), hint_token(&bank, "longest").with("exp", now + 300).finish()).await.ok();
    ask(&bank.tpp(), hint_token(&bank, "early").with("iat", now + 30).with("nbf", now + 30).finish()).await.ok();
    ask(&bank.tpp(), hint_token(&bank, "old").with("iat", now - 9999).with("nbf", now - 9999).finish()).await.ok();
    spoilt(&bank, |token| token.with("exp", now + 301)).await;
    spoilt(&bank, |token| token.with("exp", i64::MAX)).await;
    spoilt(&bank, |token| token.without("exp")).await;
    for exp in [json!("soon"), json!((now + 60).to_string()), json!(null), json!([now + 60])] {
        println!("{exp}");
        spoilt(&bank, |token| token.with("exp", exp)).await;
    }
    spoilt(&bank, |token| token.with("nbf", now + 31)).await;
    spoilt(&bank, |token| token.with("iat", now + 31)).await;
    spoilt(&bank, |token| token.with("nbf", "now")).await;
}

#[tokio::test]
async fn ciba_7_1_20_it_is_for_this_server_alone() {
    let bank = open().await;
    let here = bank.issuer.clone();
    for aud in [
        json!("https://elsewhere.example"),
        json!([here, "https://elsewhere.example"]),
        json!(["https://elsewhere.example", here]),
        json!([here, here]),
        json!(format!("{here}/")),
        json!(format!("{here}/bc-authorize")),
        json!(format!("{here}/token")),
        json!("till-7"),
        json!([]),
        json!(""),
        json!([[here]]),
        json!({ "aud": here }),
        json!(1),
    ] {
        println!("{aud}");
        spoilt(&bank, |token| token.with("aud", aud)).await;
    }
    spoilt(&bank, |token| token.without("aud")).await;
}

#[tokio::test]
async fn ciba_7_1_20_its_issuer_is_known_and_signed_it() {
    let bank = open().await;
    for iss in [
        json!("https://elsewhere.example"),
        json!(format!("{DIRECTORY}/")),
        json!("till-7"),
        json!(bank.issuer),
        json!(""),
        json!([DIRECTORY]),
    ] {
        println!("{iss}");
        spoilt(&bank, |token| token.with("iss", iss)).await;
    }
    spoilt(&bank, |token| token.without("iss")).await;
    let forgeries: [Forgery; 4] = [nothing, zeros, inverted, one_bit_off];
    for forgery in forgeries {
        spoilt(&bank, |token| token.sign_with(forgery)).await;
    }
    for stranger in ["till-es256.key", "till8.key", "payments-api.key", "keys/es256.pem"] {
        println!("{stranger}");
        spoilt(&bank, |token| token.signed_by(key(stranger))).await;
        let kid = key("directory.key").public()["kid"].clone();
        spoilt(&bank, |token| token.signed_by(key(stranger)).header("kid", kid)).await;
        spoilt(&bank, |token| token.signed_by(key(stranger)).without_header("kid")).await;
    }
    for (alg, forgery) in [
        ("none", nothing as Forgery),
        ("None", nothing),
        ("HS256", hmac_of_jwk),
        ("RS256", rs256),
        ("PS256", one_bit_off),
    ] {
        println!("{alg}");
        spoilt(&bank, |token| token.header("alg", alg).sign_with(forgery)).await;
    }
    spoilt(&bank, |token| token.header("jwk", json!(key("till8.key").public())).signed_by(key("till8.key"))).await;
    spoilt(&bank, |token| token.header("crit", json!([]))).await;
    let token = hint_token(&bank, "reworded").finish();
    refused(&bank, reworded(&token, "\"alice\"", "\"bob\"")).await;
    spoilt(&bank, |token| token.mangled(stray_bit)).await;
    spoilt(&bank, |token| token.mangled(|token| format!("{token}."))).await;
    for name in ["iss", "aud", "sub", "jti", "exp"] {
        spoilt(&bank, |token| doubled_claim(token, name).header("typ", "login-hint+jwt")).await;
    }
}

#[tokio::test]
async fn c_10_its_typ_says_what_it_is() {
    let bank = open().await;
    spoilt(&bank, |token| token.without_header("typ")).await;
    for typ in [
        "JWT",
        "jwt",
        "at+jwt",
        "client-authentication+jwt",
        "application/login-hint+jwt",
        "login-hint",
        "",
        " login-hint+jwt",
    ] {
        println!("{typ:?}");
        spoilt(&bank, |token| token.header("typ", typ)).await;
    }
    spoilt(&bank, |token| token.header("typ", json!(null))).await;
    let id_token = till9(&bank).tokens().await.text("id_token");
    refused(&bank, id_token).await;
    refused(&bank, bank.tpp().assertion().finish()).await;
    let token = hint_token(&bank, "as another");
    let as_id_token = bank.tpp().backchannel(|r| r.without("login_hint").with("id_token_hint", token.finish())).await;
    as_id_token.refused(400, "invalid_request");
    let as_assertion = bank.tpp().backchannel_call(|call| call.set("client_assertion", &token.finish())).await;
    as_assertion.refused(401, "invalid_client");
}

#[tokio::test]
async fn ciba_7_1_20_it_has_a_jti_and_a_sub() {
    let bank = open().await;
    bank.phone.knows("", Identified::Known { sub: "nobody".into() });
    for (name, longest) in [("jti", 256), ("sub", 255)] {
        let full = "x".repeat(longest);
        bank.phone.knows(&full, Identified::Known { sub: "longest".into() });
        ask(&bank.tpp(), hint_token(&bank, "fits").with(name, full.clone()).finish()).await.ok();
        spoilt(&bank, |token| token.without(name)).await;
        for odd in [
            json!(""),
            json!(null),
            json!(7),
            json!(["alice"]),
            json!({"sub": "alice"}),
            json!(format!("{full}x")),
            json!("al\nice"),
            json!("al\u{0}ice"),
            json!("alïce"),
        ] {
            println!("{name}: {odd}");
            spoilt(&bank, |token| token.with(name, odd)).await;
        }
    }
    spoilt(&bank, |token| token.with("jti", "a b")).await;
}

#[tokio::test]
async fn ciba_7_1_26_a_hint_token_has_at_most_8_kib() {
    let bank = open().await;
    let (longest, longer) = around(&hint_token(&bank, "one"), 8 * 1024);
    refused(&bank, longer).await;
    ask(&bank.tpp(), longest).await.ok();
}

#[tokio::test]
async fn ciba_7_1_20_nobody_else_is_believed_than_the_issuers_in_the_configuration() {
    let bank = wired_with("https://localhost:1/ping", |on| on.replace(DIRECTORY, "https://another.example")).await;
    refused(&bank, hint_token(&bank, "one").finish()).await;
    ask(&bank.tpp(), hint_token(&bank, "one").with("iss", "https://another.example").finish()).await.ok();
}
