//! The decision interface: the bank brings what the person decided, once and in time (CIBA §8).

use http::Method;
use reqwest::header::ALLOW;
use serde_json::{Value, json};

use crate::bank::{Bank, client};
use crate::heard::Heard;
use crate::tpp::altered;

const ALICE: &str = "alice-248289761001";

/// Alice's yes to `auth_req_id`.
fn yes(auth_req_id: &str) -> Value {
    json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": ALICE})
}

/// `base` with the member `name` changed to `value`.
fn with(mut base: Value, name: &str, value: Value) -> Value {
    base[name] = value;
    base
}

/// The request is refused as malformed, and the till's request stays as it was.
async fn malformed(bodies: impl IntoIterator<Item = impl FnOnce(&Bank, &str) -> String>) {
    let bank = Bank::open().await;
    let till = bank.tpp();
    for body in bodies {
        let auth_req_id = till.auth_req_id().await;
        let body = body(&bank, &auth_req_id);
        println!("{body}");
        bank.decide_as(Some("bank"), body).await.refused(400, "invalid_request");
        till.poll(&auth_req_id).await.refused(400, "authorization_pending");
    }
}

/// [`malformed`], for approvals with `name` set to each of `values`.
async fn malformed_members(name: &'static str, values: impl IntoIterator<Item = Value>) {
    malformed(values.into_iter().map(|value| move |_: &Bank, id: &str| with(yes(id), name, value).to_string())).await;
}

#[tokio::test]
async fn ciba_8_1_a_decision_is_taken() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    for (decision, status) in [("approve", 200), ("deny", 400)] {
        let auth_req_id = till.auth_req_id().await;
        let heard = bank.decide(&with(yes(&auth_req_id), "decision", json!(decision))).await;
        assert_eq!((heard.status, heard.text.as_str()), (204, ""));
        assert_eq!(heard.headers["cache-control"], "no-store");
        assert_eq!(till.poll(&auth_req_id).await.status, status);
    }
}

#[tokio::test]
async fn ciba_8_1_only_the_bank_decides() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    for stranger in [None, Some("till"), Some("countersign"), Some("till8")] {
        println!("{stranger:?}");
        bank.decide_as(stranger, yes(&auth_req_id).to_string()).await.refused(401, "invalid_client");
        bank.decide_as(stranger, "not even JSON".into()).await.refused(401, "invalid_client");
    }
    till.poll(&auth_req_id).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn ciba_8_1_the_certificate_of_the_bank_runs_out() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    bank.clock.advance(400 * 24 * 3600);
    let auth_req_id = till.auth_req_id().await;
    bank.approve(&auth_req_id).await.refused(401, "invalid_client");
    till.poll(&auth_req_id).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn ciba_8_1_the_certificate_of_the_bank_is_not_valid_before_its_time() {
    let bank = Bank::open().await;
    bank.clock.advance(-30 * 24 * 3600);
    let auth_req_id = bank.tpp().auth_req_id().await;
    bank.approve(&auth_req_id).await.refused(401, "invalid_client");
}

#[tokio::test]
async fn ciba_8_1_the_world_cannot_reach_it() {
    let bank = Bank::open().await;
    let auth_req_id = bank.tpp().auth_req_id().await;
    let posted = client(Some("bank")).post(format!("{}/decision", bank.issuer));
    let heard = Heard::of(posted.header("content-type", "application/json").body(yes(&auth_req_id).to_string())).await;
    heard.refused(404, "not_found");
}

#[tokio::test]
async fn ciba_8_1_and_nothing_else_is_reached_there() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    let port = bank.internal.port();
    let inside = |request: &mut reqwest::Request| request.url_mut().set_port(Some(port)).expect("it has a host");
    for request in
        [till.backchannel_http(inside), till.poll_http(&auth_req_id, inside), till.introspect_http("x", inside)]
    {
        Heard::of(request).await.refused(404, "not_found");
    }
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks", "/"] {
        let url = format!("https://localhost:{port}{path}");
        Heard::of(client(Some("bank")).get(url)).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn ciba_8_3_an_unknown_request_cannot_be_decided() {
    let bank = Bank::open().await;
    let known = bank.tpp().auth_req_id().await;
    for id in ["A".repeat(43), "A".repeat(42), "A".repeat(44), known[..42].to_owned(), "x".into(), "é".repeat(43)] {
        println!("{id}");
        bank.approve(&id).await.refused(404, "unknown_auth_req_id");
        bank.deny(&id).await.refused(404, "unknown_auth_req_id");
    }
}

