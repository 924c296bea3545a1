//! `cargo run --release --example redis-figures`: what Redis costs. How many bytes a pending request takes, whether a call gets dearer as requests pile
//! up, and how long calls take under load.
//!
//! It starts a Redis, a server and a bank of its own on loopback and ends them. Nothing in it fails for being slow; it exits with 1 where a call was answered
//! wrongly. docs/redis.md has the figures of one run.

mod bank;
mod bytes;
mod growth;
mod load;
mod servers;
mod till;

use std::error::Error;
use std::ffi::OsStr;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use countersign::cli::Cli;

use crate::servers::Stage;

type Told<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Measures a countersign server on Redis: bytes a record, costs of calls as requests pile up, latencies under load.
#[derive(Debug, Parser)]
#[command(name = "redis-figures")]
struct Options {
    /// How many pending requests are made, to weigh them and to be there under load
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(10..))]
    pending: u32,
    /// Calls a second under load
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How long the load lasts, at most eight minutes: what is signed is good for ten
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=480))]
    seconds: u32,
    /// How many pending requests there are at most while the costs of calls are compared
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(2..))]
    largest: u32,
    /// When Redis has its append-only file written to the disk
    #[arg(long, value_enum, default_value_t = Fsync::Always)]
    fsync: Fsync,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fsync {
    Always,
    Everysec,
}

fn main() -> ExitCode {
    // The server is this program too, in a process of its own, so that what it costs can be told from what asking costs.
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new("serve")) {
        return Cli::parse().run();
    }
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let measured = runtime.block_on(async {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => Err("interrupted; nothing is left running".into()),
            measured = measure(&options) => measured,
        }
    });
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redis-figures: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: &Options) -> Told<()> {
    let stage = Stage::put_up(options.fsync).await?;
    println!("{}", stage.described().await?);
    growth::measure(&stage, options.largest).await?;
    let pending = bytes::measure(&stage, options.pending).await?;
    load::measure(&stage, &pending, (options.rate, options.seconds)).await
}

/// Says what is going on, beside the figures.
fn progress(says: &str) {
    eprintln!("… {says}");
}
