//! Keys that a client publishes at its `jwks_uri` (RFC 7517 §5): who is asked for them, how often, and what holds while nobody answers.

use countersign::jose::keyring::SigningKey;
use serde_json::json;

use crate::bank::{Bank, key, pki};
use crate::heard::Heard;
use crate::logs::Log;
use crate::ping::listening;
use crate::raw::in_time;
use crate::teller::{Says, Teller, ok, response};
use crate::tpp::Tpp;
use crate::wired::{till9, till10, wired_with};

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 3600;

/// A key set of the public halves of `keys`.
fn set(keys: &[SigningKey]) -> String {
    json!({ "keys": keys.iter().map(SigningKey::public).collect::<Vec<_>>() }).to_string()
}

/// The keys of till 9 as it publishes them.
fn published() -> Says {
    ok(&set(&[key("till8.key")]))
}

/// `on`, with till 9 publishing its keys at `uri`.
fn publishing(on: &str, uri: &str) -> String {
    let here = format!("till 9\"\njwks = \"{}/till8.jwks.json\"", pki().to_str().expect("UTF-8"));
    assert!(on.contains(&here), "{on}");
    on.replace(&here, &format!("till 9\"\njwks_uri = \"{uri}\""))
}

/// A server whose till 9 publishes its keys at `teller`.
async fn behind(teller: &Teller) -> Bank {
    wired_with("https://localhost:1/ping", |on| publishing(on, &teller.url)).await
}

/// Till 9 with another key, which it may have published or not.
fn rotated(bank: &Bank) -> Tpp<'_> {
    Tpp::new(bank, "till-9", (key("payments-api.key"), key("payments-api.key")), Some("till8"))
}

#[tokio::test]
async fn dcr_7591_7_published_keys_serve_for_assertions_and_request_objects() {
    let teller = listening(published()).await;
    let bank = behind(&teller).await;
    till9(&bank).tokens().await.ok();
    let [call] = &teller.calls()[..] else { panic!("one call") };
    assert!(call.text.starts_with("GET /ciba HTTP/1.1\r\n"), "{}", call.text);
    let stranger = rotated(&bank);
    stranger.backchannel(|request| request).await.refused(401, "invalid_client");
    till9(&bank)
        .backchannel(|request| request.signed_by(key("payments-api.key")))
        .await
        .refused(400, "invalid_request");
    assert_eq!(teller.knocks(), 1);
}

#[tokio::test]
async fn c_7_requests_at_once_make_one_call_and_none_of_them_loses() {
    let teller = listening(published()).await;
    let bank = behind(&teller).await;
    let till = till9(&bank);
    for knocks in 1..=2 {
        let heard = Heard::all((0..8).map(|_| till.backchannel_http(|_| {})).collect()).await;
        assert_eq!(Heard::count(&heard, 200, None), 8, "{heard:#?}");
        assert_eq!(teller.knocks(), knocks);
        bank.clock.advance(10 * MINUTE);
    }
}

#[tokio::test]
async fn c_7_a_key_set_is_good_for_ten_minutes() {
    let teller = listening(published()).await;
    let bank = behind(&teller).await;
    for (wait, knocks) in [(0, 1), (10 * MINUTE - 1, 1), (1, 2), (10 * MINUTE - 1, 2), (1, 3)] {
        bank.clock.advance(wait);
        till9(&bank).auth_req_id().await;
        assert_eq!(teller.knocks(), knocks);
    }
}

#[tokio::test]
async fn c_7_a_kid_that_is_not_there_is_asked_for_once_a_minute() {
    let teller = listening(published()).await;
    let bank = behind(&teller).await;
    till9(&bank).auth_req_id().await;
    for (wait, knocks) in [(0, 1), (MINUTE - 1, 1), (1, 2), (MINUTE - 1, 2), (1, 3)] {
        bank.clock.advance(wait);
        let heard = Heard::all((0..4).map(|_| rotated(&bank).backchannel_http(|_| {})).collect()).await;
        assert_eq!(Heard::count(&heard, 401, Some("invalid_client")), 4, "{heard:#?}");
        assert_eq!(teller.knocks(), knocks);
        till9(&bank).auth_req_id().await;
        assert_eq!(teller.knocks(), knocks, "a key that is there is not asked for");
    }
}

