//! `/bc-authorize`: how a request has to arrive (CIBA §7.1, RFC 9110).

use http::{HeaderValue, Method};
use reqwest::Request;
use reqwest::header::{ALLOW, CONTENT_TYPE};

use crate::bank::Bank;
use crate::heard::Heard;
use crate::tpp::{Call, Tpp};

const LARGEST: usize = 64 * 1024;

/// The same call with its tokens made, and a parameter that makes the body exactly `size` bytes long.
fn padded(mut call: Call, size: usize) -> Call {
    let (assertion, request) = (call.assertion.finish(), call.request.finish());
    call = call.set("client_assertion", &assertion).set("request", &request).and("note", "");
    let missing = size - call.body().len();
    call.set("note", &"x".repeat(missing))
}

fn typed(content_type: &'static str) -> impl FnOnce(&mut Request) {
    move |request| drop(request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type)))
}

async fn altered(till: &Tpp<'_>, change: impl FnOnce(&mut Request)) -> Heard {
    Heard::of(till.backchannel_http(change)).await
}

#[tokio::test]
async fn ciba_7_1_1_only_post_is_answered() {
    let bank = Bank::open().await;
    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        let heard = altered(&bank.tpp(), |request| *request.method_mut() = method).await;
        heard.refused(405, "invalid_request");
        assert_eq!(heard.headers[ALLOW], "POST");
    }
    let head = altered(&bank.tpp(), |request| *request.method_mut() = Method::HEAD).await;
    assert_eq!((head.status, &head.headers[ALLOW], head.text.as_str()), (405, &HeaderValue::from_static("POST"), ""));
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn ciba_7_1_2_only_a_form_is_read() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let json = altered(&till, |request| {
        typed("application/json")(request);
        *request.body_mut() = Some(r#"{"request":"x"}"#.into());
    });
    json.await.refused(400, "invalid_request");
    let multipart = altered(&till, |request| {
        typed("multipart/form-data; boundary=x")(request);
        let part = "--x\r\ncontent-disposition: form-data; name=\"request\"\r\n\r\nx\r\n--x--\r\n";
        *request.body_mut() = Some(part.into());
    });
    multipart.await.refused(400, "invalid_request");
    for wrong in ["application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form", ""] {
        println!("{wrong}");
        altered(&till, typed(wrong)).await.refused(400, "invalid_request");
    }
    let none = altered(&till, |request| drop(request.headers_mut().remove(CONTENT_TYPE)));
    none.await.refused(400, "invalid_request");
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn rfc9110_8_3_1_a_content_type_may_have_parameters_and_capitals() {
    let bank = Bank::open().await;
    for right in
        ["application/x-www-form-urlencoded; charset=UTF-8", "Application/X-WWW-Form-URLencoded ;charset=utf-8"]
    {
        println!("{right}");
        altered(&bank.tpp(), typed(right)).await.ok();
    }
}

#[tokio::test]
async fn limits_a_body_has_at_most_64_kib() {
    let bank = Bank::open().await;
    bank.tpp().backchannel_call(|call| padded(call, LARGEST)).await.ok();
    bank.tpp().backchannel_call(|call| padded(call, LARGEST + 1)).await.refused(413, "invalid_request");
    assert_eq!(bank.phone.prompts().len(), 1);
}

#[tokio::test]
async fn rfc6749_2_3_1_nothing_is_read_from_the_uri() {
    let bank = Bank::open().await;
    for query in ["x=1", "request=x", "%"] {
        println!("{query}");
        altered(&bank.tpp(), |request| request.url_mut().set_query(Some(query))).await.refused(400, "invalid_request");
    }
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn rfc6749_3_2_no_parameter_appears_twice() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    for (name, value) in [("request", "x"), ("request", ""), ("client_assertion", "x"), ("client_assertion_type", "x")]
    {
        println!("{name}");
        till.backchannel_call(|call| call.and(name, value)).await.refused(400, "invalid_request");
    }
    till.backchannel_call(|call| call.and("note", "x").and("note", "x")).await.refused(400, "invalid_request");
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn rfc9110_15_5_5_other_paths_have_nothing() {
    let bank = Bank::open().await;
    for path in ["/bc-authorize/", "/BC-authorize", "/", "/backchannel", "//bc-authorize"] {
        println!("{path}");
        altered(&bank.tpp(), |request| request.url_mut().set_path(path)).await.refused(404, "not_found");
    }
}
