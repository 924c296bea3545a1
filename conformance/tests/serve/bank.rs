//! The sandbox bank: who is asked what, who decides, and whom its APIs let in.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::served::Served;
use crate::till::{Till, answer, client, proof};

#[tokio::test]
async fn people_decide_as_they_are() {
    let served = Served::start(&["--plan", "plain-poll-pkj-dynamic"]);
    let till = Till::register(&served).await;
    let (approves, denies, ignores) =
        (till.ask("always-approves").await, till.ask("always-denies").await, till.ask("never-answers").await);
    assert_eq!(till.phone(&ignores, "allow").await, 202, "it is heard, and nothing happens");
    let ((approved, tokens), (denied, refusal)) = tokio::join!(till.decided(&approves), till.decided(&denies));
    assert_eq!(approved, 200, "{tokens}");
    assert_eq!((denied, &refusal["error"]), (400, &json!("access_denied")));
    assert_eq!(till.poll(&ignores).await, (400, json!("authorization_pending")));
}

#[tokio::test]
async fn nobody_else_banks_here() {
    let served = Served::start(&["--plan", "plain-poll-pkj-dynamic"]);
    let till = Till::register(&served).await;
    for stranger in ["mallory", "user-00", "user-21", "sandbox-alice"] {
        let (status, refusal) = till.backchannel(stranger).await;
        assert_eq!((status, &refusal["error"]), (400, &json!("unknown_user_id")), "{stranger}");
    }
    for user in ["bob", "user-01", "user-20"] {
        till.ask(user).await;
    }
}

#[tokio::test]
async fn the_phone_is_told_allow_or_deny_and_nothing_else() {
    let served = Served::start(&["--plan", "plain-poll-pkj-dynamic"]);
    let till = Till::register(&served).await;
    let auth_req_id = till.ask("alice").await;
    for action in ["approve", "", "ALLOW"] {
        assert_eq!(till.phone(&auth_req_id, action).await, 400, "{action}");
    }
    let url = format!("{}/approve", served.says("bank"));
    assert_eq!(answer(till.http().post(&url)).await.0, 400, "nobody says which");
    assert_eq!(answer(till.http().get(&url)).await.0, 405);
    assert_eq!(till.poll(&auth_req_id).await, (400, json!("authorization_pending")));
    assert_eq!(till.phone(&auth_req_id, "deny").await, 204);
}

