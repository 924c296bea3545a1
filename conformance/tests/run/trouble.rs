//! A suite that is not there, not well, or does not want us: it is said plainly, with what to do, and nothing hangs.

use std::process::Command;
use std::time::Duration;

use crate::fake::{Fake, How, Mood};
use crate::ran::{Place, Ran};
use crate::{MODULES, POLL};

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_conformance")).arg("run").args(arguments).output().expect("it runs");
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn a_suite_that_is_not_there_is_told_with_what_to_do() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let (code, said) = run(&["--suite", &format!("https://localhost:{port}"), "--plan", POLL]);
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot be reached") && said.contains("docs/conformance.md"), "{said}");
    let (code, said) = run(&["--suite", "https://nobody.invalid", "--plan", POLL]);
    assert_eq!(code, Some(1));
    assert!(said.contains("nobody.invalid is not known"), "{said}");
}

#[test]
fn an_address_that_is_none_and_a_plan_that_is_none_are_refused() {
    for address in ["http://localhost:8443", "localhost:8443", ""] {
        let (code, said) = run(&["--suite", address, "--plan", POLL]);
        assert_eq!(code, Some(1));
        assert!(said.contains("has to be an https address"), "{said}");
    }
    assert_eq!(run(&["--plan", "plain-push-pkj-static"]).0, Some(2));
    assert_eq!(run(&["--parallel", "0"]).0, Some(2));
}

#[tokio::test]
async fn an_authority_that_is_named_has_to_vouch_for_the_suite() {
    let (fake, place) = (Fake::with(&[]).await, Place::new(&[(POLL, None)]));
    let (own, other) = (fake.ca(), Fake::with(&[]).await.ca());
    let named = async |ca: &str| {
        std::fs::write(place.path("ca.pem"), ca).expect("written");
        let path = place.path("ca.pem");
        place.run(&fake, (&[POLL], &["--suite-ca", path.to_str().expect("UTF-8")])).await
    };
    assert_eq!(named(&own).await.code, Some(0));
    let ran = named(&other).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.said.contains("cannot be reached") && ran.said.contains("certificate"), "{}", ran.said);
    let ran = named("nothing").await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.said.contains("there is no certificate in it"), "{}", ran.said);
}

#[tokio::test]
async fn what_answers_but_is_no_suite_is_told() {
    for text in ["<html>", "{\"hello\": 1}", "", "[]"] {
        let (fake, place) = (Fake::of(Mood::Garbles(text), &[]).await, Place::new(&[(POLL, None)]));
        let ran = place.run(&fake, (&[POLL], &[])).await;
        assert_eq!(ran.code, Some(1), "{text}");
        assert!(
            ran.said.contains("is not JSON") || ran.said.contains("not as a conformance suite does"),
            "{}",
            ran.said
        );
        assert!(ran.table.is_empty());
    }
}

#[tokio::test]
async fn a_plan_that_the_suite_does_not_want_is_told_in_its_words() {
    for (answer, says) in [
        ("plan-unknown", "No plan with name: no-such-plan"),
        ("plan-bad-body", "alias can only contain alphanumeric characters"),
        ("plan-bad-variant", "CIBA Mode must be ping"),
    ] {
        let (fake, place) = (Fake::of(Mood::Answers(answer), &[]).await, Place::new(&[(POLL, None)]));
        let ran = place.run(&fake, (&[POLL], &[])).await;
        assert_eq!(ran.code, Some(1));
        assert!(ran.said.contains(&format!("{POLL} was not made")) && ran.said.contains(says), "{}", ran.said);
    }
}

#[tokio::test]
async fn a_suite_that_wants_a_token_is_given_it_or_told_of() {
    let (fake, place) = (Fake::of(Mood::WantsToken, &[]).await, Place::new(&[(POLL, None)]));
    let ran = place.run(&fake, (&[POLL], &[])).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.said.contains("--suite-token FILE"), "{}", ran.said);
    let token = place.path("token");
    std::fs::write(&token, "of tests\n").expect("written");
    let ran = place.run(&fake, (&[POLL], &["--suite-token", token.to_str().expect("UTF-8")])).await;
    assert_eq!(ran.code, Some(0), "{}", ran.said);
}

#[tokio::test]
async fn a_module_that_the_suite_loses_is_failed_and_the_rest_is_run() {
    let (fake, place) = (Fake::with(&[(MODULES[0], How::Garbles)]).await, Place::new(&[(POLL, None)]));
    let ran = place.run(&fake, (&[POLL], &[])).await;
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.row(POLL), [3, 0, 0, 0, 1]);
    assert!(ran.table.contains("lost") && ran.table.contains("is not JSON"), "{}", ran.table);
    assert_eq!(fake.seen().cancelled, [MODULES[0]], "it may run there still");
}

