//! A corpus of malformed client assertions and request objects: some thousands, each refused with the same bytes as every other, and nothing left behind.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::bank::Bank;
use crate::token::Draft;
use crate::tpp::Tpp;

/// A way to spoil a token.
type Spoil = Box<dyn Fn(Draft) -> Draft>;

/// Values that no claim of ours may have. What is left out where a claim may have it, [`fits`] says.
fn values() -> Vec<Value> {
    let deep = |n| (0..n).fold(json!(1), |inner, _| json!([inner]));
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(-0.0),
        json!(1e300),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(9_007_199_254_740_993_u64),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("a\nb"),
        json!("\u{202e}"),
        json!("x".repeat(300)),
        json!("x".repeat(3_000)),
        json!("none"),
        json!("https://evil.example"),
        json!([]),
        json!([null]),
        json!([1]),
        json!([[]]),
        json!(["https://evil.example"]),
        json!({}),
        json!({"a": {"b": {}}}),
        json!(deep(12)),
        json!(deep(15)),
        json!(deep(40)),
        json!(vec![0; 257]),
        json!("1764000000"),
        json!("99999999999999999999"),
        json!([true]),
        json!(["till-7", "till-7"]),
        json!({"$ne": 1}),
        json!("\u{feff}till-7"),
        json!("x".repeat(9_000)),
        json!("till-7\u{0}"),
        json!(vec!["a"; 300]),
        json!([{"a": []}]),
        json!({"": ""}),
    ]
}

/// Whether a claim may well have such a value, so that nothing is wrong with it.
fn fits(claim: &str, value: &Value) -> bool {
    match claim {
        // Old is as good as new, and a fraction is cut off.
        "iat" | "nbf" => value.as_f64().is_some_and(|time| (0.0..2e9).contains(&time)),
        // Any string is an id, or a name of somebody the bank does not know.
        "jti" => value
            .as_str()
            .is_some_and(|text| (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())),
        _ => false,
    }
}

/// Payloads and headers as text, doubled, broken, and in other spellings.
fn texts() -> Vec<&'static str> {
    vec![
        "",
        "null",
        "[]",
        "1",
        "\"a\"",
        "{",
        "{}",
        "{}{}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{'a':1}",
        "\u{feff}{}",
        "{\"exp\":1e999}",
        "{\"exp\":NaN}",
        "{\"exp\":0x10}",
        "{\"iss\":\"till-7\",\"iss\":\"till-7\"}",
        "{\"alg\":\"ES256\",\"alg\":\"ES256\"}",
        "{\"alg\":\"ES256\",\"\\u0061lg\":\"none\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\u{0}\"}",
        "{\"alg\":null}",
        "{\"alg\":[\"ES256\"]}",
        "{\"alg\":\"ES256\",\"kid\":1}",
        "{\"alg\":\"ES256\",\"typ\":[]}",
    ]
}

/// Every spoiled token, for a token that has `claims`.
fn corpus(claims: &'static [&'static str]) -> Vec<(String, Spoil)> {
    let mut all: Vec<(String, Spoil)> = Vec::new();
    let mut add = |what: String, spoil: Spoil| all.push((what, spoil));
    for claim in claims.iter().copied() {
        add(format!("without {claim}"), Box::new(move |draft| draft.without(claim)));
        for value in values().into_iter().filter(|value| !fits(claim, value)) {
            add(format!("{claim}: {value:.60}"), Box::new(move |draft| draft.with(claim, value.clone())));
        }
        add(
            format!("{claim} twice"),
            Box::new(move |draft| {
                let text = Value::from(draft.claims().clone()).to_string();
                let twice = format!("{},\"{claim}\":{}}}", &text[..text.len() - 1], draft.claims()[claim]);
                draft.raw_claims(twice)
            }),
        );
    }
    for text in texts() {
        add(format!("header {text:.40}"), Box::new(move |draft| draft.raw_header(text)));
        add(format!("claims {text:.40}"), Box::new(move |draft| draft.raw_claims(text)));
    }
    for alg in [
        "none", "None", "nOnE", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS384", "PS512", "ES384",
        "ES512", "ES256K", "EdDSA", "Ed25519", "dir", "RSA-OAEP", "",
    ] {
        add(format!("alg {alg}"), Box::new(move |draft| draft.header("alg", alg)));
    }
    for member in ["alg", "kid", "typ"] {
        for value in values().into_iter().filter(|value| *value != json!("")) {
            add(format!("header {member}: {value:.60}"), Box::new(move |draft| draft.header(member, value.clone())));
        }
    }
    for member in ["crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc"] {
        for value in values() {
            add(format!("header {member}: {value:.60}"), Box::new(move |draft| draft.header(member, value.clone())));
        }
    }
    for typ in [
        "dpop+jwt",
        "at+jwt",
        "login-hint+jwt",
        "token-introspection+jwt",
        "secevent+jwt",
        "JOSE",
        " jwt",
        "",
        "jwt\u{0}",
    ] {
        add(format!("typ {typ}"), Box::new(move |draft| draft.header("typ", typ)));
    }
    for kid in [
        json!("other"),
        json!(""),
        json!(null),
        json!(1),
        json!("../../key"),
        json!("k".repeat(3_000)),
        json!({"a": 1}),
    ] {
        add(format!("kid {kid:.40}"), Box::new(move |draft| draft.header("kid", kid.clone())));
    }
    let manglings: [fn(String) -> String; 22] = [
        |_| String::from("."),
        |_| String::from(".."),
        |_| String::from("..."),
        |_| String::from("a.b.c"),
        |_| "=".repeat(50),
        |_| ".".repeat(5_000),
        |_| "a".repeat(20_000),
        |token| token + "=",
        |token| token + ".",
        |token| format!(".{token}"),
        |token| token + "A",
        |token| format!("{token} "),
        |token| format!(" {token}"),
        |token| token.replace('.', ".."),
        |token| token.replacen('.', "", 1),
        |token| token[..token.len() - 1].to_owned(),
        |token| token[..=token.rfind('.').expect("dots")].to_owned(),
        |token| token.replace('_', "/").replace('-', "+") + "+",
        |token| format!("{token}.a.b"),
        |token| token.chars().rev().collect(),
        |token| token.to_uppercase(),
        |token| format!("{}{}", token, URL_SAFE_NO_PAD.encode([0; 64])),
    ];
    for (at, mangle) in manglings.into_iter().enumerate() {
        add(format!("mangled {at}"), Box::new(move |draft| draft.mangled(mangle)));
    }
    all
}

