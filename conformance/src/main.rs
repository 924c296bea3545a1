//! `conformance`: drives the OpenID conformance suite against this server, and is the sandbox bank that it needs. What it does is in one file a command.

mod bank;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Drives the OpenID conformance suite against countersign, with a sandbox bank beside it. docs/conformance.md is the manual.
///
/// Exit codes: 0 done; 1 it failed; 2 the command line is wrong.
#[derive(Debug, Parser)]
#[command(name = "conformance", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be the bank: users, a phone that approves when told, and an accounts API. Loopback only, never for production
    Bank(bank::Options),
    /// Be the server: the same program as `countersign`
    #[command(hide = true)]
    Countersign(countersign::cli::Cli),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Bank(options) => done("bank", within(bank::serve(options))),
        Command::Countersign(cli) => cli.run(),
    }
}

/// What can go wrong, in words.
type Fault = Box<dyn std::error::Error + Send + Sync>;

fn within<T>(work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

fn done(command: &str, outcome: Result<(), Fault>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("conformance {command}: {fault}");
            ExitCode::FAILURE
        }
    }
}
