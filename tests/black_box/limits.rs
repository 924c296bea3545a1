//! What one client can take from the others: nothing. Deadlines, caps and the drain of the accept loop.
//!
//! A deadline is shown by setting it alone to a moment and all others to an hour: then the connection ends, or it does not.

use std::pin::pin;
use std::time::Duration;

use countersign::http::serve::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{interval, timeout};

use crate::bank::{Bank, client, tls};
use crate::heard::Heard;
use crate::raw::{Raw, in_time};

const HOUR: Duration = Duration::from_hours(1);
const MOMENT: Duration = Duration::from_secs(1);
const PATIENT: Limits = Limits {
    handshake: HOUR,
    head: HOUR,
    body: HOUR,
    leave: Duration::ZERO,
    drain: HOUR,
    connections: 8_192,
    connections_per_address: 1_024,
};
const JWKS: &str = "GET /jwks HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn a_handshake_that_takes_too_long_ends() {
    let bank = with(Limits { handshake: MOMENT, ..PATIENT }).await;
    let mut silent = TcpStream::connect(bank.public).await.expect("a connection");
    let mut halting = TcpStream::connect(bank.public).await.expect("a connection");
    halting.write_all(&[0x16, 3, 1, 1, 0, 1, 0, 0, 0xFC, 3, 3]).await.expect("written");
    let mut inside = TcpStream::connect(bank.internal).await.expect("a connection");
    is_served(&bank).await;
    for tcp in [&mut silent, &mut halting, &mut inside] {
        assert_eq!(in_time(tcp.read_to_end(&mut Vec::new())).await.unwrap_or_default(), 0);
    }
    is_served(&bank).await;
}

