//! `conformance run` against a fake of the suite that answers as the real one was heard to: what is run, how, and what is said of it.

mod exceptions;
mod fake;
mod own;
mod ran;
mod shown;
mod trouble;

use std::time::Duration;

use crate::fake::{Fake, How};
use crate::ran::Place;

pub(crate) const POLL: &str = "plain-poll-pkj-static";
pub(crate) const PING: &str = "plain-ping-pkj-static";
/// The modules of the recorded plan.
pub(crate) const MODULES: [&str; 4] = [
    "fapi-ciba-id1-discovery-end-point-verification",
    "fapi-ciba-id1",
    "fapi-ciba-id1-user-rejects-authentication",
    "fapi-ciba-id1-multiple-call-to-token-endpoint",
];

#[tokio::test]
async fn when_everything_passes_it_says_so_and_exits_with_0() {
    let (fake, place) = (Fake::with(&[]).await, Place::new(&[(POLL, None), (PING, Some("ours"))]));
    let ran = place.run(&fake, (&[POLL, PING], &[])).await;
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.table, ran.said);
    assert_eq!(ran.row(POLL), [4, 0, 0, 0, 0]);
    assert_eq!(ran.row(PING), [4, 0, 0, 0, 0]);
    assert!(
        ran.table.contains("8 of 8 modules passed") && ran.table.contains("Suite 5.2.4 (12f2a4d)"),
        "{}",
        ran.table
    );
    for module in MODULES {
        assert_eq!(ran.said.matches(&format!("  {module}\n")).count(), 2, "a line for each module:\n{}", ran.said);
    }
    assert!(ran.said.contains("8/8 ") && ran.said.contains(&format!("{POLL} 4/4")), "{}", ran.said);
    assert!(place.kept()["ended"].is_i64());
}

#[tokio::test]
async fn what_failed_is_told_with_its_condition_requirement_words_and_link() {
    let (fake, place) = (Fake::with(&[(MODULES[1], How::Fails)]).await, Place::new(&[(POLL, None)]));
    let ran = place.run(&fake, (&[POLL], &[])).await;
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert_eq!(ran.row(POLL), [3, 0, 0, 0, 1]);
    for part in [
        format!("{POLL} {}: failed", MODULES[1]),
        "CheckErrorFromBackchannelAuthenticationEndpointErrorInvalidBindingMessage [CIBA-13]: 'error' field has unexpected value".to_owned(),
        format!("{}/log-detail.html?log=run-", fake.url),
    ] {
        assert!(ran.table.contains(&part), "{part}:\n{}", ran.table);
    }
}

#[tokio::test]
async fn what_broke_off_and_what_was_skipped_count_as_what_they_are() {
    let how = [(MODULES[0], How::Interrupts), (MODULES[2], How::Skips)];
    let (fake, place) = (Fake::with(&how).await, Place::new(&[(POLL, None)]));
    let ran = place.run(&fake, (&[POLL], &[])).await;
    assert_eq!(ran.code, Some(1), "nobody explains either");
    assert_eq!(ran.row(POLL), [2, 0, 0, 1, 1]);
    assert!(
        ran.table.contains("interrupted\n") && ran.table.contains("GetDynamicServerConfiguration"),
        "{}",
        ran.table
    );
    assert!(ran.table.contains("skipped\n") && ran.table.contains("[OIDCD-3]"), "{}", ran.table);
}

#[tokio::test]
async fn modules_run_side_by_side() {
    let how = MODULES.map(|module| (module, How::Together(4)));
    let (fake, place) = (Fake::with(&how).await, Place::new(&[(POLL, None)]));
    let ran = place.run(&fake, (&[POLL], &["--limit", "30", "--parallel", "4"])).await;
    assert_eq!(ran.code, Some(0), "{}", ran.said);
}

#[tokio::test]
async fn no_more_run_at_once_than_was_said() {
    let (fake, place) = (Fake::with(&[]).await, Place::new(&[(POLL, None)]));
    assert_eq!(place.run(&fake, (&[POLL], &["--parallel", "1"])).await.code, Some(0));
    assert_eq!(fake.seen().most, 1);
}

#[tokio::test]
async fn modules_under_one_alias_run_one_at_a_time_while_others_go_on() {
    let (fake, place) = (Fake::with(&[]).await, Place::new(&[(POLL, None), (PING, Some("ours"))]));
    let ran = place.run(&fake, (&[POLL, PING], &["--parallel", "8"])).await;
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let seen = fake.seen();
    assert!(!seen.collided, "two ran under one alias");
    assert!(seen.most > 1, "the other plan waited");
}

