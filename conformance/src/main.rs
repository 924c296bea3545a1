//! `conformance`: drives the OpenID conformance suite against this server, and is the sandbox bank that it needs. What it does is in one file a command.

mod bank;
mod clients;
mod configs;
mod configuration;
mod deployment;
mod fault;
mod place;
mod plan;
mod run;
mod serve;
mod stop;
mod suite;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::fault::Fault;

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
    /// Have the suite test a server that is started for it, and say what it found
    Run(run::Options),
    /// Show a run that was kept as a page
    Report(run::report::Options),
    /// Start the server and the bank of one plan, say where they are, and stay up
    Serve(serve::Options),
    /// Write the suite's configuration of each plan, for a server that is deployed elsewhere
    Configs(configs::Options),
    /// Be the bank: users, a phone that approves when told, and an accounts API. Loopback only, never for production
    Bank(bank::Options),
    /// Be the server: the same program as `countersign`
    #[command(hide = true)]
    Countersign(countersign::cli::Cli),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Bank(options) => done("bank", within(bank::serve(options))),
        Command::Run(options) => match within(run::run(options)) {
            Ok(false) => ExitCode::FAILURE,
            ran => done("run", ran.map(drop)),
        },
        Command::Report(options) => done("report", run::report::render(&options)),
        Command::Serve(options) => done("serve", within(serve::serve(options))),
        Command::Configs(options) => done("configs", configs::write(&options)),
        Command::Countersign(cli) => cli.run(),
    }
}

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
