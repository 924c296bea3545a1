//! HTTP/1.1 messages that two readers could read differently, or that are too large: refused with a 4xx or by closing the connection (RFC 9112).
//!
//! Each is a request for `/jwks` with something wrong about it, so that whoever overlooks what is wrong answers 200.

use crate::bank::Bank;
use crate::raw::Raw;

#[tokio::test]
async fn rfc9112_6_two_lengths_are_refused() {
    let bank = Bank::open().await;
    refused(
        &bank,
        &[
            ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
            ("a list of lengths", "Content-Length: 5, 5\r\n\r\nhello"),
            ("a negative length", "Content-Length: -1\r\n\r\n"),
            ("a signed length", "Content-Length: +5\r\n\r\nhello"),
            ("a hexadecimal length", "Content-Length: 0x5\r\n\r\nhello"),
            ("a length beyond 64 bits", "Content-Length: 99999999999999999999\r\n\r\n"),
            ("an empty length", "Content-Length:\r\n\r\n"),
        ],
    )
    .await;
}

#[tokio::test]
async fn rfc9112_3_2_2_a_uri_that_names_a_host_names_the_one_in_the_header() {
    let bank = Bank::open().await;
    let to = |uri: &str| format!("GET {uri} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(status(&bank, &to("https://localhost/jwks")).await, Some(200));
    for uri in ["https://evil.example/jwks", "https://localhost:1/jwks", "https://a@localhost/jwks"] {
        assert_eq!(is_refused(&bank, (uri, &to(uri))).await.closed().await, b"", "{uri}");
    }
}

#[tokio::test]
async fn rfc9110_15_5_14_a_length_over_64_kib_is_413_before_a_body_is_sent() {
    let bank = Bank::open().await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nContent-Length: 65537\r\n";
    let told = status(&bank, &format!("POST /token HTTP/1.1\r\nHost: localhost\r\n{form}\r\n")).await;
    assert_eq!(told, Some(413));
}

#[tokio::test]
async fn rfc9112_6_1_a_length_beside_a_transfer_coding_is_refused() {
    let bank = Bank::open().await;
    refused(
        &bank,
        &[
            ("a length, then a coding", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            ("a coding, then a length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
        ],
    )
    .await;
}

/// Whichever of the two lengths is believed, what follows is not taken for a request.
#[tokio::test]
async fn rfc9112_6_1_nothing_is_smuggled_behind_two_lengths() {
    let bank = Bank::open().await;
    let (length, chunked) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    for headers in [format!("{length}{chunked}"), format!("{chunked}{length}")] {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        let mut raw = Raw::open(&bank).await;
        raw.write(format!("POST /token HTTP/1.1\r\nHost: localhost\r\n{form}{headers}\r\n0\r\n\r\n{SMUGGLED}")).await;
        let first = raw.answer().await;
        assert!(first.is_none_or(|heard| matches!(heard.status, 400 | 401 | 411)));
        assert_eq!(raw.closed().await, b"", "{headers}");
    }
}

#[tokio::test]
async fn rfc9112_6_1_a_coding_other_than_chunked_is_refused() {
    let bank = Bank::open().await;
    refused(
        &bank,
        &[
            ("identity", "Transfer-Encoding: identity\r\n\r\n"),
            ("gzip", "Transfer-Encoding: gzip\r\n\r\n"),
            ("chunked, but not last", "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
            ("almost chunked", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
            ("chunked and a control character", "Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n"),
        ],
    )
    .await;
}

#[tokio::test]
async fn rfc9112_5_a_header_that_is_not_one_line_of_name_and_value_is_refused() {
    let bank = Bank::open().await;
    refused(
        &bank,
        &[
            ("obs-fold", "X-Folded: one\r\n two\r\n\r\n"),
            ("obs-fold with a tab", "X-Folded: one\r\n\ttwo\r\n\r\n"),
            ("a space before the colon", "Content-Length : 5\r\n\r\nhello"),
            ("a space in the name", "Content Length: 5\r\n\r\nhello"),
            ("no name", ": nameless\r\n\r\n"),
            ("no colon", "nothing\r\n\r\n"),
            ("a NUL in the value", "X-Nul: a\0b\r\n\r\n"),
            ("a bare CR in the value", "X-Cr: a\rb\r\n\r\n"),
        ],
    )
    .await;
}

#[tokio::test]
async fn rfc9112_3_2_there_is_one_host() {
    let bank = Bank::open().await;
    for (what, hosts) in [
        ("no Host", ""),
        ("two Hosts", "Host: localhost\r\nHost: elsewhere\r\n"),
        ("the same Host twice", "Host: localhost\r\nHost: localhost\r\n"),
    ] {
        is_refused(&bank, (what, &format!("GET /jwks HTTP/1.1\r\n{hosts}\r\n"))).await;
    }
}

#[tokio::test]
async fn rfc9112_3_a_request_line_that_is_not_one_is_refused() {
    let bank = Bank::open().await;
    for request in [
        "GET /jwks\r\n\r\n",
        "GET\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "GET /jwks HTTP/2.0\r\nHost: localhost\r\n\r\n",
        "GET /jwks HTTP/1.1 x\r\nHost: localhost\r\n\r\n",
        "GET  /jwks HTTP/1.1\r\nHost: localhost\r\n\r\n",
        " GET /jwks HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET jwks HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "G\u{cb}T /jwks HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "get /jwks HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n",
        "GET //jwks HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /jwks/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /x/../jwks HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /%6awks HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        is_refused(&bank, (request, request)).await;
    }
}

#[tokio::test]
async fn rfc6585_5_too_many_or_too_large_headers_are_431() {
    let bank = Bank::open().await;
    let headers = |count: usize| "X-One-More: x\r\n".repeat(count - 1) + "\r\n";
    assert_eq!(status(&bank, &request(&headers(64))).await, Some(200));
    for (what, rest) in [
        ("65 headers", headers(65)),
        ("a value of 32 KiB", format!("X-Large: {}\r\n\r\n", "x".repeat(32 * 1024))),
        ("a name of 32 KiB", format!("{}: x\r\n\r\n", "X".repeat(32 * 1024))),
        ("32 KiB that never end", format!("X-Large: {}", "x".repeat(32 * 1024))),
    ] {
        assert_eq!(status(&bank, &request(&rest)).await, Some(431), "{what}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(32 * 1024));
    assert!(matches!(status(&bank, &long).await, Some(414 | 431)));
    assert_eq!(status(&bank, &request("\r\n")).await, Some(200));
}

#[tokio::test]
async fn rfc9110_15_5_14_a_body_over_64_kib_is_413() {
    let bank = Bank::open().await;
    let post = |length: &str, body: &str| {
        let form = "Host: localhost\r\nContent-Type: application/x-www-form-urlencoded";
        format!("POST /bc-authorize HTTP/1.1\r\n{form}\r\n{length}\r\n\r\n{body}")
    };
    let declared = |size: usize| post(&format!("Content-Length: {size}"), &"x".repeat(size));
    let mut raw = Raw::open(&bank).await;
    raw.write(&declared(65_537)).await;
    raw.answer().await.expect("an answer").refused(413, "invalid_request");
    assert!(matches!(status(&bank, &declared(65_536)).await, Some(400 | 401)), "64 KiB are read");
}

#[tokio::test]
async fn rfc9110_15_5_12_a_body_whose_length_is_not_said_is_411() {
    let bank = Bank::open().await;
    let head = "POST /bc-authorize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = |size: usize| format!("{size:x}\r\n{}\r\n", "x".repeat(size));
    for (what, body) in [
        ("in one chunk", chunk(3) + "0\r\n\r\n"),
        ("in many chunks", chunk(1).repeat(65_537) + "0\r\n\r\n"),
        ("in chunks that never end", chunk(1_024).repeat(70)),
    ] {
        let mut raw = Raw::open(&bank).await;
        raw.write(format!("{head}{body}")).await;
        raw.answer().await.unwrap_or_else(|| panic!("no answer: {what}")).refused(411, "invalid_request");
    }
}

#[tokio::test]
async fn rfc9112_7_1_a_chunk_that_lies_about_its_size_is_refused() {
    let bank = Bank::open().await;
    let head = "POST /token HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "FFFFFFFFFFFFFFFFF\r\nx\r\n0\r\n\r\n",
        "-1\r\nx\r\n0\r\n\r\n",
        "0x1\r\nx\r\n0\r\n\r\n",
        "1\r\nxx\r\n0\r\n\r\n",
        "\r\nx\r\n0\r\n\r\n",
        "1;x=\n\r\nx\r\n0\r\n\r\n",
    ] {
        let request = format!("{head}{body}{SMUGGLED}");
        let mut raw = Raw::open(&bank).await;
        raw.write(&request).await;
        while let Some(heard) = raw.answer().await {
            assert!((400..500).contains(&heard.status), "{body:?}: {heard:#?}");
        }
    }
}

#[tokio::test]
async fn rfc9112_9_3_2_pipelined_requests_are_answered_in_order() {
    let bank = Bank::open().await;
    let mut raw = Raw::open(&bank).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let post = "POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b";
    let discovery = "/.well-known/openid-configuration";
    raw.write(get("/jwks") + &get("/nowhere") + post + &get(discovery) + &get("/jwks")).await;
    let mut heard = Vec::new();
    for _ in 0..5 {
        heard.push(raw.answer().await.expect("an answer"));
    }
    assert_eq!(heard.iter().map(|heard| heard.status).collect::<Vec<_>>(), [200, 404, 401, 200, 200]);
    assert!(heard[0].body["keys"].is_array() && heard[4].body == heard[0].body);
    assert_eq!(heard[3].body["issuer"], bank.issuer);
}

const SMUGGLED: &str = "GET /jwks HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A request for the keys, with `rest` after the Host header.
fn request(rest: &str) -> String {
    format!("GET /jwks HTTP/1.1\r\nHost: localhost\r\n{rest}")
}

async fn status(bank: &Bank, request: &str) -> Option<u16> {
    let mut raw = Raw::open(bank).await;
    raw.write(request).await;
    raw.answer().await.map(|heard| heard.status)
}

/// Each of `cases`, a name and what follows the Host header, gets a 4xx or nothing, and then the connection ends: where the next request
/// would begin, nobody can say.
async fn refused(bank: &Bank, cases: &[(&str, &str)]) {
    for (what, rest) in cases {
        assert_eq!(is_refused(bank, (what, &request(rest))).await.closed().await, b"", "{what}");
    }
}

async fn is_refused(bank: &Bank, (what, request): (&str, &str)) -> Raw {
    let mut raw = Raw::open(bank).await;
    raw.write(request).await;
    if let Some(heard) = raw.answer().await {
        assert!((400..500).contains(&heard.status), "{what}: {heard:#?}");
    }
    raw
}
