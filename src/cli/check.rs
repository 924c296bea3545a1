//! `countersign check`: every fault of a configuration at once.

use std::path::Path;
use std::process::ExitCode;

use crate::cli::operator::{ended, say};
use crate::config::Config;
use crate::config::reader::Fault;

/// Prints `ok`, or every fault, one a line.
pub(super) fn run(path: &Path) -> ExitCode {
    match Config::load(path) {
        Ok(config) => {
            let issuer = &config.profile.issuer().issuer;
            let (path, rules) = (path.display(), config.profile.rules());
            let count = config.clients.len();
            ended("check", say(&format!("{path}: ok ({issuer}, profile {}, {count} registered)\n", rules.name)))
        }
        Err(faults) => refuse(path, &faults),
    }
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