#[tokio::test]
async fn ciba_8_3_a_decision_is_taken_once() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let (approved, denied) = (till.auth_req_id().await, till.auth_req_id().await);
    assert_eq!((bank.approve(&approved).await.status, bank.deny(&denied).await.status), (204, 204));
    for settled in [&approved, &denied] {
        bank.approve(settled).await.refused(409, "already_settled");
        bank.deny(settled).await.refused(409, "already_settled");
    }
    till.poll(&denied).await.refused(400, "access_denied");
    till.poll(&approved).await.ok();
    bank.approve(&approved).await.refused(409, "already_settled");
}

#[tokio::test]
async fn ciba_8_3_and_before_expiry() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let (last, late) = (till.auth_req_id().await, till.auth_req_id().await);
    bank.clock.advance(119);
    assert_eq!(bank.approve(&last).await.status, 204);
    bank.clock.advance(1);
    bank.approve(&late).await.refused(409, "already_settled");
    bank.deny(&late).await.refused(409, "already_settled");
    till.poll(&late).await.refused(400, "expired_token");
}

#[tokio::test]
async fn ciba_10_1_12_only_the_user_who_was_asked_approves() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let auth_req_id = till.auth_req_id().await;
    for other in ["mallory", "Alice-248289761001", "alice", "alice-2482897610011"] {
        println!("{other}");
        bank.decide(&with(yes(&auth_req_id), "sub", json!(other))).await.refused(403, "access_denied");
    }
    till.poll(&auth_req_id).await.refused(400, "authorization_pending");
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
}

#[tokio::test]
async fn ciba_8_1_an_approval_says_whose_it_is() {
    malformed([|_: &Bank, id: &str| json!({"auth_req_id": id, "decision": "approve"}).to_string()]).await;
    let bad = [json!(""), json!(null), json!(7), json!([ALICE]), json!("é"), json!("a".repeat(256)), json!("a\n")];
    malformed_members("sub", bad).await;
}

#[tokio::test]
async fn ciba_8_1_a_decision_is_approve_or_deny() {
    malformed([|_: &Bank, id: &str| json!({"auth_req_id": id, "sub": ALICE}).to_string()]).await;
    let bad =
        [json!(""), json!("Approve"), json!("yes"), json!("approve "), json!(true), json!(null), json!(["approve"])];
    malformed_members("decision", bad).await;
}

#[tokio::test]
async fn ciba_8_1_a_decision_names_its_request() {
    malformed_members("auth_req_id", [json!(""), json!(null), json!(7), json!({})]).await;
    malformed([|_: &Bank, _: &str| json!({"decision": "approve", "sub": ALICE}).to_string()]).await;
}

#[tokio::test]
async fn ciba_8_1_a_decision_has_no_unknown_member() {
    malformed_members("comment", [json!("hello"), json!(null)]).await;
    malformed_members("Sub", [json!(ALICE)]).await;
    malformed([|_: &Bank, id: &str| json!({"auth_req_id": id, "decision": "deny", "why": 1}).to_string()]).await;
}

