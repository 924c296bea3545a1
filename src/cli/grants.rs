//! `countersign grants` and `countersign tokens`: what lives for whom, and to end it.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::slice;

use clap::Subcommand;
use serde_json::json;

use crate::audit::Event;
use crate::cli::desk::{Desk, Login, now, unread};
use crate::cli::operator::{How, Refused, confirm, ended, say};
use crate::cli::shown::{aligned, date, plain};
use crate::secret::{Digest, Secret};
use crate::store::administration::{Ended, Found, Kind, Live, Whose};

/// For every command, whether of [`Grants`] or of [`Tokens`].
#[derive(Debug, clap::Args)]
pub(super) struct Options<C: Subcommand> {
    /// The configuration of the server whose store it is
    #[arg(long, value_name = "FILE", global = true, default_value = "deploy/server.toml")]
    config: PathBuf,
    /// Say it in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    login: Login,
    #[command(subcommand)]
    command: C,
}

/// Whose grants are meant.
#[derive(Debug, clap::Args)]
pub(super) struct Of {
    /// Of this client
    #[arg(long, value_name = "CLIENT_ID", allow_hyphen_values = true)]
    client: Option<String>,
    /// For this user, as the bank knows them: the `sub` that it gives for a hint
    #[arg(long, value_name = "SUB", allow_hyphen_values = true)]
    user: Option<String>,
}

impl Of {
    fn whose(self) -> Whose {
        Whose { client_id: self.client, sub: self.user }
    }
}

/// What to do with what was asked and given.
#[derive(Debug, Subcommand)]
pub(super) enum Grants {
    /// Show what is live: requests that wait, approvals that nobody has come for, refresh tokens, access tokens. What a lock or a disabled client holds back is among it
    List {
        #[command(flatten)]
        of: Of,
    },
    /// End all of it, of a client, for a user, or of a client for a user: nothing comes of what was asked, and no token is good any more. New requests are not refused
    #[command(group = clap::ArgGroup::new("whose").required(true).multiple(true).args(["client", "user"]))]
    Revoke {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        how: How,
    },
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(super) enum Tokens {
    /// End one token, at once. With a refresh token end the access tokens that came of it
    Revoke {
        /// SHA-256 of the access token or refresh token, as the audit file and `grants list` have it
        #[arg(allow_hyphen_values = true, required_unless_present = "stdin", conflicts_with = "stdin")]
        digest: Option<Digest>,
        /// Read the token itself from standard input, so that no list of commands has it
        #[arg(long)]
        stdin: bool,
        #[command(flatten)]
        how: How,
    },
}

pub(super) fn run(options: Options<Grants>) -> ExitCode {
    ended("grants", grants(options))
}

pub(super) fn run_tokens(options: Options<Tokens>) -> ExitCode {
    ended("tokens", tokens(options))
}

fn grants(options: Options<Grants>) -> Result<(), Refused> {
    let desk = Desk::open(&options.config, &options.login)?;
    match options.command {
        Grants::List { of } => {
            let whose = of.whose();
            let Found { these, unread: left } = desk.ask(|store| store.whatever_lives(&whose, now()))?;
            let text = if options.json { format!("{:#}\n", json!({"grants": these})) } else { table(&these) };
            say(&text)?;
            unread(&left)
        }
        Grants::Revoke { of, how } => revoke(&desk, &of.whose(), (how, options.json)),
    }
}

fn revoke(desk: &Desk, whose: &Whose, (how, as_json): (How, bool)) -> Result<(), Refused> {
    // Whoever may not look has not begun.
    let Found { these, unread: left } = desk.ask(|store| store.whatever_lives(whose, now()))?;
    let count = |kinds: &[Kind]| these.iter().filter(|live| kinds.contains(&live.kind)).count();
    let would = Ended {
        requests: count(&[Kind::Pending, Kind::Approved]),
        refresh_tokens: count(&[Kind::RefreshToken]),
        access_tokens: count(&[Kind::AccessToken]),
    };
    if how.dry_run {
        tell(would, (true, as_json))?;
        return unread(&left);
    }
    if !how.yes {
        let client = whose.client_id.as_deref().map(|client| format!(" of {}", plain(client)));
        let user = whose.sub.as_deref().map(|user| format!(" for {}", plain(user)));
        let of = client.unwrap_or_default() + &user.unwrap_or_default();
        confirm(&format!("this ends everything{of}: {}", words(would).trim_end()))?;
    }
    let user = whose.sub.as_deref().map(|sub| Digest::of(sub.as_bytes()));
    let event = Event::GrantsRevoked { by: &desk.by, client_id: whose.client_id.as_deref(), user };
    let (ended, left) = desk.recorded("revoke grants", event, || desk.ask(|store| store.end_all(whose, now())))?;
    tell(ended, (false, as_json))?;
    unread(&left)
}

fn words(Ended { requests, refresh_tokens, access_tokens }: Ended) -> String {
    format!("requests: {requests}, refresh tokens: {refresh_tokens}, access tokens: {access_tokens}\n")
}

fn tell(ended: Ended, (dry_run, as_json): (bool, bool)) -> Result<(), Refused> {
    if as_json {
        return say(&format!("{:#}\n", json!({"ended": ended, "dry_run": dry_run})));
    }
    say(&format!("{}{}", words(ended), if dry_run { "(nothing was done)\n" } else { "ended\n" }))
}

fn table(live: &[Live]) -> String {
    let head = ["kind", "client_id", "user", "scope", "since", "until", "SHA-256"].map(str::to_owned);
    let row = |live: &Live| {
        let kind = match live.kind {
            Kind::Pending => "pending",
            Kind::Approved => "approved",
            Kind::RefreshToken => "refresh token",
            Kind::AccessToken => "access token",
        };
        [
            kind.to_owned(),
            live.client_id.clone(),
            live.sub.clone().unwrap_or_else(|| "-".to_owned()),
            live.scope.join(" "),
            date(live.since),
            date(live.until),
            live.digest.to_string(),
        ]
    };
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(live.iter().map(row)).collect();
    aligned(&rows)
}

fn tokens(options: Options<Tokens>) -> Result<(), Refused> {
    let Options { config, json: as_json, login, command: Tokens::Revoke { digest, stdin, how } } = options;
    let desk = Desk::open(&config, &login)?;
    let digest = match digest {
        Some(digest) if !stdin => digest,
        _ => {
            let mut text = String::new();
            io::stdin().lock().take(64 * 1024).read_to_string(&mut text).map_err(|error| Refused::failed(&error))?;
            Secret::new(text.trim().to_owned()).digest()
        }
    };
    let none = || {
        Refused::Failed(format!(
            "no token of that digest ({digest}) is live: it is unknown, has expired, or was revoked before; requests are ended by `countersign grants revoke`"
        ))
    };
    let live = desk.ask(|store| store.token(digest, now()))?.ok_or_else(none)?;
    let shown = table(slice::from_ref(&live));
    if !how.dry_run {
        if !how.yes {
            confirm(&format!("{shown}It is dead from then on."))?;
        }
        let event = Event::TokenRevoked { by: &desk.by, token: digest };
        desk.recorded("revoke a token", event, || desk.ask(|store| store.end_token(digest, now()))?.ok_or_else(none))?;
    }
    if as_json {
        return say(&format!("{:#}\n", json!({"ended": live, "dry_run": how.dry_run})));
    }
    say(&format!("{shown}{}\n", if how.dry_run { "(nothing was done)" } else { "ended" }))
}
