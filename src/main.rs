//! The `countersign` binary. What it does is in `cli`.

use std::process::ExitCode;

use clap::Parser;
use countersign::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
