//! `countersign keys`: the keys this server signs with, from next to retired. It works on the keys folder; a server that runs notices.

mod act;
mod shown;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use crate::cli::operator::{How, ended};
use crate::jose::alg::Alg;

/// For every command.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The configuration of the server whose keys they are
    #[arg(long, value_name = "FILE", global = true, default_value = "deploy/server.toml")]
    config: PathBuf,
    /// Say it in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// What to do with the keys.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show every key: what it is, since when, and what becomes of it
    List,
    /// Show one key, with its public part and what was done to it
    Show {
        /// Its kid, or how that begins
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
    /// Make a key and publish it. It does not sign until it is promoted, or the next rotation takes it; the first one of an empty folder signs at once
    Generate {
        /// What it signs
        #[arg(long)]
        alg: Algorithm,
        #[command(flatten)]
        how: How,
    },
    /// Publish a key of your own, PKCS#8 in PEM: P-256, or RSA of 2048 to 4096 bits
    Import {
        /// The file; it stays where it is
        file: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// Have a new key sign: published now, it signs when every verifier can know it; the one before is published until nothing that it signed lives
    Rotate {
        /// What it signs; without it, everything that is signed here
        #[arg(long)]
        alg: Option<Algorithm>,
        /// Sign at once. Verifiers that know the published keys by heart cannot verify what it signs, for up to five minutes
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        how: How,
    },
    /// Have one key sign that is next
    Promote {
        /// Its kid, or how that begins
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Sign at once, as in rotate
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        how: How,
    },
    /// Have one key sign no more, or never. What it signed is good for as long as it would be
    Retire {
        /// Its kid, or how that begins
        #[arg(allow_hyphen_values = true)]
        kid: String,
        #[command(flatten)]
        how: How,
    },
    /// Emergency: give a key up at once. Nothing that it signed is believed any more; where no other key signs, a new one does at once
    Revoke {
        /// Its kid, or how that begins
        #[arg(allow_hyphen_values = true)]
        kid: String,
        #[command(flatten)]
        how: How,
    },
    /// Print the public keys as they are published now (RFC 7517)
    ExportJwks,
}

/// ES256 or PS256, however it is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Algorithm {
    /// P-256.
    #[value(name = "ES256", alias = "es256")]
    Es256,
    /// RSA.
    #[value(name = "PS256", alias = "ps256")]
    Ps256,
}

impl Algorithm {
    const fn alg(self) -> Alg {
        match self {
            Self::Es256 => Alg::Es256,
            Self::Ps256 => Alg::Ps256,
        }
    }
}

pub(super) fn run(options: Options) -> ExitCode {
    ended("keys", act::run(options))
}
