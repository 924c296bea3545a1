//! Ping (CIBA §10.2): whatever a client's endpoint does, the answer is there for whoever polls, nobody else is kept waiting, and nothing leaks.

use std::fs;

use crate::bank::{Bank, key, pki};
use crate::logs::{Canaries, Log};
use crate::ping::{TOKEN, asked, listening};
use crate::raw::in_time;
use crate::teller::{Says, Teller, ok, response};
use crate::token::Draft;
use crate::tpp::Tpp;
use crate::webhook::Authority;
use crate::wired::{switched_on, till10, wired, wired_with};

/// Till 10 asks for no longer than `seconds`.
async fn briefly(bank: &Bank, seconds: u32) -> String {
    let till = till10(bank);
    let brief = |request: Draft| request.with("client_notification_token", TOKEN).with("requested_expiry", seconds);
    till.backchannel(brief).await.text("auth_req_id")
}

const GIVEN_UP: &str = "a notification was given up: the request expires";

#[tokio::test]
async fn ciba_10_2_5_and_7_and_8_whatever_a_client_answers_short_of_a_5xx_ends_it() {
    for status in [
        "200 OK",
        "204 No Content",
        "400 x",
        "401 x",
        "403 x",
        "404 x",
        "408 x",
        "429 x",
        "302 Found",
        "304 x",
        "499 x",
    ] {
        println!("{status}");
        let body = if status.starts_with("204") { "" } else { r#"{"error":"x"}"# };
        let teller = listening(response(status, "Retry-After: 0\r\n", body)).await;
        let (log, bank, _listening) = Log::listen_to(wired(&teller.url)).await;
        let auth_req_id = asked(&bank).await;
        assert_eq!(bank.approve(&auth_req_id).await.status, 204);
        let told = log.line("notified").await;
        assert_eq!(told["status"].to_string(), status[..3]);
        till10(&bank).poll(&auth_req_id).await.ok();
        assert_eq!(teller.knocks(), 1);
    }
}

#[tokio::test]
async fn ciba_10_2_5_a_body_without_an_end_is_not_read() {
    for says in [Says::Gushing, Says::Dripping] {
        let teller = listening(says).await;
        let (log, bank, _listening) = Log::listen_to(wired(&teller.url)).await;
        let auth_req_id = asked(&bank).await;
        assert_eq!(bank.approve(&auth_req_id).await.status, 204);
        assert_eq!(log.line("notified").await["status"], 200);
        till10(&bank).poll(&auth_req_id).await.ok();
        assert_eq!(teller.knocks(), 1);
    }
}

#[tokio::test]
async fn ciba_10_2_6_a_ping_is_not_redirected() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        println!("{status}");
        let tempting = listening(response("204 No Content", "", "")).await;
        let teller = listening(response(status, &format!("Location: {}\r\n", tempting.url), "")).await;
        let (log, bank, _listening) = Log::listen_to(wired(&teller.url)).await;
        let auth_req_id = asked(&bank).await;
        assert_eq!(bank.deny(&auth_req_id).await.status, 204);
        log.line("notified").await;
        assert_eq!((teller.knocks(), tempting.knocks()), (1, 0));
        till10(&bank).poll(&auth_req_id).await.refused(400, "access_denied");
    }
}

/// The manual clock stands still: two seconds before the end there is time for the first wait, which is of one second, and not for the next.
#[tokio::test]
async fn ciba_10_2_8_after_a_5xx_or_none_it_is_tried_again_until_the_request_expires() {
    let hung_up = Says::This(String::new());
    for failing in [response("500 x", "", ""), response("503 x", "Retry-After: 0\r\n", ""), hung_up] {
        let teller = listening(failing).await;
        let (log, bank, _listening) = Log::listen_to(wired(&teller.url)).await;
        let auth_req_id = briefly(&bank, 2).await;
        assert_eq!(bank.approve(&auth_req_id).await.status, 204);
        log.line(GIVEN_UP).await;
        let calls = teller.calls();
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[0].text, calls[1].text);
        till10(&bank).poll(&auth_req_id).await.ok();
    }
}

#[tokio::test]
async fn ciba_10_2_8_a_second_before_the_end_it_is_not_tried_again() {
    let teller = listening(response("503 x", "", "")).await;
    let (log, bank, _listening) = Log::listen_to(wired(&teller.url)).await;
    let auth_req_id = asked(&bank).await;
    bank.clock.advance(119);
    assert_eq!(bank.deny(&auth_req_id).await.status, 204);
    log.line(GIVEN_UP).await;
    assert_eq!(teller.knocks(), 1);
    till10(&bank).poll(&auth_req_id).await.refused(400, "access_denied");
}

#[tokio::test]
async fn ciba_10_2_8_an_endpoint_that_comes_back_is_told() {
    let teller = listening(response("503 x", "", "")).await;
    teller.then(response("204 No Content", "", ""));
    let (log, bank, _listening) = Log::listen_to(wired(&teller.url)).await;
    let auth_req_id = asked(&bank).await;
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    assert_eq!(log.line("notified").await["status"], 204);
    assert_eq!(teller.calls().len(), 2);
    assert!(!log.text().contains(GIVEN_UP));
}

