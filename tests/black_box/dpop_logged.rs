//! What the log says of a DPoP proof that is refused: the clause that was broken, and what to look for.

use countersign::http::serve::Limits;
use serde_json::json;

use crate::bank::{Bank, client};
use crate::heard::Heard;
use crate::logs::Log;
use crate::prover::{at_resource, for_token, jwk, nonce, on, open, poll, till11, tokens, userinfo, with_till11};
use crate::registrant::fresh_key;
use crate::tpp::Tpp;

/// Clause and cause of the last refusal.
fn last(log: &Log) -> (String, String) {
    let lines = log.requests();
    let line = lines.last().expect("a line");
    let text = |name: &str| line[name].as_str().unwrap_or_else(|| panic!("no {name}: {line:#}")).to_owned();
    (text("clause"), text("cause"))
}

#[track_caller]
fn says(log: &Log, clause: &str, cause: &str) {
    let said = last(log);
    assert!(said.0 == clause && said.1.contains(cause), "{said:?} is not {clause}: {cause}");
}

#[tokio::test]
async fn dpop_4_3_each_refusal_of_a_proof_is_logged_under_the_clause_that_was_broken() {
    let (log, bank, _listening) = Log::listen_to(open()).await;
    let key = fresh_key();
    let till = till11(&bank);
    let auth_req_id = till.auth_req_id().await;
    let good = || for_token(&bank, &key);
    let private = {
        let mut jwk = jwk(&key);
        jwk["d"] = "AAAA".into();
        jwk
    };
    let two = format!("{},{}", good().finish(), good().finish());
    for (clause, cause, proof) in [
        ("DPOP-4.3-1", "more than one proof", two),
        ("DPOP-4.3-2", "the proof is not a well-formed JWS", "garbage".to_owned()),
        ("DPOP-4.3-2", "the proof is not a well-formed JWS", good().header("x", "x".repeat(5_000)).finish()),
        ("DPOP-4.3-2", "not accepted", good().header("crit", json!(["exp"])).finish()),
        ("DPOP-4.3-3", "jti", good().without("jti").finish()),
        ("DPOP-4.3-3", "the nonce is empty", good().with("nonce", "").finish()),
        ("DPOP-4.3-4", "typ", good().header("typ", "JWT").finish()),
        ("DPOP-4.3-5", "alg", good().header("alg", "RS256").finish()),
        ("DPOP-4.3-6", "did not make its signature", good().header("jwk", jwk(&fresh_key())).finish()),
        ("DPOP-4.3-6", "no jwk", good().without_header("jwk").finish()),
        ("DPOP-4.3-7", "not a public one", good().header("jwk", private).finish()),
        ("DPOP-4.3-8", "htm", good().with("htm", "GET").finish()),
        ("DPOP-4.3-9", "htu", good().with("htu", "https://elsewhere.example/token").finish()),
        ("DPOP-4.3-13", "iat", good().with("iat", 1).finish()),
        ("DPOP-4.3-14", "expired", good().with("exp", 1).finish()),
    ] {
        poll(&till, &auth_req_id, &[&proof]).await.refused(400, "invalid_dpop_proof");
        says(&log, clause, cause);
    }
    till.poll(&auth_req_id).await.refused(400, "invalid_dpop_proof");
    says(&log, "DPOP-5-1", "there is no DPoP proof");
    poll(&till, &auth_req_id, &[&good().finish(), &good().finish()]).await.refused(400, "invalid_dpop_proof");
    says(&log, "DPOP-4.3-1", "more than one DPoP header");
    poll(&till, &auth_req_id, &[&good().with("nonce", "x").finish()]).await.refused(400, "use_dpop_nonce");
    says(&log, "DPOP-8-1", "none of late");
}

