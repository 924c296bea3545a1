//! Nonces in DPoP proofs (RFC 9449 §8, §9): offered, required, or none.

use crate::heard::Heard;
use crate::prover::{approved, at_resource, challenged, for_token, open, poll, till11, tokens, under, userinfo};
use crate::registrant::fresh_key;

#[tokio::test]
async fn dpop_8_a_nonce_is_offered_and_where_one_is_shown_it_has_to_be_good() {
    let (bank, key) = (open().await, fresh_key());
    let till = till11(&bank);
    let auth_req_id = till.auth_req_id().await;
    let offered = |heard: &Heard| heard.headers["dpop-nonce"].to_str().expect("ASCII").to_owned();
    let heard = poll(&till, &auth_req_id, &[&for_token(&bank, &key).finish()]).await;
    heard.refused(400, "authorization_pending");
    let nonce = offered(&heard);
    assert!(nonce.len() == 43 && heard.headers.get_all("dpop-nonce").iter().count() == 1);
    // A bad nonce is refused before anything else becomes of the poll: it costs no time.
    for bad in ["x", &"A".repeat(43)] {
        let heard = poll(&till, &auth_req_id, &[&for_token(&bank, &key).with("nonce", bad).finish()]).await;
        heard.refused(400, "use_dpop_nonce");
        assert_eq!(offered(&heard), nonce);
    }
    bank.clock.advance(5);
    let with = |nonce: &str| for_token(&bank, &key).with("nonce", nonce).finish();
    poll(&till, &auth_req_id, &[&with(&nonce)]).await.refused(400, "authorization_pending");
    let token = tokens(&bank, &key).await.text("access_token");
    let here = at_resource(&bank, &key, &token);
    let heard = userinfo(&bank, ("DPoP", &token), Some(here.clone().with("nonce", nonce.as_str()))).await;
    challenged(&heard, "use_dpop_nonce");
    let again = here.with("nonce", offered(&heard));
    userinfo(&bank, ("DPoP", &token), Some(again)).await.ok();
    bank.clock.advance(600);
    let other = till.auth_req_id().await;
    poll(&till, &other, &[&with(&nonce)]).await.refused(400, "use_dpop_nonce");
    // Nobody else is told of nonces.
    assert!(bank.other_tpp().poll(&bank.other_tpp().auth_req_id().await).await.headers.get("dpop-nonce").is_none());
}

#[tokio::test]
async fn dpop_8_1_where_a_nonce_is_required_no_proof_does_without() {
    let (bank, key) = (under("dpop_nonce = \"lenient\"", "dpop_nonce = \"required\"").await, fresh_key());
    let till = till11(&bank);
    let auth_req_id = approved(&bank, &till).await;
    let heard = poll(&till, &auth_req_id, &[&for_token(&bank, &key).finish()]).await;
    heard.refused(400, "use_dpop_nonce");
    let nonce = heard.headers["dpop-nonce"].to_str().expect("ASCII").to_owned();
    let heard = poll(&till, &auth_req_id, &[&for_token(&bank, &key).with("nonce", nonce).finish()]).await;
    let token = heard.text("access_token");
    challenged(&userinfo(&bank, ("DPoP", &token), Some(at_resource(&bank, &key, &token))).await, "use_dpop_nonce");
}

#[tokio::test]
async fn dpop_8_where_there_are_no_nonces_none_is_offered_or_looked_at() {
    let (bank, key) = (under("dpop_nonce = \"lenient\"", "dpop_nonce = \"off\"").await, fresh_key());
    let till = till11(&bank);
    let auth_req_id = till.auth_req_id().await;
    let heard = poll(&till, &auth_req_id, &[&for_token(&bank, &key).with("nonce", "x").finish()]).await;
    heard.refused(400, "authorization_pending");
    assert!(heard.headers.get("dpop-nonce").is_none());
}
