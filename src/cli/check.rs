//! `countersign check`: every fault of a configuration at once.

use std::path::Path;
use std::process::ExitCode;

use crate::cli::operator::{ended, say};
use crate::config::Config;
use crate::config::reader::Fault;
use crate::profile::BoundBy;
use crate::profile::client::Client;

/// Prints `ok`, or every fault, one a line.
pub(super) fn run(path: &Path) -> ExitCode {
    match Config::load(path) {
        Ok(config) => {
            let issuer = &config.profile.issuer().issuer;
            let (path, rules) = (path.display(), config.profile.rules());
            let clients = registered(&config.clients);
            ended("check", say(&format!("{path}: ok ({issuer}, profile {}, {clients})\n", rules.name)))
        }
        Err(faults) => refuse(path, &faults),
    }
}

/// How many there are, and what their tokens are bound to: whoever meant one thing and wrote the other sees it here.
fn registered(clients: &[Client]) -> String {
    let bound = |by| clients.iter().filter(|client| client.ciba().is_some_and(|ciba| ciba.bound_by == by)).count();
    let kinds = [
        (bound(BoundBy::Certificate), "bound by certificate"),
        (bound(BoundBy::Dpop), "bound by DPoP"),
        (clients.iter().filter(|client| client.may_introspect()).count(), "for introspection"),
    ];
    let told: Vec<String> =
        kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
    let colon = if told.is_empty() { "" } else { ": " };
    format!("{} registered{colon}{}", clients.len(), told.join(", "))
}

/// Prints `faults` to standard error. The exit code says that the configuration is wrong.
pub(super) fn refuse(path: &Path, faults: &[Fault]) -> ExitCode {
    for fault in faults {
        eprintln!("{fault}");
    }
    let gone = |fault: &&Fault| fault.says.contains("certs/dev") && fault.says.contains("there is no such file");
    if faults.iter().filter(gone).count() > 4 {
        eprintln!("The files in certs/dev are made by: countersign certs dev");
    }
    let s = if faults.len() == 1 { "" } else { "s" };
    eprintln!("{}: {} fault{s}", path.display(), faults.len());
    ExitCode::from(2)
}
