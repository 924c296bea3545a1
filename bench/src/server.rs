//! The server that is measured: the same as `countersign serve`, on one core, and with a bank within where the bank is not what is measured.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use clap::Args;
use countersign::cli::serve;
use countersign::config::Config;
use countersign::outbound::Failed;
use countersign::outbound::authenticator::Authenticator;
use countersign::wire::bank::{Identified, Identify, Prompt};

use crate::cores::{end_with_parent, pin};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[arg(long)]
    config: PathBuf,
    #[arg(long)]
    core: usize,
    #[arg(long)]
    bank_within: bool,
}

/// A bank that knows everybody and asks nobody, at once.
struct Within;

#[async_trait]
impl Authenticator for Within {
    async fn identify(&self, question: &Identify<'_>) -> Result<Identified, Failed> {
        Ok(Identified::Known { sub: question.hint.to_owned() })
    }

    async fn prompt(&self, _: &Prompt<'_>) -> Result<(), Failed> {
        Ok(())
    }
}

/// Serves until it is killed.
pub(crate) fn run(options: &Options) -> ExitCode {
    if let Err(error) = end_with_parent().and_then(|()| pin(options.core)) {
        eprintln!("bench server: {error}");
        return ExitCode::FAILURE;
    }
    match Config::load(&options.config) {
        Ok(mut config) => {
            if options.bank_within {
                config.authenticator = Arc::new(Within);
            }
            serve::serve(&options.config, config)
        }
        Err(faults) => {
            for fault in faults {
                eprintln!("{}: {}", fault.key, fault.says);
            }
            ExitCode::FAILURE
        }
    }
}
