//! What people read: the help of every command, and the tables. Each is held against a file in `golden/`; run with `BLESS=1` to write those anew, and look at what has changed.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use countersign::cli::Cli;

use crate::deployment::{Deployment, countersign, err, out};
use crate::keys::Keys;
use crate::stored::Stored;

/// Holds `text` against the file of that name.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a test has no configuration file to be told in")]
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, text).expect("written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{} says otherwise; BLESS=1 writes it anew", path.display());
}

/// `text` with what differs from one run to the next replaced by something as long: ids and digests by their turn, times by one.
fn steady(text: &str) -> String {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut steady = String::new();
    let mut rest = text;
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(if end == 0 { first.len_utf8() } else { end });
        let turn = seen.len() + 1;
        if word.len() == 43 {
            let turn = *seen.entry(word.to_owned()).or_insert(turn);
            let id = format!("id-{turn}");
            steady.extend([id.as_str(), &"-".repeat(43 - id.len())]);
        } else if word.len() == 13 && word.starts_with("20") && word.as_bytes()[10] == b'T' {
            steady += "2030-01-02T03";
        } else if word.len() == 2 && steady.ends_with(':') && word.bytes().all(|byte| byte.is_ascii_digit()) {
            steady += "04";
        } else if word.len() == 3 && steady.ends_with(":04:") && word.ends_with('Z') {
            steady += "05Z";
        } else {
            steady += word;
        }
        rest = after;
    }
    steady
}

fn helped(command: &mut clap::Command, words: &[&str], text: &mut String) {
    let output = countersign(&[words, &["--help"]].concat());
    assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()), "{words:?}");
    text.extend(["$ countersign "]);
    for word in words {
        text.extend([word, " "]);
    }
    text.extend(["--help\n", &out(&output), "\n"]);
    let names: Vec<String> = command.get_subcommands().map(|inner| inner.get_name().to_owned()).collect();
    for name in names.iter().filter(|name| *name != "help") {
        let inner = command.find_subcommand_mut(name).expect("it was just named");
        helped(inner, &[words, &[name.as_str()]].concat(), text);
    }
}

#[test]
fn the_help_of_every_command_is_as_it_was() {
    let mut text = String::new();
    helped(&mut Cli::command(), &[], &mut text);
    golden("help.txt", &text);
}

#[test]
fn the_tables_of_keys_are_as_they_were() {
    let keys = Keys::new();
    let es256 = keys.one("ES256", "active");
    let mut text = String::new();
    let mut said = |arguments: &[&str], shown: &str| {
        text.extend(["$ countersign keys ", shown, "\n", &keys.done(arguments), "\n"]);
    };
    said(&["list"], "list");
    said(&["rotate", "--alg", "ES256", "--dry-run"], "rotate --alg ES256 --dry-run");
    said(&["rotate", "--alg", "ES256"], "rotate --alg ES256");
    said(&["rotate", "--alg", "ES256"], "rotate --alg ES256");
    said(&["list"], "list");
    said(&["generate", "--alg", "ES256"], "generate --alg ES256");
    said(&["rotate", "--alg", "ES256", "--now", "--yes"], "rotate --alg ES256 --now --yes");
    said(&["revoke", &es256, "--yes"], "revoke KID --yes");
    said(&["list"], "list");
    let shown = keys.done(&["show", &es256]);
    let table: Vec<&str> = shown.lines().take_while(|line| !line.starts_with('{')).collect();
    text.extend(["$ countersign keys show KID\n", &table.join("\n"), "\n"]);
    let by = std::process::Command::new("id").arg("-un").output().expect("id is there");
    let by = format!("by {}", String::from_utf8(by.stdout).expect("UTF-8").trim());
    golden("keys.txt", &steady(&text).replace(&by, "by USER"));
}

#[test]
fn the_tables_of_clients_and_grants_are_as_they_were() {
    let stored = Stored::new();
    let id = stored.add();
    stored.give("till-7", "alice-248289761001");
    let mut text = String::new();
    let mut said = |arguments: &[&str], shown: &str| {
        text.extend(["$ countersign ", shown, "\n", &stored.done(arguments), "\n"]);
    };
    said(&["clients", "list"], "clients list");
    said(&["clients", "disable", &id, "--dry-run"], "clients disable ID --dry-run");
    said(&["clients", "disable", &id, "--yes"], "clients disable ID --yes");
    said(&["clients", "list"], "clients list");
    said(&["clients", "remove", &id, "--yes"], "clients remove ID --yes");
    said(&["grants", "list"], "grants list");
    said(&["grants", "revoke", "--client", "till-7", "--yes"], "grants revoke --client till-7 --yes");
    said(&["grants", "list"], "grants list");
    golden("store.txt", &steady(&text));
}

#[test]
fn the_glance_at_a_place_is_as_it_was() {
    let deployment = Deployment::new();
    let config = deployment.config();
    let said = countersign(&["status", "--config", config.to_str().expect("UTF-8")]);
    assert_eq!(said.status.code(), Some(0), "{}", err(&said));
    // A certificate for a year has a day more in the second in which it was made.
    golden("status.txt", &steady(&out(&said)).replace(": 365 days left", ": 364 days left"));
}