#[tokio::test]
async fn c_7_the_kid_of_a_request_object_is_asked_for_as_well() {
    let teller = listening(published()).await;
    teller.then(ok(&set(&[key("till8.key"), key("payments-api.key")])));
    let bank = behind(&teller).await;
    till9(&bank).auth_req_id().await;
    bank.clock.advance(MINUTE);
    till9(&bank).backchannel(|request| request.signed_by(key("payments-api.key"))).await.ok();
    assert_eq!(teller.knocks(), 2);
}

#[tokio::test]
async fn c_24_a_key_that_is_replaced_at_the_url_is_replaced_here() {
    let teller = listening(published()).await;
    teller.then(ok(&set(&[key("payments-api.key")])));
    let bank = behind(&teller).await;
    till9(&bank).auth_req_id().await;
    rotated(&bank).backchannel(|request| request).await.refused(401, "invalid_client");
    bank.clock.advance(MINUTE);
    rotated(&bank).auth_req_id().await;
    till9(&bank).backchannel(|request| request).await.refused(401, "invalid_client");
    bank.clock.advance(MINUTE);
    till9(&bank).backchannel(|request| request).await.refused(401, "invalid_client");
    rotated(&bank).auth_req_id().await;
    assert_eq!(teller.knocks(), 3);
}

/// Nothing of `says` is taken for a key set: the last one stands in for it.
async fn stands_in_for(says: Says) {
    let teller = listening(published()).await;
    teller.then(says);
    let bank = behind(&teller).await;
    in_time(till9(&bank).auth_req_id()).await;
    bank.clock.advance(10 * MINUTE);
    in_time(till9(&bank).auth_req_id()).await;
    assert_eq!(teller.knocks(), 2);
    let stranger = rotated(&bank);
    in_time(stranger.backchannel(|request| request)).await.refused(401, "invalid_client");
    assert_eq!(teller.knocks(), 2, "and not asked again at once");
}

