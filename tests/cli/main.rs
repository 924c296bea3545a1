//! The binary as an operator meets it: what it prints, what it exits with, what it leaves behind.

mod balancer;
mod deployment;
#[path = "../redis/server.rs"]
mod server;
mod serving;
mod stored;

mod balanced;
mod certs;
mod check;
mod check_clients;
mod check_delivery;
mod check_pairwise;
mod check_store;
mod check_wired;
mod golden;
mod image;
mod keys;
mod keys_broken;
mod keys_first;
mod kubernetes;
mod manual;
mod observability;
mod pod;
mod recorded;
mod reload;
mod serve;
mod serve_store;
mod status;
mod store_admin;
mod telemetry;
mod unit;
mod yaml;

use deployment::{countersign, err, out};

#[test]
fn the_version_is_said() {
    let version = countersign(&["--version"]);
    assert_eq!(out(&version), concat!("countersign ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_command_line_that_is_wrong_exits_2() {
    for command in [
        &[][..],
        &["--surprise"],
        &["certs"],
        &["dance"],
        &["check", "--config"],
        &["serve", "--config"],
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
