//! CIBA-7.1.1-13: a request object counts once, until it has expired.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::bank::Bank;
use crate::forged;
use crate::heard::Heard;
use crate::tpp::Tpp;
use crate::trial::Trial;

/// Sends `request` with an assertion of its own.
async fn send(tpp: &Tpp<'_>, request: &str) -> Heard {
    tpp.backchannel_call(|call| call.set("request", request)).await
}

#[tokio::test]
async fn ciba_7_1_1_13_a_replayed_request_object_is_refused() {
    let bank = Bank::open().await;
    let tpp = bank.tpp();
    let request = tpp.request().with("jti", "once").finish();
    send(&tpp, &request).await.ok();
    send(&tpp, &request).await.refused(400, "invalid_request");
    let another = tpp.request().with("jti", "once").with("binding_message", "5678").finish();
    send(&tpp, &another).await.refused(400, "invalid_request");
    assert_eq!(bank.phone.prompts().len(), 1);
}

#[tokio::test]
async fn ciba_7_1_1_13_a_jti_stays_spent_until_the_object_expires() {
    let bank = Bank::open().await;
    let tpp = bank.tpp();
    for lifetime in [300, 3600] {
        let before = bank.phone.prompts().len();
        let request = tpp.request().with("exp", bank.now() + lifetime).finish();
        send(&tpp, &request).await.ok();
        for (passes, at) in [(1, 1), (lifetime - 2, lifetime - 1), (1, lifetime)] {
            bank.clock.advance(passes);
            println!("{at} of {lifetime} s later");
            send(&tpp, &request).await.refused(400, "invalid_request");
        }
        assert_eq!(bank.phone.prompts().len(), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ciba_7_1_1_13_of_16_parallel_uses_one_counts() {
    let bank = Arc::new(Bank::open().await);
    let request = bank.tpp().request().finish();
    let (mut uses, together) = (JoinSet::new(), Arc::new(Barrier::new(16)));
    for _ in 0..16 {
        let (bank, request, together) = (bank.clone(), request.clone(), together.clone());
        uses.spawn(async move {
            let tpp = bank.tpp();
            send(&tpp, "").await.refused(400, "invalid_request");
            together.wait().await;
            send(&tpp, &request).await
        });
    }
    let (good, bad): (Vec<_>, Vec<_>) = uses.join_all().await.into_iter().partition(|heard| heard.status == 200);
    assert_eq!((good.len(), bad.len()), (1, 15));
    for heard in bad {
        heard.refused(400, "invalid_request");
    }
    assert_eq!(bank.phone.prompts().len(), 1);
}

#[tokio::test]
async fn ciba_7_1_1_13_the_same_jti_of_two_clients_is_two() {
    let bank = Bank::open().await;
    bank.tpp().backchannel(|r| r.with("jti", "one")).await.ok();
    bank.other_tpp().backchannel(|r| r.with("jti", "one")).await.ok();
}

#[tokio::test]
async fn ciba_7_1_1_13_what_is_refused_spends_no_jti() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let own = || trial.tpp.request().with("jti", "kept");
    let theirs = || bank.other_tpp().request_key;
    for (case, bad) in [
        ("bad signature", own().sign_with(forged::inverted)),
        ("another client's signature", own().header("alg", "ES256").signed_by(theirs())),
        ("foreign audience", own().with("aud", "https://www.other1.example.com/")),
        ("expired", own().with("exp", bank.now())),
        ("not yet valid", own().with("nbf", bank.now() + 31)),
    ] {
        trial.refuses_request(case, |_| bad.clone()).await;
    }
    bank.other_tpp()
        .backchannel(|_| own().header("alg", "ES256").signed_by(theirs()))
        .await
        .refused(400, "invalid_request");
    trial.accepts_request("good", |_| own()).await;
    trial.refuses_request("good, again", |_| own()).await;
}

#[tokio::test]
async fn ca_13_a_client_that_fails_to_authenticate_spends_no_request_object() {
    let bank = Bank::open().await;
    let trial = Trial::of(&bank);
    let request = trial.tpp.request();
    let unauthenticated = trial
        .tpp
        .backchannel_call(|call| call.request(|_| request.clone()).assertion(|a| a.sign_with(forged::inverted)))
        .await;
    unauthenticated.refused(401, "invalid_client");
    trial.accepts_request("the same, authenticated", |_| request.clone()).await;
}
