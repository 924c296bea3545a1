//! `cargo run --example pos`: a purchase at a till, countersigned on a phone. The server's story from end to end, on a bare machine.
//!
//! Everything is real: TLS on loopback, fresh certificates and keys, the server with its shipped profile. The roles are in files of their own:
//! `till.rs` asks, `bank.rs` knows alice and keeps her money (`accounts.rs`), `phone.rs` is hers. `stage.rs` puts up what they stand on,
//! `acts.rs` is the plot.

mod message;
mod story;

mod caller;
mod holder;
mod places;
mod signer;

mod accounts;
mod bank;
mod listener;
mod visitor;

mod id_token;
mod keyboard;
mod phone;
mod till;

mod acts;
mod stage;

use std::process::ExitCode;

use clap::{Args, Parser};

use crate::acts::Cast;
use crate::bank::Verdict;
use crate::caller::Caller;
use crate::holder::Binding;
use crate::keyboard::Keyboard;
use crate::message::Role;
use crate::phone::{Hand, Phone};
use crate::stage::{Set, Stage};
use crate::story::{Story, Told};
use crate::till::Till;
use crate::visitor::Visitor;

/// A till, a bank, a phone and countersign: one purchase approved, one denied, told as it happens.
#[derive(Debug, Parser)]
#[command(name = "pos")]
struct Options {
    #[command(flatten)]
    alice: Alice,
    /// Pauses after each step, for reading along
    #[arg(long)]
    slow: bool,
    /// Binds the till's tokens to a key of its own (DPoP), in place of its TLS certificate
    #[arg(long)]
    dpop: bool,
}

/// Who decides, and what.
#[derive(Debug, Args)]
struct Alice {
    /// Alice denies the purchase, and the story ends there
    #[arg(long)]
    deny: bool,
    /// You hold alice's phone: approve or deny at the terminal
    #[arg(long, conflicts_with = "deny")]
    phone: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    // Interrupted or not, the temporary folder goes, and the keys in it.
    let performed = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => Err("interrupted; nothing is left behind".into()),
        performed = perform(&options) => performed,
    };
    match performed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pos: {}", message::plain(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

async fn perform(options: &Options) -> Told<()> {
    let story = Story::new(options.slow);
    let (stage, set) = Stage::put_up(&story, if options.dpop { Binding::Key } else { Binding::Certificate }).await?;
    let played = play(options, &story, set).await;
    stage.take_down().await?;
    played
}

async fn play(options: &Options, story: &Story, set: Set) -> Told<()> {
    let Set { places, bank, prompts } = set;
    acts::opening(story, &places).await;
    let hand = match options.alice {
        Alice { phone: true, .. } => Hand::Yours(Keyboard::open()),
        Alice { deny: true, .. } => Hand::Script([Verdict::Deny].into()),
        Alice { .. } => Hand::Script([Verdict::Approve, Verdict::Deny].into()),
    };
    let phone = Phone { prompts, hand, bank, story: story.clone() };
    let binding = places.binding;
    let thief = match binding {
        Binding::Certificate => Caller::without_certificate(&places.certs)?,
        Binding::Key => Caller::with_key(&places.certs)?,
    };
    let thief = Visitor::new(Role::Thief, thief, (&places, story));
    let till = Till::open(places, story.clone()).await?;
    let mut cast = Cast { till, thief, phone, binding, story: story.clone() };
    cast.groceries().await?;
    if !options.alice.deny {
        cast.impostor().await?;
    }
    acts::closing(story, binding);
    Ok(())
}
