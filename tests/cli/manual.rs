//! `countersign manual` and `countersign completions`.

use std::fs;

use crate::deployment::{countersign, err, out};

#[test]
fn every_command_has_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().join("man");
    let made = countersign(&["manual", "--out", at.to_str().expect("UTF-8")]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    for name in
        ["countersign", "countersign-serve", "countersign-keys", "countersign-keys-rotate", "countersign-status"]
    {
        let page = fs::read_to_string(at.join(format!("{name}.1"))).unwrap_or_else(|_| panic!("no page for {name}"));
        assert!(page.contains(".TH ") && page.contains("SYNOPSIS"), "{page}");
    }
    let page = fs::read_to_string(at.join("countersign.1")).expect("there");
    assert!(
        page.contains("Exit codes: 0 done; 1 it failed; 2 the command line or the configuration is wrong"),
        "{page}"
    );
    let nowhere = folder.path().join("file");
    fs::write(&nowhere, "").expect("written");
    let refused = countersign(&["manual", "--out", nowhere.join("below").to_str().expect("UTF-8")]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("below"), "{}", err(&refused));
}

#[test]
fn shells_are_told_of_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let printed = countersign(&["completions", shell]);
        assert_eq!(printed.status.code(), Some(0), "{}", err(&printed));
        for word in ["serve", "keys", "rotate", "export-jwks"] {
            assert!(out(&printed).contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(countersign(&["completions", "cmd.exe"]).status.code(), Some(2));
}
