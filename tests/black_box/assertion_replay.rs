//! CA-11: an assertion counts once, wherever it is shown, until it has expired.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::bank::Bank;
use crate::forged;
use crate::tpp::Call;

#[tokio::test]
async fn ca_11_a_replayed_jti_is_refused() {
    let bank = Bank::open().await;
    let tpp = bank.tpp();
    let assertion = tpp.assertion().with("jti", "once").finish();
    let pending = tpp.backchannel_call(|call| call.set("client_assertion", &assertion)).await.text("auth_req_id");
    tpp.backchannel_call(|call| call.set("client_assertion", &assertion)).await.refused(401, "invalid_client");
    tpp.poll_call(&pending, |call| call.set("client_assertion", &assertion)).await.refused(401, "invalid_client");
    tpp.introspect_call("x", |call| call.set("client_assertion", &assertion)).await.refused(401, "invalid_client");
    let resigned = |call: Call| call.assertion(|a| a.with("jti", "once").with("aud", bank.issuer.as_str()));
    tpp.poll_call(&pending, resigned).await.refused(401, "invalid_client");
    assert_eq!(bank.phone.prompts().len(), 1);
    // A poll that is refused for its assertion is a poll all the same.
    bank.clock.advance(5);
    tpp.poll(&pending).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn ca_11_an_assertion_is_spent_also_where_a_handler_panics() {
    let bank = Bank::open().await;
    let tpp = bank.tpp();
    bank.phone.broken();
    let assertion = tpp.assertion().finish();
    let spend = async || tpp.backchannel_call(|call| call.set("client_assertion", &assertion)).await;
    spend().await.refused(500, "server_error");
    spend().await.refused(401, "invalid_client");
}

#[tokio::test]
async fn ca_11_an_assertion_spent_at_the_token_endpoint_is_spent_everywhere() {
    let bank = Bank::open().await;
    let tpp = bank.tpp();
    let pending = tpp.auth_req_id().await;
    let assertion = tpp.assertion().finish();
    let spend = async || tpp.poll_call(&pending, |call| call.set("client_assertion", &assertion)).await;
    spend().await.refused(400, "authorization_pending");
    spend().await.refused(401, "invalid_client");
    tpp.backchannel_call(|call| call.set("client_assertion", &assertion)).await.refused(401, "invalid_client");
    assert_eq!(bank.phone.prompts().len(), 1);
}

#[tokio::test]
async fn ca_11_a_jti_stays_spent_until_the_assertion_expires() {
    let bank = Bank::open().await;
    let tpp = bank.tpp();
    for lifetime in [60, 600] {
        let assertion = tpp.assertion().with("exp", bank.now() + lifetime).finish();
        tpp.backchannel_call(|call| call.set("client_assertion", &assertion)).await.ok();
        for (passes, at) in [(1, 1), (lifetime - 2, lifetime - 1), (1, lifetime)] {
            bank.clock.advance(passes);
            println!("{at} of {lifetime} s later");
            tpp.backchannel_call(|call| call.set("client_assertion", &assertion)).await.refused(401, "invalid_client");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ca_11_of_16_parallel_uses_one_counts() {
    let bank = Arc::new(Bank::open().await);
    let assertion = bank.tpp().assertion().finish();
    let (mut uses, together) = (JoinSet::new(), Arc::new(Barrier::new(16)));
    for _ in 0..16 {
        let (bank, assertion, together) = (bank.clone(), assertion.clone(), together.clone());
        uses.spawn(async move {
            let tpp = bank.tpp();
            tpp.backchannel_call(|call| call.drop("client_assertion")).await.refused(401, "invalid_client");
            together.wait().await;
            tpp.backchannel_call(|call| call.set("client_assertion", &assertion)).await
        });
    }
    let (good, bad): (Vec<_>, Vec<_>) = uses.join_all().await.into_iter().partition(|heard| heard.status == 200);
    assert_eq!((good.len(), bad.len()), (1, 15));
    for heard in bad {
        heard.refused(401, "invalid_client");
    }
    assert_eq!(bank.phone.prompts().len(), 1);
}

#[tokio::test]
async fn ca_11_the_same_jti_of_two_clients_is_two() {
    let bank = Bank::open().await;
    bank.tpp().backchannel_call(|call| call.assertion(|a| a.with("jti", "one"))).await.ok();
    bank.other_tpp().backchannel_call(|call| call.assertion(|a| a.with("jti", "one"))).await.ok();
}

#[tokio::test]
async fn jar_10_8_3_the_same_jti_in_both_kinds_of_token_is_two() {
    let bank = Bank::open().await;
    let both = |call: Call| call.assertion(|a| a.with("jti", "one")).request(|r| r.with("jti", "one"));
    bank.tpp().backchannel_call(both).await.ok();
}

#[tokio::test]
async fn ca_11_what_is_refused_spends_no_jti() {
    let bank = Bank::open().await;
    let tpp = bank.tpp();
    let own = || tpp.assertion().with("jti", "kept");
    for (case, bad) in [
        ("bad signature", own().sign_with(forged::inverted)),
        ("another client's signature", own().signed_by(bank.other_tpp().assertion_key)),
        ("foreign audience", own().with("aud", "https://www.other1.example.com/")),
        ("expired", own().with("exp", bank.now())),
        ("not yet valid", own().with("nbf", json!(bank.now() + 31))),
    ] {
        println!("{case}");
        tpp.backchannel_call(|call| call.assertion(|_| bad)).await.refused(401, "invalid_client");
    }
    tpp.backchannel_call(|call| call.assertion(|_| own())).await.ok();
    tpp.backchannel_call(|call| call.assertion(|_| own())).await.refused(401, "invalid_client");
}

type Change = fn(Call) -> Call;

/// What a request uses up is used up before it is answered, whatever the answer is and whoever gave it.
#[tokio::test]
async fn ca_11_a_request_that_is_refused_for_something_else_spends_its_jti() {
    let bank = Bank::open().await;
    let tpp = bank.tpp();
    let refused: [(Change, (u16, &str)); 3] = [
        (|call| call.request(|r| r.with("login_hint", "nobody")), (400, "unknown_user_id")),
        (|call| call.request(|r| r.with("scope", "openid unheard-of")), (400, "invalid_scope")),
        (|call| call.drop("request"), (400, "invalid_request")),
    ];
    for (change, (status, error)) in refused {
        let assertion = tpp.assertion().finish();
        let call = |call: Call| change(call.set("client_assertion", &assertion));
        tpp.backchannel_call(call).await.refused(status, error);
        tpp.backchannel_call(call).await.refused(401, "invalid_client");
    }
    let request = tpp.request().with("login_hint", "nobody").finish();
    tpp.backchannel_call(|call| call.set("request", &request)).await.refused(400, "unknown_user_id");
    tpp.backchannel_call(|call| call.set("request", &request)).await.refused(400, "invalid_request");
}
