//! `countersign manual` and `countersign completions`: what the command line knows of itself, for a system and for a shell.

use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::cli::operator::{ended, say};

/// Writes a page for every command to `folder`.
pub(super) fn pages(folder: &Path) -> ExitCode {
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("countersign manual: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

/// Prints what a shell needs.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "countersign", &mut text);
    ended("completions", say(&String::from_utf8_lossy(&text)))
}