#[tokio::test]
async fn a_head_that_takes_too_long_ends() {
    let bank = with(Limits { head: MOMENT, ..PATIENT }).await;
    let mut half = Raw::open(&bank).await;
    half.write("GET /jwks HTTP/1.1\r\nHost: localhost\r\n").await;
    let dripping = Raw::open(&bank).await;
    is_served(&bank).await;
    drip(dripping, "GET /jwks HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
    half.closed().await;
    is_served(&bank).await;
}

#[tokio::test]
async fn a_connection_that_idles_too_long_ends() {
    let bank = with(Limits { head: MOMENT, ..PATIENT }).await;
    let fresh = Raw::open(&bank).await;
    let mut used = Raw::open(&bank).await;
    used.write(JWKS).await;
    assert_eq!(used.answer().await.expect("an answer").status, 200);
    is_served(&bank).await;
    assert_eq!(fresh.closed().await, b"");
    assert_eq!(used.closed().await, b"");
    is_served(&bank).await;
}

#[tokio::test]
async fn rfc9110_15_5_9_a_body_that_takes_too_long_is_answered_with_408() {
    let bank = with(Limits { body: MOMENT, ..PATIENT }).await;
    let form = "Host: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let mut raw = Raw::open(&bank).await;
    raw.write(format!("POST /bc-authorize HTTP/1.1\r\n{form}Content-Length: 10000\r\n\r\n")).await;
    is_served(&bank).await;
    raw.answer().await.expect("an answer").refused(408, "invalid_request");
    raw.closed().await;
    drip(Raw::open(&bank).await, &format!("POST /token HTTP/1.1\r\n{form}Content-Length: 10000\r\n\r\nrequest=")).await;
    is_served(&bank).await;
}

#[tokio::test]
async fn a_body_that_nobody_reads_ends_the_connection() {
    let bank = with(PATIENT).await;
    for (line, status) in [("GET /jwks", 200), ("POST /nowhere", 404), ("PUT /token", 405)] {
        let mut raw = Raw::open(&bank).await;
        raw.write(format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n\r\na")).await;
        assert_eq!(raw.answer().await.expect("an answer").status, status, "{line}");
        raw.closed().await;
    }
}

/// The only connection there may be is held by a client that asks and asks, and never reads an answer.
#[tokio::test]
async fn a_client_that_does_not_read_ends() {
    let bank = with(Limits { handshake: MOMENT, head: MOMENT, body: MOMENT, connections: 1, ..PATIENT }).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a socket");
    let tcp = socket.connect(bank.public).await.expect("a connection");
    let mut deaf = Raw::over(tcp, tls(None)).await.expect("a connection");
    let asking = tokio::spawn(async move {
        let questions = JWKS.repeat(64);
        while deaf.try_write(&questions).await.is_ok() {}
        // Holds on, as long as the test goes.
        std::future::pending::<()>().await;
        drop(deaf);
    });
    is_served(&bank).await;
    asking.abort();
}

#[tokio::test]
async fn a_connection_over_the_cap_waits_until_one_ends() {
    let bank = with(Limits { connections: 4, ..PATIENT }).await;
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(Raw::open(&bank).await);
    }
    let fifth = Raw::with(bank.public, tls(None));
    tokio::pin!(fifth);
    assert!(timeout(Duration::from_millis(300), &mut fifth).await.is_err(), "there is no room yet");
    for raw in &mut taken {
        raw.write(JWKS).await;
        assert_eq!(raw.answer().await.expect("an answer").status, 200);
    }
    drop(taken.pop());
    let mut fifth = in_time(fifth).await.expect("a connection");
    fifth.write(JWKS).await;
    assert_eq!(fifth.answer().await.expect("an answer").status, 200);
    Raw::with(bank.internal, tls(None)).await.expect("the bank has room of its own");
}

#[tokio::test]
async fn a_connection_over_the_cap_of_its_address_is_closed() {
    let bank = with(Limits { connections_per_address: 2, ..PATIENT }).await;
    let mut taken = [Raw::open(&bank).await, Raw::open(&bank).await];
    assert!(in_time(Raw::with(bank.public, tls(None))).await.is_err(), "one too many");
    for raw in &mut taken {
        raw.write(JWKS).await;
        assert_eq!(raw.answer().await.expect("an answer").status, 200);
    }
    let elsewhere = TcpSocket::new_v4().expect("a socket");
    elsewhere.bind(([127, 0, 0, 2], 0).into()).expect("a loopback address");
    let tcp = elsewhere.connect(bank.public).await.expect("a connection");
    Raw::over(tcp, tls(None)).await.expect("another address has room of its own");
    drop(taken);
    in_time(async { while Raw::with(bank.public, tls(None)).await.is_err() {} }).await;
}

/// One who is leaving serves whoever comes, once, and tells the load balancer to look elsewhere.
#[tokio::test]
async fn while_a_server_takes_its_leave_each_answer_is_the_last_of_its_connection() {
    let bank = with(Limits { leave: HOUR, ..PATIENT }).await;
    let ready = async || {
        let mut raw = Raw::with(bank.internal, tls(None)).await.expect("a connection");
        raw.write("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        raw.answer().await.expect("an answer")
    };
    let (mut used, mut unused) = (Raw::open(&bank).await, Raw::open(&bank).await);
    used.write(JWKS).await;
    let before = used.answer().await.expect("an answer");
    assert_eq!((before.status, before.headers.get("connection")), (200, None));
    assert_eq!(ready().await.status, 200);
    bank.stop();
    in_time(async { while ready().await.status == 200 {} }).await;
    let after = ready().await;
    assert_eq!((after.status, &after.body["because"]), (503, &"it is about to stop".into()));
    assert_eq!(after.headers["connection"], "close");
    let mut new = Raw::open(&bank).await;
    for raw in [&mut used, &mut unused, &mut new] {
        raw.write(JWKS).await;
        let last = raw.answer().await.expect("an answer");
        assert_eq!((last.status, &last.headers["connection"]), (200, &"close".parse().expect("ASCII")));
    }
    for raw in [used, unused, new] {
        assert_eq!(raw.closed().await, b"");
    }
}

#[tokio::test]
async fn a_leave_comes_to_an_end() {
    let mut bank = with(Limits { leave: MOMENT, ..PATIENT }).await;
    let idle = Raw::open(&bank).await;
    bank.stop();
    assert_eq!(idle.closed().await, b"");
    in_time(bank.ended()).await;
    assert!(TcpStream::connect(bank.public).await.is_err());
}

#[tokio::test]
async fn a_drain_lets_what_was_begun_be_finished() {
    let mut bank = with(PATIENT).await;
    let idle = Raw::open(&bank).await;
    let mut begun = Raw::open(&bank).await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 20\r\nExpect: 100-continue\r\n";
    begun.write(format!("POST /token HTTP/1.1\r\nHost: localhost\r\n{form}\r\n")).await;
    assert_eq!(begun.answer().await.expect("it is being read").status, 100);
    begun.write("grant_type").await;
    bank.stop();
    assert_eq!(idle.closed().await, b"");
    in_time(async { while TcpStream::connect(bank.public).await.is_ok() {} }).await;
    in_time(async { while TcpStream::connect(bank.internal).await.is_ok() {} }).await;
    assert!(timeout(Duration::from_millis(300), bank.ended()).await.is_err(), "it waits for what was begun");
    begun.write("=something").await;
    begun.answer().await.expect("an answer").refused(401, "invalid_client");
    assert_eq!(begun.closed().await, b"");
    in_time(bank.ended()).await;
}

/// The bank is slow, and the caller has hung up: the user is asked all the same.
#[tokio::test]
async fn a_drain_waits_for_what_was_begun_by_a_caller_that_has_hung_up() {
    let mut bank = with(PATIENT).await;
    let asking = bank.phone.slow();
    bank.tpp().hangs_up().await;
    bank.stop();
    assert!(timeout(Duration::from_millis(300), bank.ended()).await.is_err(), "it waits for what was begun");
    assert_eq!(bank.phone.prompts().len(), 0);
    asking.notify_one();
    in_time(bank.ended()).await;
    assert_eq!(bank.phone.prompts().len(), 1);
}

/// There is room for one. What was begun takes it, though nobody waits any more.
#[tokio::test]
async fn who_hangs_up_keeps_the_place_until_what_was_begun_is_finished() {
    let bank = with(Limits { connections: 1, ..PATIENT }).await;
    let asking = bank.phone.slow();
    bank.tpp().hangs_up().await;
    let mut next = pin!(is_served(&bank));
    assert!(timeout(Duration::from_millis(300), &mut next).await.is_err(), "there is no room yet");
    asking.notify_one();
    next.await;
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever() {
    let mut bank = with(Limits { drain: MOMENT, ..PATIENT }).await;
    let mut begun = Raw::open(&bank).await;
    begun.write("POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(begun.answer().await.expect("it is being read").status, 100);
    let _halting = TcpStream::connect(bank.public).await.expect("a connection");
    bank.stop();
    in_time(bank.ended()).await;
}

async fn with(limits: Limits) -> Bank {
    Bank::with(limits, str::to_owned).await
}

/// A good client is served.
async fn is_served(bank: &Bank) {
    let heard = in_time(Heard::of(client(None).get(format!("{}/jwks", bank.issuer)))).await;
    assert_eq!(heard.status, 200);
}

/// Writes `start`, then one byte after the other, never too much, until the other side has had enough.
async fn drip(mut raw: Raw, start: &str) {
    raw.write(start).await;
    let mut beat = interval(Duration::from_millis(50));
    in_time(async {
        while raw.try_write("a").await.is_ok() {
            beat.tick().await;
        }
    })
    .await;
}
