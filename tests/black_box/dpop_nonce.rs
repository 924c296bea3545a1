//! Nonces in DPoP proofs (RFC 9449 §8, §9): offered, required, or none.

use crate::prover::{
    approved, at_resource, challenged, for_token, nonce, open, poll, strict, till11, tokens, userinfo, without_nonces,
};
use crate::registrant::fresh_key;

#[tokio::test]
async fn dpop_8_a_nonce_is_offered_and_where_one_is_shown_it_has_to_be_good() {
    let (bank, key) = (open().await, fresh_key());
    let till = till11(&bank);
    let auth_req_id = till.auth_req_id().await;
    let heard = poll(&till, &auth_req_id, &[&for_token(&bank, &key).finish()]).await;
    heard.refused(400, "authorization_pending");
    let offered = nonce(&heard);
    assert_eq!(offered.len(), 43);
    // A bad nonce is refused before anything else becomes of the poll: it costs no time.
    for bad in ["x", &"A".repeat(43)] {
        let heard = poll(&till, &auth_req_id, &[&for_token(&bank, &key).with("nonce", bad).finish()]).await;
        heard.refused(400, "use_dpop_nonce");
        assert_eq!(nonce(&heard), offered);
    }
    let empty = for_token(&bank, &key).with("nonce", "");
    poll(&till, &auth_req_id, &[&empty.finish()]).await.refused(400, "invalid_dpop_proof");
    bank.clock.advance(5);
    let with = |nonce: &str| for_token(&bank, &key).with("nonce", nonce).finish();
    poll(&till, &auth_req_id, &[&with(&offered)]).await.refused(400, "authorization_pending");
    let token = tokens(&bank, &key).await.text("access_token");
    let here = at_resource(&bank, &key, &token);
    let heard = userinfo(&bank, ("DPoP", &token), Some(here.clone().with("nonce", offered.as_str()))).await;
    challenged(&heard, "use_dpop_nonce");
    let again = here.with("nonce", nonce(&heard));
    userinfo(&bank, ("DPoP", &token), Some(again)).await.ok();
    bank.clock.advance(600);
    let other = till.auth_req_id().await;
    poll(&till, &other, &[&with(&offered)]).await.refused(400, "use_dpop_nonce");
    // Nobody else is told of nonces.
    assert!(bank.other_tpp().poll(&bank.other_tpp().auth_req_id().await).await.headers.get("dpop-nonce").is_none());
}

/// As it ships: RFC 9449 §11.3 forbids to go without, once one was given.
#[tokio::test]
async fn dpop_8_1_where_a_nonce_is_required_no_proof_does_without() {
    let (bank, key) = (strict().await, fresh_key());
    let till = till11(&bank);
    let auth_req_id = approved(&bank, &till).await;
    let heard = poll(&till, &auth_req_id, &[&for_token(&bank, &key).finish()]).await;
    heard.refused(400, "use_dpop_nonce");
    let for_tokens = nonce(&heard);
    let with = |nonce: &str| for_token(&bank, &key).with("nonce", nonce).finish();
    let heard = poll(&till, &auth_req_id, &[&with(&for_tokens)]).await;
    let (token, refresh_token) = (heard.text("access_token"), heard.text("refresh_token"));
    assert_eq!(nonce(&heard), for_tokens, "on a 200, too");
    till.refresh_with(&refresh_token, &for_token(&bank, &key).finish()).await.refused(400, "use_dpop_nonce");
    till.refresh_with(&refresh_token, &with(&for_tokens)).await.ok();
    let here = || at_resource(&bank, &key, &token);
    let heard = userinfo(&bank, ("DPoP", &token), Some(here())).await;
    challenged(&heard, "use_dpop_nonce");
    let for_resources = nonce(&heard);
    assert_ne!(for_resources, for_tokens);
    let other_side = userinfo(&bank, ("DPoP", &token), Some(here().with("nonce", for_tokens.as_str()))).await;
    challenged(&other_side, "use_dpop_nonce");
    till.refresh_with(&refresh_token, &with(&for_resources)).await.refused(400, "use_dpop_nonce");
    let good = userinfo(&bank, ("DPoP", &token), Some(here().with("nonce", for_resources.as_str()))).await;
    good.ok();
    assert_eq!(nonce(&good), for_resources);
}

/// A client that keeps the newest is never refused: the next is told well before this one ends.
#[tokio::test]
async fn dpop_8_2_the_next_nonce_is_told_on_a_200_before_the_old_one_ends() {
    let (bank, key) = (strict().await, fresh_key());
    let till = till11(&bank);
    let with = |nonce: &str| for_token(&bank, &key).with("nonce", nonce).finish();
    let first = till.refresh_with(&"A".repeat(43), &for_token(&bank, &key).finish()).await;
    first.refused(400, "use_dpop_nonce");
    let mut newest = nonce(&first);
    let refresh_token = poll(&till, &approved(&bank, &till).await, &[&with(&newest)]).await.text("refresh_token");
    let mut seen = vec![newest.clone()];
    for _ in 0..12 {
        bank.clock.advance(150);
        let heard = till.refresh_with(&refresh_token, &with(&newest)).await;
        heard.ok();
        newest = nonce(&heard);
        if seen.last() != Some(&newest) {
            assert!(!seen.contains(&newest), "it is a new one");
            till.refresh_with(&refresh_token, &with(&seen[seen.len() - 1])).await.ok();
            seen.push(newest.clone());
        }
    }
    assert_eq!(seen.len(), 7, "one for each five minutes");
    till.refresh_with(&refresh_token, &with(&seen[0])).await.refused(400, "use_dpop_nonce");
}

#[tokio::test]
async fn dpop_8_where_there_are_no_nonces_none_is_offered_or_looked_at() {
    let (bank, key) = (without_nonces().await, fresh_key());
    let till = till11(&bank);
    let auth_req_id = till.auth_req_id().await;
    let heard = poll(&till, &auth_req_id, &[&for_token(&bank, &key).with("nonce", "x").finish()]).await;
    heard.refused(400, "authorization_pending");
    assert!(heard.headers.get("dpop-nonce").is_none());
}
