//! That the bench works: every workload is run to its end, each call is answered as it has to be, and costs as many trips to the store as it should. No figure is judged.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench")).args(arguments).output().expect("it is built")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn quick_runs_every_workload_and_counts_its_trips() {
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench.svg");
    let ran = bench(&["--quick", "--json", "--plot", picture.to_str().expect("UTF-8")]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let rows: Vec<Value> = text(&ran.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let members = ["workload", "per_cpu_second", "bound", "share", "goal", "p50_ms", "p99_ms", "round_trips", "rss_mb"];
    for row in &rows {
        let names: Vec<&String> = row.as_object().expect("an object").keys().collect();
        assert_eq!(names.len(), members.len(), "{row}");
        assert!(members.iter().all(|member| row.get(member).is_some()), "{row}");
        assert!(row["share"].as_f64().is_some_and(|share| share > 0.0), "{row}");
    }
    let trips: BTreeMap<&str, Option<f64>> =
        rows.iter().map(|row| (row["workload"].as_str().expect("a name"), row["round_trips"].as_f64())).collect();
    for store in ["", "-redis"] {
        for kind in ["es256", "ps256", "mtls"] {
            assert_eq!(trips[format!("poll-{kind}{store}").as_str()], Some(1.0), "{trips:?}");
            assert_eq!(trips[format!("bc-authorize-{kind}{store}").as_str()], Some(1.0), "{trips:?}");
            assert_eq!(trips[format!("issue-{kind}{store}").as_str()], Some(2.0), "{trips:?}");
        }
        assert_eq!(trips[format!("issue-dpop{store}").as_str()], Some(2.0), "{trips:?}");
    }
    for (other, expected) in [
        ("poll-es256-telemetry", 1.0),
        ("bc-authorize-es256-telemetry", 1.0),
        ("issue-es256-telemetry", 2.0),
        ("bc-authorize-es256-bank", 1.0),
        ("handshake-mtls", 1.0),
    ] {
        assert_eq!(trips[other], Some(expected), "{other}: {trips:?}");
    }
    assert!(trips["tail-at-half"].is_some_and(|trips| trips > 1.0 && trips < 2.0), "{trips:?}");
    assert!(trips.contains_key("cold-start") && trips.contains_key("idle"), "{trips:?}");
    let picture = std::fs::read_to_string(picture).expect("it is drawn");
    assert_eq!(picture.matches("<rect x=").count(), rows.len());
}

#[test]
fn a_workload_that_there_is_not_is_refused_with_those_that_there_are() {
    let ran = bench(&["--only", "pol-es256"]);
    assert_eq!(ran.status.code(), Some(1));
    let says = text(&ran.stderr);
    assert!(says.contains("pol-es256") && says.contains("poll-es256") && says.contains("tail-at-half"), "{says}");
}

#[test]
fn what_is_left_out_is_not_measured_and_nothing_is_not_enough() {
    let ran = bench(&["--quick", "--json", "--only", "idle", "--only", "cold-start", "--without", "cold-start"]);
    let lines: Vec<&str> = text(&ran.stdout).lines().collect();
    assert!(lines.len() == 1 && lines[0].contains("\"workload\":\"idle\""), "{lines:?}");
    let ran = bench(&["--only", "idle", "--without", "idle"]);
    assert!(!ran.status.success() && text(&ran.stderr).contains("nothing is left to measure"));
}

#[test]
fn a_picture_stays_until_there_is_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let (there, new) = (folder.path().join("there.svg"), folder.path().join("new.svg"));
    std::fs::write(&there, "a picture").expect("written");
    for path in [&there, &new] {
        let ran = bench(&["--only", "nothing-of-the-kind", "--plot", path.to_str().expect("UTF-8")]);
        assert_eq!(ran.status.code(), Some(1));
    }
    assert_eq!(std::fs::read_to_string(&there).expect("it is there"), "a picture");
    assert!(!new.exists());
}