#[tokio::test]
async fn a_module_of_which_the_suite_knows_no_result_or_no_log_is_not_passed() {
    for what in ["info", "log"] {
        let (fake, place) = (Fake::with(&[(MODULES[0], How::Forgotten(what))]).await, Place::new(&[(POLL, None)]));
        let ran = place.run(&fake, (&[POLL], &[])).await;
        assert_eq!(ran.code, Some(1), "{what}");
        assert_eq!(ran.row(POLL), [3, 0, 0, 0, 1]);
        let says = format!("the suite answers 404 Not Found to {what}/run-");
        assert!(ran.table.contains("lost") && ran.table.contains(&says), "{}", ran.table);
    }
}

#[tokio::test]
async fn a_suite_that_goes_away_is_told_and_what_there_was_is_kept() {
    let (fake, place) = (Fake::with(&[(MODULES[1], How::Never)]).await, Place::new(&[(POLL, None)]));
    let child = place.start(&fake, (&[POLL], &["--parallel", "4"]));
    let mut looks = 0;
    while !place.path("report/run.json").exists() || place.kept().to_string().matches("\"passed\"").count() < 3 {
        looks += 1;
        assert!(looks < 600, "the others do not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(fake);
    let ran = Ran::of(child.wait_with_output().await.expect("it ends"));
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert_eq!(ran.row(POLL), [3, 0, 0, 0, 1]);
    assert!(ran.table.contains("lost") && ran.table.contains("cannot be reached"), "{}", ran.table);
}

#[tokio::test]
async fn a_plan_of_nothing_is_not_a_plan_that_passed() {
    let (fake, place) =
        (Fake::of(Mood::Makes("{\"id\": \"p\", \"modules\": []}"), &[]).await, Place::new(&[(POLL, None)]));
    let ran = place.run(&fake, (&[POLL], &[])).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.said.contains(&format!("the suite has no modules for {POLL}")), "{}", ran.said);
    assert!(ran.table.is_empty());
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_or_gives_orders_to_a_terminal_is_refused() {
    for made in [
        "{\"id\": \"p\", \"modules\": [{\"testModule\": \"a\\u001b[2J\"}]}",
        "{\"id\": \"p\", \"modules\": [{\"testModule\": \"a\\u202eb\"}]}",
        "{\"id\": \"../p\", \"modules\": [{\"testModule\": \"a\"}]}",
        "{\"id\": \"\", \"modules\": [{\"testModule\": \"a\"}]}",
    ] {
        let (fake, place) = (Fake::of(Mood::Makes(made), &[]).await, Place::new(&[(POLL, None)]));
        let ran = place.run(&fake, (&[POLL], &[])).await;
        assert_eq!(ran.code, Some(1), "{made}");
        assert!(ran.said.contains("has more than letters, digits, - and _"), "{}", ran.said);
        assert!(!ran.said.contains(['\u{1b}', '\u{202e}']), "{:?}", ran.said);
    }
}

#[tokio::test]
async fn told_to_stop_while_it_waits_for_the_suite_it_stops() {
    let (fake, place) = (Fake::of(Mood::Silent, &[]).await, Place::new(&[(POLL, None)]));
    let child = place.start(&fake, (&[POLL], &[]));
    let id = child.id().expect("it runs").to_string();
    // Until it listens to signals, one ends it just as well.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill is there").success());
    let ran = Ran::of(child.wait_with_output().await.expect("it ends"));
    assert!(ran.code == Some(1) && ran.said.contains("told to stop"), "{:?} {}", ran.code, ran.said);
}

#[tokio::test]
async fn what_cannot_be_kept_is_told_before_anything_is_run() {
    let (fake, place) = (Fake::with(&[]).await, Place::new(&[(POLL, None)]));
    std::fs::write(place.path("file"), "").expect("written");
    let below = place.path("file/below");
    for option in ["--junit", "--report"] {
        let report = if option == "--report" { &below } else { &place.path("report") };
        let junit = if option == "--junit" { &below } else { &place.path("junit.xml") };
        let more = ["--report", report.to_str().expect("UTF-8"), "--junit", junit.to_str().expect("UTF-8")];
        let ran = place.run_without_report(&fake, (&[POLL], &more)).await;
        assert_eq!(ran.code, Some(1));
        assert!(ran.said.contains(&format!("{option} {}", below.display())), "{}", ran.said);
    }
    assert_eq!(fake.seen().most, 0);
}

#[tokio::test]
async fn a_configuration_that_is_not_there_or_not_json_is_told() {
    let (fake, place) = (Fake::with(&[]).await, Place::new(&[]));
    let ran = place.run(&fake, (&[POLL], &[])).await;
    assert!(ran.code == Some(1) && ran.said.contains(&format!("{POLL}.json")), "{}", ran.said);
    std::fs::write(place.path(&format!("configs/{POLL}.json")), "{").expect("written");
    let ran = place.run(&fake, (&[POLL], &[])).await;
    assert!(ran.code == Some(1) && ran.said.contains(&format!("{POLL}.json")), "{}", ran.said);
}