#[tokio::test]
async fn c_7_what_is_no_key_set_is_not_taken_for_one() {
    let good = set(&[key("payments-api.key")]);
    let mut private = json!({ "keys": [key("payments-api.key").public()] });
    private["keys"][0]["d"] = "AAAA".into();
    let padded = |longest: usize| format!("{good}{}", " ".repeat(longest - good.len()));
    for (case, says) in [
        ("500", response("500 x", "", &good)),
        ("404", response("404 x", "", &good)),
        ("201", response("201 x", "", &good)),
        ("empty", ok("")),
        ("HTML", ok("<html></html>")),
        ("an array", ok("[]")),
        ("no keys", ok(r#"{"keys":[]}"#)),
        ("a key that is no object", ok(r#"{"keys":["x"]}"#)),
        ("two sets in one", ok(&good.replacen('{', r#"{"keys":[],"#, 1))),
        ("a private key", ok(&private.to_string())),
        ("more than JSON", ok(&format!("{good}{good}"))),
        ("too large", ok(&padded(64 * 1024 + 1))),
        ("endless", Says::Gushing),
        ("cut off", Says::This(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{good}", good.len() + 1))),
        ("no HTTP", Says::This(good.clone())),
        ("hung up", Says::This(String::new())),
    ] {
        println!("{case}");
        stands_in_for(says).await;
    }
    let teller = listening(ok(&padded(64 * 1024))).await;
    rotated(&behind(&teller).await).auth_req_id().await;
}

#[tokio::test]
async fn c_7_an_endless_answer_is_hung_up_on_for_its_size() {
    let teller = listening(Says::Gushing).await;
    let (log, bank, _listening) = Log::listen_to(behind(&teller)).await;
    in_time(till9(&bank).backchannel(|request| request)).await.refused(401, "invalid_client");
    assert_eq!(log.line("a jwks_uri gave no key set").await["cause"], "the answer is too large");
    assert!(!log.text().contains("/ciba"), "where the client keeps its keys is its own business");
}

#[tokio::test]
async fn c_7_a_url_that_hangs_or_drips_is_given_up() {
    tokio::join!(stands_in_for(Says::Nothing), stands_in_for(Says::Dripping));
}

#[tokio::test]
async fn c_7_a_redirect_is_not_followed() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        println!("{status}");
        let tempting = listening(ok(&set(&[key("payments-api.key")]))).await;
        stands_in_for(response(status, &format!("Location: {}\r\n", tempting.url), "")).await;
        assert_eq!(tempting.knocks(), 0);
    }
}

#[tokio::test]
async fn c_7_the_last_good_set_stands_in_for_a_day() {
    let teller = listening(published()).await;
    teller.then(response("503 x", "", ""));
    let bank = behind(&teller).await;
    till9(&bank).auth_req_id().await;
    for (wait, knocks) in [(10 * MINUTE, 2), (MINUTE - 1, 2), (1, 3), (DAY - 11 * MINUTE - 1, 4)] {
        bank.clock.advance(wait);
        till9(&bank).auth_req_id().await;
        assert_eq!(teller.knocks(), knocks);
    }
    bank.clock.advance(1);
    till9(&bank).backchannel(|request| request).await.refused(401, "invalid_client");
    teller.then(published());
    bank.clock.advance(MINUTE);
    till9(&bank).backchannel(|request| request).await.refused(401, "invalid_client");
    bank.clock.advance(MINUTE);
    till9(&bank).auth_req_id().await;
}

#[tokio::test]
async fn c_7_without_any_set_the_client_is_nobody_until_there_is_one() {
    let teller = listening(response("503 x", "", "")).await;
    teller.then(published());
    let bank = behind(&teller).await;
    let till = till9(&bank);
    let heard = Heard::all((0..4).map(|_| till.backchannel_http(|_| {})).collect()).await;
    assert_eq!(Heard::count(&heard, 401, Some("invalid_client")), 4, "{heard:#?}");
    assert_eq!(teller.knocks(), 1);
    let nobody = Tpp::new(&bank, "nobody", (key("till8.key"), key("till8.key")), None);
    assert_eq!(nobody.backchannel(|request| request).await.text, heard[0].text);
    bank.clock.advance(MINUTE - 1);
    till.backchannel(|request| request).await.refused(401, "invalid_client");
    assert_eq!(teller.knocks(), 1);
    bank.clock.advance(1);
    till.auth_req_id().await;
}

#[tokio::test]
async fn c_7_a_url_that_hangs_keeps_no_other_client_waiting() {
    let teller = listening(Says::Nothing).await;
    let bank = behind(&teller).await;
    let (stuck, other) = (till9(&bank), till10(&bank));
    let other = async {
        in_time(teller.call()).await;
        other.backchannel(|request| request.with("client_notification_token", "a".repeat(22))).await
    };
    tokio::select! {
        biased;
        heard = stuck.backchannel(|request| request) => panic!("it was first: {heard:#?}"),
        heard = other => { heard.ok(); }
    }
}

#[tokio::test]
async fn c_7_a_known_key_does_not_wait_for_one_that_is_being_asked_for() {
    let teller = listening(published()).await;
    teller.then(Says::Nothing);
    let bank = behind(&teller).await;
    till9(&bank).auth_req_id().await;
    teller.calls();
    bank.clock.advance(MINUTE);
    let (stranger, till) = (rotated(&bank), till9(&bank));
    let known = async {
        in_time(teller.call()).await;
        till.auth_req_id().await
    };
    tokio::select! {
        biased;
        heard = stranger.backchannel(|request| request) => panic!("it was first: {heard:#?}"),
        _ = known => {}
    }
}

#[tokio::test]
async fn c_7_a_name_that_leads_inside_is_not_called_for_keys() {
    let teller = listening(published()).await;
    let closed = |on: &str| publishing(on, &teller.url).replace("loopback = true\n", "");
    let bank = wired_with("https://localhost:1/ping", closed).await;
    till9(&bank).backchannel(|request| request).await.refused(401, "invalid_client");
    assert_eq!(teller.knocks(), 0);
}
