//! What is shown of a run: the page, and the XML for build servers.

use std::process::Command;

use serde_json::json;

use crate::fake::{Fake, How};
use crate::ran::{Place, read};
use crate::{MODULES, POLL};

#[tokio::test]
async fn the_page_can_be_made_again_of_what_was_kept() {
    let (fake, place) = (Fake::with(&[(MODULES[1], How::Fails)]).await, Place::new(&[(POLL, None)]));
    assert_eq!(place.run(&fake, (&[POLL], &[])).await.code, Some(1));
    let (page, folder) = (place.path("report/report.html"), place.path("report"));
    let first = read(&page);
    assert!(first.contains("not as expected") && first.contains("InvalidBindingMessage"), "{first}");
    assert!(first.contains(&format!("{}/log-detail.html?log=run-", fake.url)), "{first}");
    assert!(!first.contains("<script") && !first.contains("src="), "it needs nothing from elsewhere");
    std::fs::remove_file(&page).expect("it is there");
    let again = Command::new(env!("CARGO_BIN_EXE_conformance")).arg("report").arg(&folder).output().expect("it runs");
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(String::from_utf8(again.stdout).expect("UTF-8"), format!("{}\n", page.display()));
    assert_eq!(read(&page), first);
    let kept = read(&place.path("report/run.json")).replace("https://", "javascript:");
    std::fs::write(place.path("report/run.json"), kept).expect("written");
    let again = Command::new(env!("CARGO_BIN_EXE_conformance")).arg("report").arg(&folder).status().expect("it runs");
    assert!(again.success());
    assert!(!read(&page).contains("href=\"javascript"), "{}", read(&page));
}

#[test]
fn what_was_not_kept_cannot_be_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = || {
        let output = Command::new(env!("CARGO_BIN_EXE_conformance")).arg("report").arg(folder.path()).output();
        let output = output.expect("it runs");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (code, said) = report();
    assert!(code == Some(1) && said.contains("run.json"), "{said}");
    std::fs::write(folder.path().join("run.json"), "{}").expect("written");
    let (code, said) = report();
    assert!(code == Some(1) && said.contains("is no run"), "{said}");
}

#[tokio::test]
async fn what_a_log_says_is_shown_as_text_wherever_it_is_shown() {
    let line = json!([
        {"result": "FAILURE", "src": "Check<b>", "msg": "<script>alert(\"1\")</script> & 'quoted'\u{1}\u{1b}[31m", "requirements": ["A&B"]},
        {"result": "FAILURE"},
        {"msg": "nothing bad"},
        "no object",
    ]);
    let (fake, place) = (Fake::with(&[(MODULES[0], How::Says(line))]).await, Place::new(&[(POLL, None)]));
    let xml = place.path("junit.xml");
    let ran = place.run(&fake, (&[POLL], &["--junit", xml.to_str().expect("UTF-8")])).await;
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(!ran.table.contains('\u{1b}') && !ran.said.contains('\u{1b}'), "a terminal is not to be told what to do");
    let page = read(&place.path("report/report.html"));
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
    let xml = read(&xml);
    assert!(xml.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; 'quoted'"), "{xml}");
    assert!(xml.chars().all(|c| c == '\n' || !c.is_control()), "{xml}");
}

#[tokio::test]
async fn a_build_server_is_told_each_module() {
    let how = [(MODULES[0], How::Fails), (MODULES[2], How::Skips)];
    let (fake, place) = (Fake::with(&how).await, Place::new(&[(POLL, None)]));
    let expected = format!(
        "[[exception]]\nmodule = \"{}\"\nresult = \"skipped\"\nreason = \"it may\"\nowner = \"us\"\nexpires = \"2999-01-01\"\n",
        MODULES[2]
    );
    place.expect(POLL, &expected);
    let xml = place.path("junit.xml");
    assert_eq!(place.run(&fake, (&[POLL], &["--junit", xml.to_str().expect("UTF-8")])).await.code, Some(1));
    let xml = read(&xml);
    assert!(xml.contains(&format!("<testsuite name=\"{POLL}\" tests=\"4\" failures=\"1\" skipped=\"1\"")), "{xml}");
    assert_eq!(
        (xml.matches("<testcase ").count(), xml.matches("<failure ").count(), xml.matches("<skipped ").count()),
        (4, 1, 1)
    );
    assert!(
        xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites") && xml.ends_with("</testsuites>\n")
    );
}

#[tokio::test]
async fn a_log_that_is_huge_is_read_and_cut_down() {
    let lines: Vec<_> =
        (0..20_000).map(|at| json!({"result": "SUCCESS", "src": "Fine", "msg": "x".repeat(200), "time": at})).collect();
    let mut lines = lines;
    lines.push(json!({"result": "FAILURE", "src": "CheckLast", "msg": "y".repeat(100_000)}));
    let (fake, place) = (Fake::with(&[(MODULES[0], How::Says(lines.into()))]).await, Place::new(&[(POLL, None)]));
    let ran = place.run(&fake, (&[POLL], &[])).await;
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(ran.table.contains("CheckLast: yyy") && ran.table.len() < 5_000, "{}", ran.table.len());
}