/// Till 11, which is till 10 with an endpoint of its own.
fn with_till11(shipped: &str, endpoint: &str) -> String {
    let on = switched_on("profile = \"fapi-ciba-id1\"", endpoint);
    let till10 = on.rsplit_once("[[clients]]").expect("till 10 is the last").1;
    format!("{shipped}\n[[clients]]{}", till10.replace("till-10", "till-11"))
}

#[tokio::test]
async fn ciba_10_2_7_an_endpoint_that_hangs_keeps_nobody_else_waiting() {
    let (hanging, good) = (listening(Says::Nothing).await, listening(ok("")).await);
    let bank = wired_with(&hanging.url, |on| with_till11(on, &good.url)).await;
    let till11 = Tpp::new(&bank, "till-11", (key("till8.key"), key("till8.key")), Some("till8"));
    for _ in 0..5 {
        let stuck = asked(&bank).await;
        assert_eq!(in_time(bank.approve(&stuck)).await.status, 204);
        in_time(hanging.call()).await;
        in_time(till10(&bank).poll(&stuck)).await.ok();
    }
    let quick = till11.backchannel(|request| request.with("client_notification_token", TOKEN)).await;
    let quick = quick.text("auth_req_id");
    assert_eq!(in_time(bank.approve(&quick)).await.status, 204);
    assert!(in_time(good.call()).await.text.contains(&quick));
    in_time(till11.poll(&quick)).await.ok();
    assert_eq!(hanging.knocks(), 5, "and none of them has come to an end yet");
}

/// With this file as the one that says whom to trust at clients' endpoints.
fn trusting(on: &str, file: &str) -> String {
    let ours = format!("[client_endpoints]\ntrust = \"{}/ca.pem\"", pki().to_str().expect("UTF-8"));
    assert!(on.contains(&ours), "{on}");
    on.replace(&ours, &format!("[client_endpoints]\ntrust = \"{file}\""))
}

#[tokio::test]
async fn fapiciba_7_9_1_nothing_is_said_to_whoever_cannot_prove_the_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let trusted = folder.path().join("authority.pem");
    let trusted = trusted.to_str().expect("UTF-8");
    for (host, issued, heard) in
        [("localhost", true, true), ("localhost", false, false), ("elsewhere.example", true, false)]
    {
        println!("{host} {issued}");
        let (authority, another) = (Authority::of(host), Authority::of(host));
        fs::write(trusted, if issued { authority.pem() } else { another.pem() }).expect("written");
        let teller = Teller::open(authority.chain(), ok("")).await;
        let (log, bank, _listening) = Log::listen_to(wired_with(&teller.url, |on| trusting(on, trusted))).await;
        let auth_req_id = briefly(&bank, 1).await;
        assert_eq!(bank.approve(&auth_req_id).await.status, 204);
        log.line(if heard { "notified" } else { GIVEN_UP }).await;
        assert_eq!((teller.knocks(), teller.calls().len()), (1, usize::from(heard)));
        till10(&bank).poll(&auth_req_id).await.ok();
    }
}

#[tokio::test]
async fn c_3_a_name_that_leads_inside_is_not_called() {
    let teller = listening(ok("")).await;
    let opening = wired_with(&teller.url, |on| on.replace("loopback = true\n", ""));
    let (log, bank, _listening) = Log::listen_to(opening).await;
    let auth_req_id = briefly(&bank, 1).await;
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    log.line(GIVEN_UP).await;
    assert_eq!(teller.knocks(), 0);
    till10(&bank).poll(&auth_req_id).await.ok();
}

#[tokio::test]
async fn c_26_nothing_of_a_ping_is_logged_whatever_becomes_of_it() {
    let failing = [
        ok("canary-answer"),
        response("503 canary-reason", "", ""),
        Says::This(String::new()),
        Says::This("canary-line\r\n\r\n".into()),
    ];
    for says in failing {
        let teller = listening(says).await;
        let mut canaries = Canaries::default();
        let endpoint = format!("{}/{}?{}", teller.url, canaries.keep("canary-path"), canaries.keep("canary-query=1"));
        let (log, bank, _listening) = Log::listen_to(wired(&endpoint)).await;
        let auth_req_id = canaries.keep(briefly(&bank, 1).await);
        canaries.keep(TOKEN);
        for canary in ["canary-answer", "canary-reason", "canary-line"] {
            canaries.keep(canary);
        }
        assert_eq!(bank.approve(&auth_req_id).await.status, 204);
        let call = in_time(teller.call()).await;
        assert!(call.text.starts_with("POST /ciba/canary-path?canary-query=1 HTTP/1.1\r\n"), "{}", call.text);
        let ended = async {
            while !log.text().contains("\"notified\"") && !log.text().contains(GIVEN_UP) {
                tokio::task::yield_now().await;
            }
        };
        in_time(ended).await;
        canaries.are_not_in(&log);
    }
}
