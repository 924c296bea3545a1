//! The commands, one file each.

pub mod certs;
pub mod check;
mod clients;
mod desk;
mod gauges;
mod grants;
mod keys;
mod manual;
mod operator;
mod reload;
pub mod serve;
mod shown;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A FAPI-CIBA authorization server: the till asks, the phone countersigns.
///
/// Exit codes: 0 done; 1 it failed; 2 the command line or the configuration is wrong.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until SIGTERM or SIGINT, then finish what was begun and exit
    Serve {
        /// The configuration
        #[arg(long, value_name = "FILE", default_value = "deploy/server.toml")]
        config: PathBuf,
    },
    /// Read a configuration and print every fault in it, with the key and what to do
    Check {
        /// The configuration
        #[arg(long, value_name = "FILE", default_value = "deploy/server.toml")]
        config: PathBuf,
    },
    /// The keys this server signs with: list, rotate, revoke
    Keys(keys::Options),
    /// Who is registered: list, add, take out of service
    Clients(clients::Options),
    /// What users were asked and said yes to, and the tokens of it: list, revoke
    Grants(grants::Options<grants::Grants>),
    /// Single tokens: revoke
    Tokens(grants::Options<grants::Tokens>),
    /// Say how the place is: keys, certificates, store. 1 if something wants looking after
    Status {
        /// The configuration
        #[arg(long, value_name = "FILE", default_value = "deploy/server.toml")]
        config: PathBuf,
        /// Say it in JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        login: desk::Login,
    },
    /// Write a manual page for every command
    Manual {
        /// Where to put them
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
    /// Print what a shell needs to complete commands
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Make certificates and keys
    Certs {
        #[command(subcommand)]
        command: certs::Command,
    },
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Serve { config } => serve::run(&config),
            Command::Check { config } => check::run(&config),
            Command::Keys(options) => keys::run(options),
            Command::Clients(options) => clients::run(options),
            Command::Grants(options) => grants::run(options),
            Command::Tokens(options) => grants::run_tokens(options),
            Command::Status { config, json, login } => status::run(&config, (&login, json)),
            Command::Manual { out } => manual::pages(&out),
            Command::Completions { shell } => manual::completions(shell),
            Command::Certs { command } => certs::run(command),
        }
    }
}
