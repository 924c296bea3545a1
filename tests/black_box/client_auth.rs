//! How a client may authenticate, and how it may not (RFC 6749 §2.3 and §3.2, CIBA §7.1): the form around the assertion.

use reqwest::RequestBuilder;

use crate::bank::Bank;
use crate::forged;
use crate::heard::Heard;
use crate::token::Draft;
use crate::tpp::Call;
use crate::trial::Trial;

const FAILED: (u16, &str) = (401, "invalid_client");
const CONFUSED: (u16, &str) = (400, "invalid_request");

fn without_assertion(call: Call) -> Call {
    call.drop("client_assertion").drop("client_assertion_type")
}

fn basic(request: RequestBuilder) -> RequestBuilder {
    request.basic_auth("till-7", Some("hunter2"))
}

fn bearer(request: RequestBuilder) -> RequestBuilder {
    request.bearer_auth("hunter2")
}

#[tokio::test]
async fn ca_1_any_other_client_assertion_type_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    trial.refuses("no type", FAILED, |call| call.drop("client_assertion_type")).await;
    for other in [
        "",
        "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer ",
        "urn:ietf:params:oauth:client-assertion-type:JWT-bearer",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "jwt-bearer",
    ] {
        trial.refuses(other, FAILED, |call| call.set("client_assertion_type", other)).await;
    }
}

#[tokio::test]
async fn ca_2_what_is_no_jwt_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let two = format!("{} {}", trial.tpp.assertion().finish(), trial.tpp.assertion().finish());
    for other in ["garbage", "a.b.c", ".", "..", "...", "{}", "e30.e30.", "é.é.é", &two] {
        trial.refuses(other, FAILED, |call| call.set("client_assertion", other)).await;
    }
}

#[tokio::test]
async fn ca_13_a_missing_assertion_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    trial.refuses("a type alone", FAILED, |call| call.drop("client_assertion")).await;
    trial.refuses("an empty assertion", FAILED, |call| call.set("client_assertion", "")).await;
    trial.refuses("nothing", FAILED, without_assertion).await;
    trial
        .refuses("client_id and a certificate alone", FAILED, |call| without_assertion(call).and("client_id", "till-7"))
        .await;
}

#[tokio::test]
async fn ciba_7_1_1_5_an_assertion_inside_the_request_object_authenticates_nobody() {
    let bank = Bank::open().await;
    let tpp = bank.tpp();
    let assertion = tpp.assertion().finish();
    let inside = tpp
        .backchannel_call(|call| without_assertion(call).request(|r| r.with("client_assertion", assertion.as_str())))
        .await;
    inside.refused(401, "invalid_client");
    assert!(bank.phone.prompts().is_empty());
    tpp.backchannel_call(|call| call.set("client_assertion", &assertion)).await.ok();
}

#[tokio::test]
async fn ca_4_a_client_id_beside_the_assertion_has_to_be_its_sub() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for same in ["till-7", ""] {
        trial.accepts(same, |call| call.and("client_id", same)).await;
    }
    for other in ["till-8", "till-70", "TILL-7", "till-7 ", "nobody"] {
        trial.refuses(other, FAILED, |call| call.and("client_id", other)).await;
    }
}

#[tokio::test]
async fn ca_16_basic_alone_is_refused_with_a_challenge() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for (case, header) in [("Basic", basic as fn(_) -> _), ("Bearer", bearer)] {
        trial.refuses(case, FAILED, |call| without_assertion(call).edit(header)).await;
    }
    let challenge = |heard: &Heard| heard.headers.get("www-authenticate").cloned();
    let pending = trial.tpp.auth_req_id().await;
    for heard in [
        trial.tpp.backchannel_call(|call| without_assertion(call).edit(basic)).await,
        trial.tpp.poll_call(&pending, |call| without_assertion(call).edit(basic)).await,
    ] {
        let scheme = challenge(&heard).expect("RFC 6749 §5.2: a challenge");
        assert!(scheme.to_str().expect("ASCII").starts_with("Basic "), "{scheme:?}");
    }
    let by_assertion = trial.tpp.backchannel_call(|call| call.assertion(|a| a.without("exp"))).await;
    by_assertion.refused(401, "invalid_client");
    assert_eq!(challenge(&by_assertion), None, "no header was tried, so none is asked for");
}

#[tokio::test]
async fn ca_17_a_client_secret_alone_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let secret = |call| without_assertion(call).and("client_id", "till-7").and("client_secret", "hunter2");
    trial.refuses("client_secret_post", FAILED, secret).await;
}