#[tokio::test]
async fn ciba_8_1_a_decision_has_no_doubled_member() {
    let doubled = |name: &'static str| {
        move |_: &Bank, id: &str| yes(id).to_string().replacen('{', &format!(r#"{{"{name}":"deny","#), 1)
    };
    malformed(["decision", "sub", "auth_req_id"].map(doubled)).await;
}

#[tokio::test]
async fn ciba_8_1_a_decision_is_one_json_object() {
    let from = |make: fn(String) -> String| move |_: &Bank, id: &str| make(yes(id).to_string());
    malformed([
        from(|_| String::new()),
        from(|_| "approve".into()),
        from(|body| format!("[{body}]")),
        from(|body| format!("{body}{body}")),
        from(|body| format!("{body} x")),
        from(|body| body[..body.len() - 1].to_owned()),
        from(|_| "auth_req_id=x&decision=approve".into()),
    ])
    .await;
}

#[tokio::test]
async fn ciba_8_1_a_decision_is_posted_as_json() {
    let bank = Bank::open().await;
    let auth_req_id = bank.tpp().auth_req_id().await;
    let url = format!("https://localhost:{}/decision", bank.internal.port());
    let http = client(Some("bank"));
    let posted = |content_type: &str| {
        http.post(&url).header("content-type", content_type.to_owned()).body(yes(&auth_req_id).to_string())
    };
    for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/jose+json", ""] {
        println!("{wrong}");
        Heard::of(posted(wrong)).await.refused(400, "invalid_request");
    }
    Heard::of(http.post(&url).body(yes(&auth_req_id).to_string())).await.refused(400, "invalid_request");
    let with_query = altered(posted("application/json"), |request| request.url_mut().set_query(Some("x=1")));
    Heard::of(with_query).await.refused(400, "invalid_request");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let heard = Heard::of(altered(posted("application/json"), |request| *request.method_mut() = method)).await;
        heard.refused(405, "invalid_request");
        assert_eq!(heard.headers[ALLOW], "POST");
    }
    let large = http.post(&url).header("content-type", "application/json").body(" ".repeat(64 * 1024 + 1));
    Heard::of(large).await.refused(413, "invalid_request");
    assert_eq!(Heard::of(posted("application/json; charset=utf-8")).await.status, 204);
}

#[tokio::test]
async fn oidc_2_acr_is_one_that_is_on_offer() {
    malformed_members("acr", [json!("urn:other"), json!("URN:bank:acr:app-pin"), json!(1), json!(null)]).await;
    let bank = Bank::open().await;
    let auth_req_id = bank.tpp().auth_req_id().await;
    let heard = bank.decide(&with(yes(&auth_req_id), "acr", json!("urn:bank:acr:app-biometric"))).await;
    assert_eq!(heard.status, 204);
}

#[tokio::test]
async fn oidc_2_auth_time_is_not_in_the_future() {
    let ahead = |by: i64| move |bank: &Bank, id: &str| with(yes(id), "auth_time", json!(bank.now() + by)).to_string();
    malformed([ahead(31), ahead(3600)]).await;
    let bank = Bank::open().await;
    // The leeway for the bank's clock.
    for by in [30, 0, -3600] {
        let auth_req_id = bank.tpp().auth_req_id().await;
        let heard = bank.decide(&with(yes(&auth_req_id), "auth_time", json!(bank.now() + by))).await;
        assert_eq!(heard.status, 204, "{heard:#?}");
    }
}

#[tokio::test]
async fn oidc_2_auth_time_is_a_time() {
    let bad = [json!("1700000000"), json!(null), json!(true), json!([1]), json!(-1), json!(1e300), json!(i64::MAX)];
    malformed_members("auth_time", bad).await;
}

#[tokio::test]
async fn oidc_2_sub_is_at_most_255_printable_ascii_characters() {
    malformed_members("sub", [json!("a".repeat(256)), json!("alicé"), json!("ali\nce"), json!("ali\u{7f}ce")]).await;
}

#[tokio::test]
async fn fapiciba_5_2_2_8_an_acr_that_was_asked_for_is_reported() {
    let bank = Bank::open().await;
    let till = bank.tpp();
    let asked = till.backchannel(|request| request.with("acr_values", "urn:bank:acr:app-pin")).await;
    let auth_req_id = asked.text("auth_req_id");
    bank.approve(&auth_req_id).await.refused(400, "invalid_request");
    till.poll(&auth_req_id).await.refused(400, "authorization_pending");
    let told = with(yes(&auth_req_id), "acr", json!("urn:bank:acr:app-biometric"));
    assert_eq!(bank.decide(&told).await.status, 204);
    let tokens = till.poll(&auth_req_id).await;
    assert_eq!(crate::token::payload(&tokens.text("id_token"))["acr"], "urn:bank:acr:app-biometric");
}
