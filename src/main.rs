//! The `countersign` binary. What it does is in `cli`.

use std::process::ExitCode;

use clap::Parser;
use countersign::cli::Cli;
use mimalloc::MiMalloc;

/// bench/NOTES.md says what it gains over the system's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