#[tokio::test]
async fn dpop_7_1_each_refusal_at_a_resource_is_logged_under_the_clause_that_was_broken() {
    let (log, bank, _listening) = Log::listen_to(open()).await;
    let (key, other) = (fresh_key(), fresh_key());
    let first = tokens(&bank, &key).await;
    let (token, of_tokens) = (first.text("access_token"), nonce(&first));
    let bound = bank.other_tpp().tokens().await.text("access_token");
    let here = || at_resource(&bank, &key, &token);
    for (clause, cause, scheme, token, proof) in [
        ("DPOP-7.1-1", "there is no DPoP proof", "DPoP", &token, None),
        ("DPOP-4.3-15", "the proof has no ath", "DPoP", &token, Some(here().without("ath"))),
        ("DPOP-4.3-15", "of another token", "DPoP", &token, Some(at_resource(&bank, &key, &bound))),
        ("DPOP-4.3-16", "another key", "DPoP", &token, Some(at_resource(&bank, &other, &token))),
        ("DPOP-9-1", "one for the token endpoint", "DPoP", &token, Some(here().with("nonce", of_tokens.as_str()))),
        ("DPOP-9-1", "none of late", "DPoP", &token, Some(here().with("nonce", "x"))),
        ("DPOP-7.2-1", "a DPoP-bound token under the scheme Bearer", "Bearer", &token, None),
        ("DPOP-7.2-1", "under the scheme DPoP", "DPoP", &bound, Some(at_resource(&bank, &key, &bound))),
        ("MTLS-3-2", "there is no client certificate", "Bearer", &bound, None),
    ] {
        assert_eq!(userinfo(&bank, (scheme, token), proof).await.status, 401);
        says(&log, clause, cause);
    }
    let with_certificate = client(Some("till8")).get(bank.url("/userinfo")).bearer_auth(&token);
    Heard::of(with_certificate).await.refused(401, "invalid_token");
    says(&log, "DPOP-7.2-1", "a DPoP-bound token under the scheme Bearer");
    let heard = userinfo(&bank, ("DPoP", &token), Some(here())).await;
    let for_token = for_token(&bank, &key).with("nonce", nonce(&heard));
    let refreshed = till11(&bank).refresh_with(&first.text("refresh_token"), &for_token.finish()).await;
    refreshed.refused(400, "use_dpop_nonce");
    says(&log, "DPOP-8-1", "one for resources");
}

#[tokio::test]
async fn dpop_8_where_a_nonce_is_required_the_log_says_that_there_is_none() {
    let (log, bank, _listening) = Log::listen_to(Bank::with(Limits::default(), with_till11)).await;
    let till = till11(&bank);
    let auth_req_id = till.auth_req_id().await;
    let proof = for_token(&bank, &fresh_key()).finish();
    poll(&till, &auth_req_id, &[&proof]).await.refused(400, "use_dpop_nonce");
    says(&log, "DPOP-8-1", "the proof has no nonce");
}

/// Its proof is not looked at, so it is not told to make a better one.
#[tokio::test]
async fn fapi1a_5_2_2_5_a_client_bound_by_certificate_that_shows_a_proof_is_told_what_it_lacks() {
    let (log, bank, _listening) = Log::listen_to(Bank::with(Limits::default(), on)).await;
    let till = bank.other_tpp();
    let auth_req_id = till.auth_req_id().await;
    let proof = for_token(&bank, &fresh_key()).finish();
    for (proofs, cause) in
        [(vec![proof.as_str()], "dpop_bound_access_tokens is not set"), (vec![], "has no client certificate")]
    {
        let bare = Tpp::new(&bank, "till-8", (till.assertion_key.clone(), till.request_key.clone()), None);
        let heard = poll(&bare, &auth_req_id, &proofs).await;
        heard.refused(400, "invalid_request");
        assert!(heard.headers.get("dpop-nonce").is_none());
        assert!(heard.text.contains("has no client certificate"), "{}", heard.text);
        says(&log, "FAPI1A-5.2.2-5", cause);
    }
}