/// The claims of an assertion.
const ASSERTION: &[&str] = &["iss", "sub", "aud", "exp", "jti", "iat", "nbf"];
/// The claims of a request object.
const REQUEST: &[&str] = &["iss", "aud", "exp", "jti", "iat", "nbf"];
/// The parameters in it.
const PARAMETERS: &[&str] = &[
    "scope",
    "login_hint",
    "id_token_hint",
    "login_hint_token",
    "binding_message",
    "requested_expiry",
    "acr_values",
    "request_context",
    "user_code",
    "client_notification_token",
];

#[test]
fn the_corpus_has_more_than_two_thousand_tokens() {
    let parameters =
        PARAMETERS.iter().map(|claim| values().iter().filter(|value| !means_something(claim, value)).count());
    let all = corpus(ASSERTION).len() + corpus(REQUEST).len() + parameters.sum::<usize>();
    assert!(all > 2_000, "{all}");
}

#[tokio::test]
async fn ca_2_thousands_of_malformed_assertions_get_the_same_bytes() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let mut bodies = Vec::new();
    let all = corpus(ASSERTION);
    // iat and nbf may be left out of an assertion.
    let all: Vec<_> =
        all.into_iter().filter(|(what, _)| !["without iat", "without nbf"].contains(&what.as_str())).collect();
    for (what, spoil) in &all {
        let heard = till.backchannel_call(|call| call.assertion(spoil)).await;
        assert_eq!(heard.status, 401, "{what}: {heard:#?}");
        bodies.push(heard.text);
        let heard = till.poll_call(&"a".repeat(43), |call| call.assertion(spoil)).await;
        assert_eq!(heard.status, 401, "{what}, at /token: {heard:#?}");
        bodies.push(heard.text);
    }
    aftermath(&bank, &till, bodies).await;
}

#[tokio::test]
async fn ciba_13_12_thousands_of_malformed_request_objects_get_the_same_bytes() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let mut bodies = Vec::new();
    for (what, spoil) in &corpus(REQUEST) {
        let heard = till.backchannel(spoil).await;
        assert_eq!((heard.status, &heard.body["error"]), (400, &json!("invalid_request")), "{what}: {heard:#?}");
        bodies.push(heard.text);
    }
    // What these are refused for depends on the claim; that they are refused, and in the words of CIBA §13, does not.
    for claim in PARAMETERS.iter().copied() {
        for value in values().into_iter().filter(|value| !means_something(claim, value)) {
            let heard = till.backchannel(|draft| draft.with(claim, value.clone())).await;
            let error = heard.body["error"].as_str().unwrap_or_default().to_owned();
            let known = ["invalid_request", "invalid_scope", "invalid_binding_message", "unknown_user_id"]
                .contains(&error.as_str());
            assert!(known, "{claim}: {value:.60}: {heard:#?}");
            heard.refused(400, &error);
        }
    }
    aftermath(&bank, &till, bodies).await;
}

/// Whether the value is one that the parameter may have.
fn means_something(claim: &str, value: &Value) -> bool {
    match claim {
        "requested_expiry" => *value == json!("1764000000"),
        "binding_message" => {
            value.as_str().is_some_and(|text| ["none", "1764000000", "99999999999999999999"].contains(&text))
        }
        "acr_values" => value
            .as_str()
            .is_some_and(|text| text.len() <= 512 && !text.chars().any(char::is_control) && text.is_ascii()),
        "request_context" => value.is_object(),
        // A poll client's is not read, and an empty one is none.
        "client_notification_token" => value.is_string(),
        "id_token_hint" | "login_hint_token" | "user_code" => *value == json!(""),
        _ => false,
    }
}

/// The same bytes every time, nobody asked, and as good a server as before.
async fn aftermath(bank: &Bank, till: &Tpp<'_>, mut bodies: Vec<String>) {
    assert!(bodies.len() >= 500, "{}", bodies.len());
    println!("{} refused", bodies.len());
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:#?}");
    assert!(bank.phone.prompts().is_empty());
    till.tokens().await.ok();
}

/// What is refused is not kept. Other tests of this process take memory meanwhile, but not all the time: what is kept would show in every round.
#[tokio::test]
async fn refusals_leave_nothing_in_memory() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let long = json!("x".repeat(40_000));
    let round = async |times: usize| {
        for _ in 0..times {
            till.backchannel_call(|call| call.assertion(|draft| draft.with("jti", long.clone())))
                .await
                .refused(401, "invalid_client");
            till.backchannel(|draft| draft.with("jti", long.clone())).await.refused(400, "invalid_request");
        }
    };
    round(100).await;
    let mut least = u64::MAX;
    for _ in 0..5 {
        let before = resident();
        round(300).await;
        least = least.min(resident().saturating_sub(before));
        if least < 8 * 1024 {
            return;
        }
    }
    panic!("{least} KiB more in each round, of the 32,000 that came");
}

/// KiB of memory that this process has, where the system says so as Linux does.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
