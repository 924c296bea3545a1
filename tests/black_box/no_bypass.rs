//! No route answers a request that the gate has not seen: walks the route table with requests that have nothing to show.

use countersign::http::routes::{Answers, ROUTES, Route, Side};
use reqwest::{Method, RequestBuilder};

use crate::bank::{Bank, client};
use crate::heard::Heard;

const CERTIFICATES: [Option<&str>; 4] = [None, Some("till"), Some("till8"), Some("bank")];

#[tokio::test]
async fn a_bare_request_is_refused_at_every_route_that_is_not_open() {
    let bank = Bank::open().await;
    let long = "a".repeat(60_000);
    let bodies: [Option<(&str, &str)>; 9] = [
        None,
        Some(("application/x-www-form-urlencoded", "")),
        Some(("application/x-www-form-urlencoded", "a=b&c=d&e")),
        Some(("application/x-www-form-urlencoded", "=&==&&%zz%00\u{1}")),
        Some(("application/x-www-form-urlencoded", &long)),
        Some(("application/json", "{}")),
        Some(("application/json", r#"{"auth_req_id":"x","decision":"approve","sub":"x"}"#)),
        Some(("text/plain", "hello")),
        Some(("", "hello")),
    ];
    let mut walked = 0;
    for route in ROUTES.iter().filter(|route| route.answers == Answers::Verified) {
        for certificate in CERTIFICATES {
            let http = client(certificate);
            for body in bodies {
                let request = http.request(method(route), url(&bank, route));
                let request = match body {
                    None => request,
                    Some((kind, text)) => request.header("content-type", kind).body(text.to_owned()),
                };
                is_refused(&format!("{} {certificate:?} {body:?}", route.path), request).await;
            }
        }
        walked += 1;
    }
    assert_eq!(walked, 12, "each method of each endpoint");
    assert!(bank.phone.prompts().is_empty());
}

#[tokio::test]
async fn an_authorization_header_or_a_query_opens_nothing() {
    let bank = Bank::open().await;
    for route in ROUTES.iter().filter(|route| route.answers == Answers::Verified) {
        for value in ["Basic dGlsbC03OnNlY3JldA==", "Bearer x", "DPoP x", "Negotiate", ""] {
            let request = client(Some("till")).request(method(route), url(&bank, route)).header("authorization", value);
            let request = request.header("content-type", "application/x-www-form-urlencoded").body("a=b");
            is_refused(&format!("{} {value}", route.path), request).await;
        }
        let request = client(Some("bank")).request(method(route), url(&bank, route) + "?client_id=till-7&a=b");
        is_refused(route.path, request).await;
    }
}

#[tokio::test]
async fn an_open_route_answers_anyone() {
    let bank = Bank::open().await;
    let open = ROUTES.iter().filter(|route| route.answers == Answers::Anyone).map(|route| route.path);
    let public = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks"];
    let internal = ["/livez", "/readyz", "/metrics"];
    assert_eq!(open.collect::<Vec<_>>(), [&public[..], &internal].concat(), "and nothing else");
    for route in ROUTES.iter().filter(|route| route.answers == Answers::Anyone) {
        for certificate in CERTIFICATES {
            let heard = client(certificate).request(method(route), url(&bank, route)).send().await.expect("an answer");
            assert_eq!(heard.status(), 200, "{} {certificate:?}", route.path);
            let headers = heard.headers().clone();
            assert!(!heard.text().await.expect("a body").is_empty(), "{}", route.path);
            let kept = if route.side == Side::Public { "public, max-age=300" } else { "no-store" };
            assert_eq!(headers["cache-control"], kept, "{}", route.path);
        }
    }
}

#[tokio::test]
async fn rfc9110_15_5_6_another_method_is_405_and_says_which_would_do() {
    let bank = Bank::open().await;
    let http = client(Some("bank"));
    for route in ROUTES.iter().filter(|route| route.answers != Answers::Nobody) {
        for other in
            ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "post", "X"]
        {
            let answered = |method: &str| ROUTES.iter().any(|twin| twin.path == route.path && twin.method == method);
            if answered(other) || (other == "HEAD" && answered("GET")) {
                continue;
            }
            let other = Method::from_bytes(other.as_bytes()).expect("a token");
            let heard = Heard::of(http.request(other.clone(), url(&bank, route))).await;
            let allow = heard.headers.get("allow").and_then(|value| value.to_str().ok()).unwrap_or_default();
            assert!(allow.split(',').any(|method| method.trim() == route.method), "{other} {}: {heard:#?}", route.path);
            if other == Method::HEAD {
                assert_eq!(heard.status, 405);
            } else {
                heard.refused(405, "invalid_request");
            }
        }
    }
}

/// The body is a page for people, so [`Heard`] is not asked.
#[tokio::test]
async fn meta_5_the_authorization_endpoint_answers_every_call_with_the_same_error_page() {
    let bank = Bank::open().await;
    let nobody: Vec<_> =
        ROUTES.iter().filter(|route| route.answers == Answers::Nobody).map(|route| route.path).collect();
    assert_eq!(nobody, ["/authorize"]);
    let mut pages = Vec::new();
    for method in ["GET", "POST", "PUT", "DELETE"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a token");
        let to = format!("{}/authorize?client_id=till-7&redirect_uri=https%3A%2F%2Fevil.example", bank.issuer);
        let answer = client(None).request(method, to).header("accept", "application/json").send().await.expect("one");
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (400, &"text/html; charset=utf-8".parse().expect("ASCII"))
        );
        assert!(!answer.headers().contains_key("location"));
        assert_eq!(answer.headers()["cache-control"], "no-store");
        pages.push(answer.text().await.expect("a page"));
    }
    assert!(
        pages
            .iter()
            .all(|page| *page == pages[0] && page.contains("Nothing is authorized here") && !page.contains("evil"))
    );
}

#[tokio::test]
async fn a_route_is_on_its_own_side_alone() {
    let bank = Bank::open().await;
    let inside = ROUTES.iter().filter(|route| route.side == Side::Internal).map(|route| route.path);
    assert_eq!(inside.collect::<Vec<_>>(), ["/decision", "/standing", "/livez", "/readyz", "/metrics"]);
    for route in ROUTES {
        let other = match route.side {
            Side::Public => bank.internal.port(),
            Side::Internal => bank.public.port(),
        };
        for certificate in CERTIFICATES {
            let there = client(certificate).request(method(route), format!("https://localhost:{other}{}", route.path));
            Heard::of(there).await.refused(404, "not_found");
        }
    }
}

/// 4xx, in the shape of RFC 6749 §5.2.
async fn is_refused(what: &str, request: RequestBuilder) {
    let heard = Heard::of(request).await;
    assert!((400..500).contains(&heard.status), "{what}: {heard:#?}");
    let error = heard.body["error"].as_str().unwrap_or_else(|| panic!("{what}: {heard:#?}"));
    heard.refused(heard.status, error);
}

fn method(route: &Route) -> Method {
    Method::from_bytes(route.method.as_bytes()).expect("a token")
}

fn url(bank: &Bank, route: &Route) -> String {
    let port = match route.side {
        Side::Public => bank.public.port(),
        Side::Internal => bank.internal.port(),
    };
    format!("https://localhost:{port}{}", route.path)
}
