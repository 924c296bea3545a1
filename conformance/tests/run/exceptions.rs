//! What need not pass, as `expected/` has it: an exception explains, and has to be explained itself.

use crate::fake::{Fake, How};
use crate::ran::{Place, Ran};
use crate::{MODULES, POLL};

const CONDITION: &str = "FAPIEnsureServerConfigurationDoesNotSupportRefreshToken";

fn exception(change: impl FnOnce(&str) -> String) -> String {
    change(&format!(
        "[[exception]]\nmodule = \"{}\"\nresult = \"skipped\"\nreason = \"no refresh tokens are given out\"\nowner = \"security\"\nexpires = \"2999-12-31\"\n",
        MODULES[2]
    ))
}

async fn with(exceptions: &str) -> Ran {
    let (fake, place) = (Fake::with(&[(MODULES[2], How::Skips)]).await, Place::new(&[(POLL, None)]));
    place.expect(POLL, exceptions);
    place.run(&fake, (&[POLL], &[])).await
}

#[tokio::test]
async fn an_exception_explains_and_is_told() {
    let ran = with(&exception(str::to_owned)).await;
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.table, ran.said);
    assert!(
        ran.table.contains("expected: no refresh tokens are given out (security, until 2999-12-31)"),
        "{}",
        ran.table
    );
    let ran = with(&exception(|it| format!("{it}condition = \"{CONDITION}\"\n"))).await;
    assert_eq!(ran.code, Some(0), "{}", ran.table);
}

#[tokio::test]
async fn an_exception_that_does_not_hold_fails_the_run_and_says_why() {
    let change = |from: &'static str, to: &'static str| exception(|it| it.replacen(from, to, 1));
    for (exceptions, says) in [
        (String::new(), "skipped"),
        (change("2999-12-31", "2026-01-31"), "has run out on 2026-01-31"),
        (change("2999-12-31", "soon"), "expires has to be a day"),
        (change("2999-12-31", "2999-13-31"), "expires has to be a day"),
        (change("no refresh tokens are given out", " "), "has no reason"),
        (change("security", ""), "has no owner"),
        (change("skipped", "ignored"), "result has to be warning, review, skipped or failed"),
        (change("skipped", "passed"), "result has to be warning, review, skipped or failed"),
        (change("skipped", "failed"), "is for failed, and the module ended as skipped"),
        (change("-user-rejects-authentication", "-nonsense"), "the plan has no such module"),
        (exception(|it| format!("{it}condition = \"Another\"\n")), "is for Another, and FAPIEnsure"),
        (exception(|it| format!("{it}\n{it}")), "there is an exception for it already"),
        (change("reason", "condition = \"\"\nreason"), "is for , and FAPIEnsure"),
    ] {
        let ran = with(&exceptions).await;
        assert_eq!(ran.code, Some(1), "{exceptions}");
        assert!(ran.table.contains(says), "{says}:\n{}", ran.table);
    }
}

#[tokio::test]
async fn an_exception_that_is_not_needed_fails_the_run() {
    let (fake, place) = (Fake::with(&[]).await, Place::new(&[(POLL, None)]));
    place.expect(POLL, &exception(str::to_owned));
    let ran = place.run(&fake, (&[POLL], &[])).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.table.contains("the exception is not needed any more"), "{}", ran.table);
    let part = place.run(&fake, (&[POLL], &["--module", MODULES[0]])).await;
    assert_eq!(part.code, Some(0), "its module was not run: {}", part.table);
}

#[tokio::test]
async fn a_condition_that_found_nothing_excuses_nothing() {
    let (fake, place) = (Fake::with(&[(MODULES[2], How::Ends("SKIPPED"))]).await, Place::new(&[(POLL, None)]));
    place.expect(POLL, &exception(|it| format!("{it}condition = \"{CONDITION}\"\n")));
    let ran = place.run(&fake, (&[POLL], &[])).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.table.contains(&format!("is for {CONDITION}, which found nothing")), "{}", ran.table);
}

#[tokio::test]
async fn a_warning_and_a_review_want_an_exception_of_their_own_kind() {
    for (result, word, row) in [("WARNING", "warning", [3, 1, 0, 0, 0]), ("REVIEW", "review", [3, 0, 1, 0, 0])] {
        let (fake, place) = (Fake::with(&[(MODULES[2], How::Ends(result))]).await, Place::new(&[(POLL, None)]));
        let ran = place.run(&fake, (&[POLL], &[])).await;
        assert_eq!(ran.code, Some(1));
        assert_eq!(ran.row(POLL), row);
        place.expect(POLL, &exception(|it| it.replacen("skipped", word, 1)));
        assert_eq!(place.run(&fake, (&[POLL], &[])).await.code, Some(0));
        place.expect(POLL, &exception(str::to_owned));
        assert_eq!(place.run(&fake, (&[POLL], &[])).await.code, Some(1), "it is for skipped");
    }
}

#[tokio::test]
async fn a_failure_that_is_explained_may_have_broken_off() {
    let (fake, place) = (Fake::with(&[(MODULES[2], How::Interrupts)]).await, Place::new(&[(POLL, None)]));
    place.expect(POLL, &exception(|it| it.replacen("skipped", "failed", 1)));
    let ran = place.run(&fake, (&[POLL], &[])).await;
    assert_eq!(ran.code, Some(0), "{}", ran.table);
}

#[tokio::test]
async fn exceptions_that_cannot_be_read_are_told() {
    let (fake, place) = (Fake::with(&[]).await, Place::new(&[(POLL, None)]));
    for (text, says) in [("[[exception]]\nmodul = 1\n", "unknown field `modul`"), ("nonsense", POLL)] {
        place.expect(POLL, text);
        let ran = place.run(&fake, (&[POLL], &[])).await;
        assert_eq!(ran.code, Some(1));
        assert!(ran.said.contains(says), "{}", ran.said);
    }
    std::fs::remove_file(place.path(&format!("expected/{POLL}.toml"))).expect("it was written");
    place.expect("plain-pol-pkj-static", &exception(str::to_owned));
    let ran = place.run(&fake, (&[POLL], &[])).await;
    assert!(
        ran.code == Some(1) && ran.said.contains("plain-pol-pkj-static.toml: it is named after no plan"),
        "{}",
        ran.said
    );
    std::fs::remove_file(place.path("expected/plain-pol-pkj-static.toml")).expect("it was written");
    std::fs::remove_dir(place.path("expected")).expect("it is empty");
    let ran = place.run(&fake, (&[POLL], &[])).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.said.contains("--expected says where"), "{}", ran.said);
    assert_eq!(fake.seen().most, 0, "it is known before anything is run");
}
