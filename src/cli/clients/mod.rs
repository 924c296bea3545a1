//! `countersign clients`: who is registered, in the configuration and in the store; and who is in service.

mod act;
mod shown;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::desk::Login;
use crate::cli::operator::{How, ended};

/// For every command.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The configuration of the server whose clients they are
    #[arg(long, value_name = "FILE", global = true, default_value = "deploy/server.toml")]
    config: PathBuf,
    /// Say it in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    login: Login,
    #[command(subcommand)]
    command: Command,
}

/// What to do with the clients. Those of the configuration are shown, and changed there; those of the store are changed here, and every server knows at once.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show every client: who it is, where it is registered, and whether it is in service
    List,
    /// Show one client, with its registration
    Show {
        #[arg(allow_hyphen_values = true)]
        client_id: String,
    },
    /// Register a client in the store, of its metadata as for the registration endpoint (RFC 7591 §2). Prints what that would answer, with a registration access token that nobody sees again
    Add {
        /// The metadata, JSON; - is standard input
        file: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// Take a client out of service, at every endpoint and at once. What it was given is held back until it is taken back
    Disable {
        #[arg(allow_hyphen_values = true)]
        client_id: String,
        #[command(flatten)]
        how: How,
    },
    /// Take a client back into service
    Enable {
        #[arg(allow_hyphen_values = true)]
        client_id: String,
        #[command(flatten)]
        how: How,
    },
    /// Forget a client of the store for good, with everything it was given
    Remove {
        #[arg(allow_hyphen_values = true)]
        client_id: String,
        #[command(flatten)]
        how: How,
    },
    /// Register the clients of another store in this one, under the ids and registration tokens they have: all of them or none
    Import {
        /// What `clients list --json` printed there; - is standard input
        file: PathBuf,
        #[command(flatten)]
        how: How,
    },
}

pub(super) fn run(options: Options) -> ExitCode {
    ended("clients", act::run(options))
}