#[tokio::test]
async fn ciba_7_1_7_two_methods_at_once_are_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    trial.refuses("Basic and an assertion", CONFUSED, |call| call.edit(basic)).await;
    trial.refuses("Bearer and an assertion", CONFUSED, |call| call.edit(bearer)).await;
    trial.refuses("a secret and an assertion", CONFUSED, |call| call.and("client_secret", "hunter2")).await;
    trial
        .refuses("a secret and an assertion of no type", CONFUSED, |call| {
            call.drop("client_assertion_type").and("client_secret", "hunter2")
        })
        .await;
}

#[tokio::test]
async fn ciba_7_1_8_a_doubled_parameter_is_refused() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    for name in ["client_assertion", "client_assertion_type"] {
        trial.refuses(name, CONFUSED, |call| call.twice(name)).await;
    }
    trial.refuses("client_id", CONFUSED, |call| call.and("client_id", "till-7").twice("client_id")).await;
    trial.refuses("an empty one", CONFUSED, |call| call.and("client_assertion", "")).await;
    trial.refuses("an unknown one", CONFUSED, |call| call.and("unknown", "1").and("unknown", "2")).await;
    trial.refuses_request_call("request", |call| call.twice("request")).await;
    let pending = trial.tpp.auth_req_id().await;
    for name in ["grant_type", "auth_req_id"] {
        println!("{name}");
        trial.tpp.poll_call(&pending, |call| call.twice(name)).await.refused(400, "invalid_request");
    }
    trial.tpp.poll(&pending).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn oauth_2_a_parameter_in_the_query_is_refused() {
    fn queried(request: RequestBuilder, query: &str) -> RequestBuilder {
        let (client, request) = request.build_split();
        let mut request = request.expect("well-formed");
        request.url_mut().set_query(Some(query));
        RequestBuilder::from_parts(client, request)
    }
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    trial.refuses("client_id", CONFUSED, |call| call.edit(|r| queried(r, "client_id=till-7"))).await;
    trial.refuses("scope", CONFUSED, |call| call.edit(|r| queried(r, "scope=openid"))).await;
    trial.refuses("unknown", CONFUSED, |call| call.edit(|r| queried(r, "x"))).await;
}

#[tokio::test]
async fn ca_14_an_unknown_client_and_a_bad_signature_look_the_same() {
    let bank = Bank::open().await;
    let tpp = bank.tpp();
    let pending = tpp.auth_req_id().await;
    let breakages: [fn(Call) -> Call; 4] = [
        |call| call.assertion(|a| a.sign_with(forged::inverted)),
        |call| call.assertion(|a| a.with("iss", "nobody").with("sub", "nobody")),
        |call| call.assertion(|a| a.with("aud", "https://www.other1.example.com/")),
        |call| call.assertion(|a| a.without("jti")),
    ];
    let mut seen = Vec::new();
    for breakage in breakages {
        for heard in [tpp.backchannel_call(breakage).await, tpp.poll_call(&pending, breakage).await] {
            heard.refused(401, "invalid_client");
            let mut headers = heard.headers.clone();
            for its_own in ["date", "x-fapi-interaction-id"] {
                headers.remove(its_own);
            }
            seen.push((heard.text, headers));
        }
    }
    for other in &seen {
        assert_eq!(other, &seen[0]);
    }
}

#[tokio::test]
async fn jar_10_8_3_a_request_object_is_no_client_assertion() {
    let bank = Bank::open().await;
    let trial = Trial { bank: &bank, tpp: bank.other_tpp() };
    let request = trial.tpp.request();
    trial.refuses("as it is", FAILED, |call| call.assertion(|_| request.clone())).await;
    let typed = request.with("sub", "till-8").with("exp", bank.now() + 60).header("typ", "oauth-authz-req+jwt");
    trial.refuses("of its type, with a sub", FAILED, |call| call.assertion(|_| typed.clone())).await;
    trial.tpp.backchannel(|_| typed.clone().without("sub")).await.ok();
}

#[tokio::test]
async fn jar_10_8_3_a_client_assertion_is_no_request_object() {
    let bank = Bank::open().await;
    let trial = Trial { bank: &bank, tpp: bank.other_tpp() };
    trial.refuses_request("as it is", |_| trial.tpp.assertion()).await;
    let complete = |assertion: Draft| {
        assertion.with("scope", "openid").with("login_hint", "alice").with("binding_message", "1234")
    };
    trial.refuses_request("with a whole request inside", |_| complete(trial.tpp.assertion())).await;
    trial
        .refuses_request("the same, and of its type", |_| {
            complete(trial.tpp.assertion()).without("sub").header("typ", "client-authentication+jwt")
        })
        .await;
    trial
        .accepts_request("without what makes it an assertion", |_| complete(trial.tpp.assertion()).without("sub"))
        .await;
}