#[tokio::test]
async fn the_page_shows_who_is_asked_and_what() {
    let served = Served::start(&["--plan", "plain-poll-pkj-dynamic"]);
    let till = Till::register(&served).await;
    let page = async || {
        let answer = till.http().get(served.says("bank")).send().await.expect("an answer");
        answer.text().await.expect("text")
    };
    assert!(page().await.contains("Nobody is asked anything now"));
    let auth_req_id = till.ask("alice").await;
    let shown = page().await;
    for part in ["<h2>alice</h2>", "Till 7: 42.90", "<b>till</b>", "openid accounts"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let button = format!("action=\"/approve?id={auth_req_id}&amp;do=allow\"");
    assert!(shown.contains(&button), "{shown}");
    let approve = format!("{}/approve?id={auth_req_id}&do=allow", served.says("bank"));
    let pressed = till.http().post(approve).header("accept", "text/html,*/*").send().await.expect("an answer");
    assert_eq!((pressed.status().as_u16(), pressed.url().path()), (200, "/"), "a browser is back on the page");
    assert!(!page().await.contains(&auth_req_id));
}

#[tokio::test]
async fn accounts_are_for_whoever_holds_the_token_and_its_certificate() {
    let served = Served::start(&["--plan", "plain-poll-pkj-dynamic"]);
    let till = Till::register(&served).await;
    let token = till.approved("alice").await;
    let url = served.says("resource_url");
    let bearer = |request: RequestBuilder| request.header("authorization", format!("Bearer {token}"));
    let (status, accounts) = till.accounts(&token).await;
    assert_eq!((status, &accounts["accounts"][0]["owner"]), (200, &json!("alice")));
    let stranger = client(&served, &KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key"));
    for (case, request) in [
        ("another certificate", bearer(stranger.get(url))),
        ("a token in both", bearer(till.http().get(format!("{url}?access_token={token}")))),
        ("two headers", bearer(bearer(till.http().get(url)))),
        ("an unknown token", till.http().get(url).header("authorization", "Bearer AAAA")),
        ("no token at all", till.http().get(url).header("authorization", "Bearer AAAA&token=BBBB")),
    ] {
        let (status, refusal) = answer(request).await;
        assert_eq!((status, &refusal["error"]), (401, &json!("invalid_token")), "{case}");
    }
    for (case, request) in [
        ("no token", till.http().get(url)),
        ("a token in the query", till.http().get(format!("{url}?access_token={token}"))),
        ("another scheme", till.http().get(url).header("authorization", format!("Basic {token}"))),
    ] {
        let answer = request.send().await.expect("an answer");
        let challenge = answer.headers().get("www-authenticate").expect("what to bring");
        assert_eq!((answer.status().as_u16(), challenge.to_str().expect("ASCII")), (401, "Bearer"), "{case}");
        assert!(answer.bytes().await.expect("a body").is_empty(), "{case}: nothing more is told (RFC 6750 §3)");
    }
    let (status, _) = answer(bearer(till.http().get(format!("{url}?page=1")))).await;
    assert_eq!(status, 200, "what else is in the query is of no interest");
}

#[tokio::test]
async fn accounts_are_for_whoever_holds_the_key_of_the_token_too() {
    let served = Served::start(&["--plan", "plain-poll-pkj-dynamic"]);
    let (till, other) = (Till::register_for_dpop(&served).await, Till::register_for_dpop(&served).await);
    let token = till.approved("alice").await;
    let (status, accounts) = till.accounts(&token).await;
    assert_eq!((status, &accounts["accounts"][0]["owner"]), (200, &json!("alice")));
    let url = served.says("resource_url");
    let others = proof(other.dpop_key(), ("GET", url), Some(&token));
    for _ in 0..2 {
        let call = other.http().get(url).header("authorization", format!("DPoP {token}")).header("dpop", &others);
        let (status, refusal) = answer(call).await;
        assert_eq!((status, &refusal["error"]), (401, &json!("invalid_token")), "another key, which is not remembered");
    }
    let with = |scheme: &str| till.http().get(url).header("authorization", format!("{scheme} {token}"));
    assert_eq!(answer(with("Bearer")).await, (401, json!({"error": "invalid_token"})), "another scheme");
    let key = till.dpop_key();
    let good = || proof(key, ("GET", url), Some(&token));
    let once = good();
    assert_eq!(answer(with("DPoP").header("dpop", &once)).await.0, 200);
    for (case, request) in [
        ("no proof", with("DPoP")),
        ("the same one again", with("DPoP").header("dpop", &once)),
        ("two", with("DPoP").header("dpop", good()).header("dpop", good())),
        ("of another method", with("DPoP").header("dpop", proof(key, ("POST", url), Some(&token)))),
        (
            "of another place",
            with("DPoP").header("dpop", proof(key, ("GET", "https://localhost/accounts"), Some(&token))),
        ),
        ("of another token", with("DPoP").header("dpop", proof(key, ("GET", url), Some("another")))),
        ("of no token", with("DPoP").header("dpop", proof(key, ("GET", url), None))),
    ] {
        let (status, refusal) = answer(request).await;
        assert_eq!((status, &refusal["error"]), (401, &json!("invalid_dpop_proof")), "{case}");
    }
}

#[tokio::test]
async fn only_the_server_asks_who_somebody_is_and_prompts_them() {
    let served = Served::start(&["--plan", "plain-poll-pkj-dynamic"]);
    let till = Till::register(&served).await;
    for (path, body) in [
        ("identify", json!({"hint": "alice"})),
        ("prompt", json!({"sub": "sandbox-alice", "auth_req_id": "x", "expires_in": 60})),
    ] {
        let asked = till.http().post(format!("{}/{path}", served.says("bank"))).body(body.to_string());
        assert_eq!(answer(asked.header("content-type", "application/json")).await.0, 403, "{path}");
    }
    let page = till.http().get(served.says("bank")).send().await.expect("an answer");
    let policy = page.headers().get("content-security-policy").expect("it is for nobody's frame");
    assert!(policy.to_str().expect("ASCII").contains("frame-ancestors 'none'"));
    assert!(page.text().await.expect("text").contains("Nobody is asked anything now"));
}

#[tokio::test]
async fn every_answer_has_the_interaction_id_of_its_request_or_a_new_one() {
    let served = Served::start(&["--plan", "plain-poll-pkj-dynamic"]);
    let till = Till::register(&served).await;
    let id = "C770AEF3-6784-41f7-8e0e-ff5f97bddb3a";
    for (given, url) in [(Some(id), served.says("resource_url")), (None, served.says("resource_url"))] {
        let mut request = till.http().get(url);
        if let Some(id) = given {
            request = request.header("x-fapi-interaction-id", id);
        }
        let answer = request.send().await.expect("an answer");
        let said = answer.headers().get("x-fapi-interaction-id").and_then(|it| it.to_str().ok()).expect("it is there");
        assert_eq!(said.len(), 36);
        assert_eq!(said == id, given.is_some());
        assert!(answer.headers().contains_key("date"));
    }
}

/// Somebody in the UK: both versions of the API, the path of what is made there, and where its id is.
const UK: [(&str, &str, &str); 3] = [
    ("", "account-requests", "AccountRequestId"),
    ("v3.1/aisp/", "account-access-consents", "ConsentId"),
    ("v4.0/aisp/", "account-access-consents", "ConsentId"),
];

const WANTED: &str = "{\"Data\":{\"Permissions\":[\"ReadAccountsBasic\"]},\"Risk\":{}}";

#[tokio::test]
async fn in_the_uk_a_client_says_in_its_own_name_what_it_wants_to_see() {
    let served = Served::start(&["--plan", "uk-poll-pkj-dynamic"]);
    let (till, other) = (Till::register_in_the_uk(&served).await, Till::register_in_the_uk(&served).await);
    let (own, others) = (till.own().await, other.own().await);
    for (base, path, id) in UK {
        let url = format!("{}{base}{path}", served.says("resource_url"));
        let (status, made) = till.bank(Method::POST, (&url, &own), Some(WANTED)).await;
        assert_eq!(status, 201, "{made}");
        assert_eq!(made["Data"]["Status"], "AwaitingAuthorisation");
        assert_eq!(made["Data"]["Permissions"], json!(["ReadAccountsBasic"]));
        let it = format!("{url}/{}", made["Data"][id].as_str().expect("an id"));
        assert_eq!(till.bank(Method::GET, (&it, &own), None).await, (200, made));
        assert_eq!(other.bank(Method::GET, (&it, &others), None).await.0, 404, "it is another client's");
        assert_eq!(other.bank(Method::DELETE, (&it, &others), None).await.0, 404);
        assert_eq!(till.bank(Method::DELETE, (&it, &own), None).await.0, 204);
        assert_eq!(till.bank(Method::GET, (&it, &own), None).await.0, 404);
        for bad in ["", "{}", "[]", "{\"Data\":{\"Permissions\":[]}}", "{\"Data\":{\"Permissions\":[7]}}", "not json"] {
            assert_eq!(till.bank(Method::POST, (&url, &own), Some(bad)).await.0, 400, "{bad}");
        }
    }
}

#[tokio::test]
async fn in_the_uk_a_clients_own_token_opens_no_account_and_a_users_makes_no_consent() {
    let served = Served::start(&["--plan", "uk-poll-pkj-dynamic"]);
    let till = Till::register_in_the_uk(&served).await;
    let (own, alices) = (till.own().await, till.approved("alice").await);
    let refused = (403, json!({"error": "insufficient_scope"}));
    for (base, path, _) in UK {
        let (accounts, requests) = (
            format!("{}{base}accounts", served.says("resource_url")),
            format!("{}{base}{path}", served.says("resource_url")),
        );
        let (status, opened) = till.bank(Method::GET, (&accounts, &alices), None).await;
        assert_eq!((status, &opened["Data"]["Account"][0]["Nickname"]), (200, &json!("alice")));
        assert_eq!(till.bank(Method::GET, (&accounts, &own), None).await, refused);
        assert_eq!(till.bank(Method::POST, (&requests, &alices), Some(WANTED)).await, refused);
        assert_eq!(till.bank(Method::GET, (&format!("{requests}/x"), &alices), None).await, refused);
        assert_eq!(till.bank(Method::DELETE, (&format!("{requests}/x"), &alices), None).await, refused);
        let unknown = till.bank(Method::POST, (&requests, "AAAA"), Some(WANTED)).await;
        assert_eq!(unknown, (401, json!({"error": "invalid_token"})));
    }
    let nobody: Value = till.bank(Method::GET, (&format!("{}/accounts", served.says("bank")), &own), None).await.1;
    assert_eq!(nobody, refused.1);
}
