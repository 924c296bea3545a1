//! The binary as an operator meets it: what it prints, what it exits with, what it leaves behind.

mod deployment;
#[path = "../redis/server.rs"]
mod server;
mod serving;

mod balanced;
mod certs;
mod check;
mod check_clients;
mod check_delivery;
mod check_pairwise;
mod check_store;
mod check_wired;
mod keys;
mod keys_broken;
mod manual;
mod reload;
mod serve;
mod serve_store;
mod status;
mod store_admin;

use deployment::{countersign, err, out};

#[test]
fn help_and_version_are_there_for_each_command() {
    for command in [
        &["--help"][..],
        &["serve", "--help"],
        &["check", "--help"],
        &["status", "--help"],
        &["manual", "--help"],
        &["completions", "--help"],
        &["clients", "--help"],
        &["clients", "list", "--help"],
        &["clients", "show", "--help"],
        &["clients", "add", "--help"],
        &["clients", "disable", "--help"],
        &["clients", "enable", "--help"],
        &["clients", "remove", "--help"],
        &["clients", "import", "--help"],
        &["grants", "--help"],
        &["grants", "list", "--help"],
        &["grants", "revoke", "--help"],
        &["tokens", "--help"],
        &["tokens", "revoke", "--help"],
        &["keys", "--help"],
        &["keys", "list", "--help"],
        &["keys", "show", "--help"],
        &["keys", "generate", "--help"],
        &["keys", "import", "--help"],
        &["keys", "rotate", "--help"],
        &["keys", "promote", "--help"],
        &["keys", "retire", "--help"],
        &["keys", "revoke", "--help"],
        &["keys", "export-jwks", "--help"],
        &["certs", "--help"],
        &["certs", "dev", "--help"],
        &["help"],
    ] {
        let helped = countersign(command);
        assert_eq!(helped.status.code(), Some(0), "{command:?}");
        assert!(out(&helped).contains("Usage: countersign"), "{command:?}: {}", out(&helped));
        assert_eq!(err(&helped), "", "{command:?}");
    }
    let version = countersign(&["--version"]);
    assert_eq!(out(&version), concat!("countersign ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_command_line_that_is_wrong_exits_2() {
    for command in [
        &[][..],
        &["--surprise"],
        &["serve"],
        &["check"],
        &["certs"],
        &["dance"],
        &["check", "--config"],
        &["check", "--config", "a", "--surprise"],
        &["check", "--config", "a", "b"],
        &["serve", "--config", "a", "--config", "b"],
        &["certs", "dev", "--hots", "x"],
    ] {
        let refused = countersign(command);
        assert_eq!(refused.status.code(), Some(2), "{command:?}");
        assert_eq!(out(&refused), "", "{command:?}");
        assert!(err(&refused).contains("--help"), "{command:?}: {}", err(&refused));
    }
}