#[tokio::test]
async fn an_alias_that_is_taken_is_waited_for() {
    let (fake, place) = (Fake::with(&[(MODULES[0], How::AliasTaken(1))]).await, Place::new(&[(PING, Some("ours"))]));
    let ran = place.run(&fake, (&[PING], &[])).await;
    assert_eq!(ran.code, Some(0), "{}", ran.said);
}

#[tokio::test]
async fn an_alias_that_stays_taken_is_told_and_the_rest_is_run() {
    let how = [(MODULES[0], How::AliasTaken(usize::MAX))];
    let (fake, place) = (Fake::with(&how).await, Place::new(&[(PING, Some("ours"))]));
    let ran = place.run(&fake, (&[PING], &["--limit", "2"])).await;
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert_eq!(ran.row(PING), [3, 0, 0, 0, 1]);
    assert!(ran.table.contains("something else runs under its alias"), "{}", ran.table);
}

#[tokio::test]
async fn a_module_that_does_not_end_is_stopped_at_the_suite_and_the_rest_is_run() {
    for how in [How::Never, How::Hangs] {
        let (fake, place) = (Fake::with(&[(MODULES[3], how)]).await, Place::new(&[(POLL, None)]));
        let ran = place.run(&fake, (&[POLL], &["--limit", "2"])).await;
        assert_eq!(ran.code, Some(1), "{}", ran.said);
        assert_eq!(ran.row(POLL), [3, 0, 0, 0, 1]);
        assert!(ran.table.contains("timed out") && ran.table.contains("--limit allows more"), "{}", ran.table);
        assert_eq!(fake.seen().cancelled, [MODULES[3]]);
    }
}

#[tokio::test]
async fn a_part_of_a_plan_can_be_run() {
    let (fake, place) = (Fake::with(&[(MODULES[0], How::Fails)]).await, Place::new(&[(POLL, None)]));
    let ran = place.run(&fake, (&[POLL], &["--module", MODULES[1], MODULES[2]])).await;
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_eq!(ran.row(POLL), [2, 0, 0, 0, 0]);
    let ran = place.run(&fake, (&[POLL], &["--module", "fapi-ciba-id1-nonsense"])).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.said.contains("--module fapi-ciba-id1-nonsense: none of these plans has it"), "{}", ran.said);
    assert!(MODULES.iter().all(|module| ran.said.contains(module)), "it says which there are: {}", ran.said);
    place.expect(POLL, "[[exception]]\nmodule = \"other\"\nresult = \"skiped\"\nreason = \"r\"\nowner = \"o\"\nexpires = \"2999-12-31\"\n");
    let ran = place.run(&fake, (&[POLL], &["--module", MODULES[1]])).await;
    assert_eq!(ran.code, Some(1), "an exception has to make sense, whatever is run");
    assert!(ran.table.contains("result has to be"), "{}", ran.table);
}

#[tokio::test]
async fn told_to_stop_it_stops_what_runs_and_keeps_what_there_is() {
    let how = MODULES.map(|module| (module, if module == MODULES[1] { How::Never } else { How::Passes }));
    let (fake, place) = (Fake::with(&how).await, Place::new(&[(POLL, None)]));
    let child = place.start(&fake, (&[POLL], &["--parallel", "4"]));
    let passed = |kept: &serde_json::Value| kept.to_string().matches("\"outcome\":\"passed\"").count();
    let mut looks = 0;
    while !place.path("report/run.json").exists() || passed(&place.kept()) < 3 {
        looks += 1;
        assert!(looks < 600, "the others do not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let id = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().expect("kill is there").success());
    let ran = ran::Ran::of(child.wait_with_output().await.expect("it ends"));
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(
        ran.said.contains("told to stop") && ran.table.contains("3 of 4 modules passed, broken off, 0 not run"),
        "{}",
        ran.table
    );
    assert_eq!(fake.seen().cancelled, [MODULES[1]]);
    assert!(!ran.said.contains("configurations and logs of the servers"), "it has no servers: {}", ran.said);
    let kept = place.kept();
    assert!(kept["ended"].is_null());
    let stopped = &kept["plans"][0]["modules"][1];
    assert_eq!(stopped["outcome"], "interrupted");
    assert!(stopped["link"].as_str().is_some_and(|link| link.contains("log-detail.html?log=run-")), "{stopped}");
}
