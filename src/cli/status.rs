//! `countersign status`: how the place is, at a glance: keys and what becomes of them, certificates and how long they last, and the store.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::desk::{Desk, Login, unread};
use crate::cli::operator::{Refused, ended, say};
use crate::cli::{check, shown};
use crate::clock::{Clock as _, System, Timestamp};
use crate::config::Config;
use crate::config::files::Ending;
use crate::config::store::Storage;
use crate::jose::life::State;
use crate::keys::Manifest;
use crate::store::administration::{Found, Kind, Whose};

/// A certificate that ends sooner wants looking after. In days; taste.
const SOON: i64 = 21;
/// A key that has signed for longer does, too. In days; taste.
const OLD: i64 = 90;

const DAY: i64 = 86_400;

/// What there is to say of one thing.
struct Line {
    /// Whether somebody has to do something.
    wants: bool,
    of: String,
    says: String,
}

/// Says how everything is; 1 if something wants looking after.
pub(super) fn run(path: &Path, (login, as_json): (&Login, bool)) -> ExitCode {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(faults) => return check::refuse(path, &faults),
    };
    let now = System.now();
    let mut lines = keys(&config, now);
    lines.extend(certificates(&config, now));
    lines.extend(store(config, path, login));
    let wants = lines.iter().any(|line| line.wants);
    if as_json {
        let of = |line: &Line| json!({"of": line.of, "says": line.says, "wants_looking_after": line.wants});
        let lines: Vec<Value> = lines.iter().map(of).collect();
        let said = say(&format!("{:#}\n", json!({"wants_looking_after": wants, "lines": lines})));
        return exit(said, wants);
    }
    let line = |Line { wants, of, says }: &Line| format!("{} {of}: {says}\n", if *wants { "!" } else { " " });
    exit(say(&lines.iter().map(line).collect::<Vec<_>>().concat()), wants)
}

fn exit(said: Result<(), Refused>, wants: bool) -> ExitCode {
    match said {
        Ok(()) if wants => ExitCode::FAILURE,
        said => ended("status", said),
    }
}

fn keys(config: &Config, now: Timestamp) -> Vec<Line> {
    let manifest = match config.keys.view() {
        Ok(manifest) => manifest,
        Err(says) => return vec![Line { wants: true, of: "keys".to_owned(), says }],
    };
    let lines = manifest.keys.iter().filter(|entry| entry.life.state(now).is_published()).map(|entry| {
        let (state, life) = (entry.life.state(now), &entry.life);
        let days = life.signs_from.filter(|from| *from > Timestamp::from_seconds(0)).map(|from| now.since(from) / DAY);
        let old = state == State::Active && life.signs_until.is_none() && days.is_some_and(|days| days > OLD);
        let age = match (state, days) {
            (State::Active, Some(days)) => format!(", has signed for {days} days"),
            (State::Active, None) => ", nobody knows since when".to_owned(),
            _ => String::new(),
        };
        let next = if old {
            "; `countersign keys rotate` has a new one sign".to_owned()
        } else {
            becomes(state, entry.life.changes(now))
        };
        Line {
            wants: old,
            of: format!("key {} {}", entry.alg, entry.kid),
            says: format!("{}{age}{next}", state.name()),
        }
    });
    lines.chain(strays(config, &manifest)).chain(unsealed(config, &manifest)).collect()
}

fn strays(config: &Config, manifest: &Manifest) -> Option<Line> {
    let strays = config.keys.strays(manifest);
    let says = format!("{} lies there too and is not used", strays.join(", "));
    (!strays.is_empty()).then(|| Line { wants: true, of: "keys".to_owned(), says })
}

fn unsealed(config: &Config, manifest: &Manifest) -> Option<Line> {
    let plain = config.keys.unsealed_files(manifest);
    let says = format!("not sealed: {}; a file goes when its key was rotated and has retired", plain.join(", "));
    (!plain.is_empty()).then(|| Line { wants: true, of: "keys".to_owned(), says })
}

fn becomes(state: State, changes: Option<Timestamp>) -> String {
    let word = if state == State::Next { "signs from" } else { "until" };
    changes.map_or_else(String::new, |at| format!(", {word} {}", shown::date(at)))
}

fn certificates(config: &Config, now: Timestamp) -> Vec<Line> {
    let mut seen = Vec::new();
    for Ending { path, ends, .. } in config.certificates.value().iter() {
        let days = ends.since(now) / DAY;
        let says = match days {
            ..0 => format!("ended on {}", shown::date(*ends)),
            _ => format!("{days} days left, until {}", shown::date(*ends)),
        };
        let of = format!("certificate {path}");
        if !seen.iter().any(|line: &Line| line.of == of) {
            seen.push(Line { wants: days < SOON, of, says });
        }
    }
    seen
}

/// What is wrong with the store, as a server sees it.
fn trouble(config: &Config) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_or_else(
        |error| Some(error.to_string()),
        |runtime| runtime.block_on(async { config.backend(Arc::new(System)).await.trouble().map(|it| it.to_string()) }),
    )
}

/// The store, and how much waits in it.
fn store(config: Config, path: &Path, login: &Login) -> Vec<Line> {
    let of = format!("store {}", config.storage);
    if matches!(config.storage, Storage::Memory(_)) {
        return vec![Line { wants: false, of, says: "well".to_owned() }];
    }
    if let Some(trouble) = trouble(&config) {
        return vec![Line { wants: true, of, says: trouble }];
    }
    let desk = match Desk::of(config, path, login) {
        Ok(desk) => desk,
        Err(Refused::Wrong(says) | Refused::Failed(says)) => return vec![Line { wants: true, of, says }],
    };
    let well = Line { wants: false, of, says: "well".to_owned() };
    let anyone = Whose::default();
    let (wants, says) = match desk.ask(|store| store.whatever_lives(&anyone, System.now())) {
        Ok(Found { these, unread: left }) => {
            let count = |kind: Kind| these.iter().filter(|live| live.kind == kind).count();
            let says = format!(
                "{} pending, {} approved and not come for; {} refresh tokens, {} access tokens",
                count(Kind::Pending),
                count(Kind::Approved),
                count(Kind::RefreshToken),
                count(Kind::AccessToken)
            );
            match unread(&left) {
                Ok(()) => (false, says),
                Err(Refused::Wrong(why) | Refused::Failed(why)) => (true, format!("{says}; {why}")),
            }
        }
        // Who may not look is told so, and nothing is wrong with the place.
        Err(Refused::Wrong(why) | Refused::Failed(why)) => (!why.contains("(SCAN)"), format!("not known: {why}")),
    };
    vec![well, Line { wants, of: "requests".to_owned(), says }]
}
