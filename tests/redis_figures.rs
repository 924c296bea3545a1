//! The example that measures what Redis costs, run in a tiny size: every call is answered rightly, every figure is there, and a pending request fits.

use std::path::PathBuf;
use std::process::{Command, Output};

#[test]
fn the_figures_are_all_there_and_a_pending_request_takes_at_most_1300_bytes() {
    for fsync in ["always", "everysec"] {
        let measured =
            measure(&["--pending", "50", "--rate", "20", "--seconds", "1", "--largest", "200", "--fsync", fsync]);
        let (table, said) = (text(&measured.stdout), text(&measured.stderr));
        assert_eq!(measured.status.code(), Some(0), "{said}\n{table}");
        assert!(table.starts_with("Redis ") && table.contains(&format!("appendfsync {fsync};")), "{table}");
        for (row, times) in [
            ("pending poll", 3 + 1),
            ("bc-authorize", 3 + 1),
            ("decision", 1),
            ("redemption", 1),
            ("spent id  ", 1),
            ("access token", 1),
            ("refresh token", 1),
            ("pending request, ping, without", 1),
            ("pending request, poll, without", 1),
        ] {
            let rows: Vec<&str> = table.lines().filter(|line| line.contains(row)).collect();
            assert_eq!(rows.len(), times, "{row}:\n{table}");
            for line in rows {
                let figure = line.split_whitespace().last().and_then(|last| last.trim_start_matches('×').parse().ok());
                assert!(figure.is_some_and(|figure: f64| figure > 0.0), "{line}");
            }
        }
        for (kind, calls) in [("pending poll", "16"), ("bc-authorize", "2"), ("decision", "1"), ("redemption", "1")] {
            let row = table.lines().rfind(|line| line.trim_start().starts_with(kind)).expect("it was counted above");
            assert_eq!(row.trim_start().trim_start_matches(kind).split_whitespace().next(), Some(calls), "{table}");
        }
        assert_eq!(table.matches("within 1300").count(), 2, "{table}");
        assert!(table.contains("\n  errors 0; "), "{table}");
        assert!(said.lines().all(|line| line.starts_with("… ")), "nothing but progress is said beside it:\n{said}");
    }
}

#[test]
fn more_decisions_than_there_are_requests_are_refused() {
    let measured = measure(&["--pending", "10", "--rate", "300", "--seconds", "1", "--largest", "2"]);
    assert_eq!(measured.status.code(), Some(1), "{}", text(&measured.stdout));
    assert!(
        text(&measured.stderr).contains("redis-figures: --pending has to be more than 30"),
        "{}",
        text(&measured.stderr)
    );
}

fn measure(arguments: &[&str]) -> Output {
    Command::new(example()).args(arguments).output().expect("the example starts")
}

/// `cargo test` builds the examples; `cargo test --test redis_figures` alone does not.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("tests are built into target/<profile>/deps");
    let example = profile.join("examples").join("redis-figures");
    assert!(example.exists(), "{} is missing: run `cargo build --example redis-figures` first", example.display());
    example
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
