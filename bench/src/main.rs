//! `cargo run --release -p bench`: how many calls a server answers in a second of processor time, beside what the machine's signatures and TLS allow.
//!
//! It starts servers, a bank, a collector, a Redis and an echo of its own on loopback and ends them. Nothing in it fails for being slow; it exits with 1
//! where a call was answered wrongly. docs/performance.md is the manual, NOTES.md what was tried.

mod answering;
mod bounds;
mod cores;
mod course;
mod load;
mod plot;
mod row;
mod run;
mod server;
mod special;
mod stage;
mod target;
mod till;
mod tls;
mod workload;

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use tokio::signal::unix::{SignalKind, signal};

use crate::run::{Chosen, Found, Size};

type Told<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Measures a CIBA server: calls a second of processor time, beside what the machine's signatures and TLS allow.
///
/// Without arguments it starts countersign on one core and loads it from another, several times over. docs/performance.md says what the figures mean.
///
/// Exit codes: 0 done, whatever the figures; 1 it failed, a call was answered wrongly, or there is nothing of a name that was given; 2 the command line cannot be read.
#[derive(Debug, Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// One line of JSON a workload, in place of the table
    #[arg(long)]
    json: bool,
    /// Draw the shares into this file, too
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Less of everything, once: to see that it works. The figures are rough. With --target, only the bounds take less
    #[arg(long)]
    quick: bool,
    /// The workload of this name alone, or those that have this in their names; as often as you like
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
    /// Leave out the workload of this name, or those that have this in their names; as often as you like
    #[arg(long, value_name = "WORD")]
    without: Vec<String>,
    /// How often everything is measured; what is shown is what had the median share [default: 3]
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u8).range(1..=50))]
    repeats: Option<u8>,
    #[command(flatten)]
    target: target::Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the registrations that --target needs, as JSON (RFC 7591)
    Clients {
        /// The folder of their keys, as `countersign certs dev` makes it
        #[arg(long, value_name = "FOLDER")]
        keys: PathBuf,
    },
    /// Be the server that is measured
    #[command(hide = true)]
    Server(server::Options),
    /// Be the echo that it is held against
    #[command(hide = true)]
    Echo {
        #[arg(long)]
        certs: PathBuf,
        #[arg(long)]
        core: usize,
    },
}

/// bench/NOTES.md says what it gains over the system's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::Server(options)) => server::run(options),
        Some(Command::Echo { certs, core }) => answering::run_echo(certs, *core),
        Some(Command::Clients { keys }) => {
            done(target::clients(keys).and_then(|text| Ok(writeln!(io::stdout(), "{text}")?)))
        }
        None => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            done(runtime.block_on(async {
                let (mut term, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
                let told = async {
                    tokio::select! { _ = tokio::signal::ctrl_c() => {} _ = term.recv() => {} _ = hangup.recv() => {} }
                };
                tokio::select! {
                    biased;
                    () = told => Err("interrupted; its servers are ended".into()),
                    measured = measure(&cli) => measured,
                }
            }))
        }
    }
}

fn done(outcome: Told<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(cli: &Cli) -> Told<()> {
    if cfg!(debug_assertions) {
        eprintln!("this is a build for debugging, whose figures say nothing: cargo run --release -p bench");
    }
    // What cannot be drawn is known before it takes minutes to find what to draw.
    let named = |path: &Path, error: io::Error| format!("--plot {}: {error}", path.display());
    if let Some(path) = &cli.plot {
        can_be_written(path).map_err(|error| named(path, error))?;
    }
    // Where a terminal shows it, the line is written over by the next.
    let over = io::stderr().is_terminal();
    let say = |what: &str| if over { eprint!("\r\x1b[K{what}") } else { eprintln!("{what}") };
    let size = if cli.quick { Size::QUICK } else { Size::FULL };
    let size = cli.repeats.map_or(size, |repeats| size.repeated(usize::from(repeats)));
    let found = match &cli.target.target {
        Some(issuer) => target::run(issuer, (&cli.target, size), &say).await,
        None => run::run(Chosen { only: &cli.only, without: &cli.without }, size, &say).await,
    };
    if over {
        eprint!("\r\x1b[K");
    }
    let Found { bounds, rows } = found?;
    let described = cores::described();
    if let Some(path) = &cli.plot {
        fs::write(path, plot::svg(&rows, &described)).map_err(|error| named(path, error))?;
        eprintln!("{} has the picture", path.display());
    }
    let mut out = io::stdout().lock();
    if cli.json {
        for row in &rows {
            writeln!(out, "{}", serde_json::to_string(row)?)?;
        }
    } else {
        writeln!(out, "{described}\n\n{bounds}\n\n{}", row::table(&rows))?;
        if cli.quick {
            writeln!(out, "\nThat was --quick: rough, and good for seeing that everything works.")?;
        }
    }
    Ok(())
}

/// Whether a file can be. What was there stays as it is, and where nothing was there is nothing.
fn can_be_written(path: &Path) -> io::Result<()> {
    let is_there = path.try_exists()?;
    File::options().write(true).create(true).truncate(false).open(path)?;
    if is_there { Ok(()) } else { fs::remove_file(path) }
}
