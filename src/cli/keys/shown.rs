//! How keys are shown: a table for people, JSON for scripts, and what a change does.

use serde_json::{Value, json};

use crate::cli::shown::{aligned, date};
use crate::clock::Timestamp;
use crate::jose::life::State;
use crate::keys::{Entry, Manifest};

/// Every key in a row.
pub(super) fn table(keys: &[Entry], now: Timestamp) -> String {
    let mut rows =
        vec![["kid", "alg", "state", "published", "signs from", "signs until", "verifies until"].map(str::to_owned)];
    for entry in keys {
        let life = &entry.life;
        let time = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), date);
        let state = life.state(now);
        let revoked = life.revoked.map(|at| format!("revoked {}", date(at)));
        rows.push([
            entry.kid.clone(),
            entry.alg.clone(),
            state.name().to_owned(),
            time(Some(life.published)),
            time(life.signs_from),
            time(life.signs_until),
            revoked.unwrap_or_else(|| time(life.verifies_until)),
        ]);
    }
    aligned(&rows)
}

/// Every key, for scripts.
pub(super) fn json(manifest: &Manifest, now: Timestamp) -> Value {
    json!({ "keys": manifest.keys.iter().map(|entry| one(entry, now)).collect::<Vec<_>>() })
}

/// One key, for scripts.
pub(super) fn one(entry: &Entry, now: Timestamp) -> Value {
    let life = &entry.life;
    json!({
        "kid": entry.kid, "alg": entry.alg, "state": life.state(now), "file": entry.file,
        "published": life.published, "signs_from": life.signs_from, "signs_until": life.signs_until,
        "verifies_until": life.verifies_until, "revoked": life.revoked,
    })
}

/// What `after` changes of `before`, a line for each key that it touches.
pub(super) fn changes(before: &Manifest, after: &Manifest, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in &after.keys {
        let was = before.keys.iter().find(|other| other.kid == entry.kid);
        if was.is_some_and(|was| was.life == entry.life) {
            continue;
        }
        let (new, published) = if was.is_none() { (" (new)", "published now; ") } else { ("", "") };
        lines.push(format!("{} {}{new}: {published}{}", entry.alg, entry.kid, schedule(entry, now)));
    }
    lines
}

/// What becomes of a key, in words.
fn schedule(entry: &Entry, now: Timestamp) -> String {
    let life = &entry.life;
    let when = |time: Timestamp| if time <= now { "now".to_owned() } else { date(time) };
    match (life.state(now), life.signs_from, life.signs_until, life.verifies_until) {
        (State::Revoked, ..) => "revoked: nothing that it signed is believed any more, from now on".to_owned(),
        (State::Next, None, ..) => "signs when it is promoted, or at the next rotation".to_owned(),
        (State::Active, Some(from), None, _) if from < now => "signs on, until another one takes over".to_owned(),
        (State::Next | State::Active, Some(from), None, _) => format!("signs from {} on", when(from)),
        (State::Next | State::Active, _, Some(until), Some(verifies)) => {
            format!("signs until {}, verifies until {}", when(until), when(verifies))
        }
        (State::Retiring, _, _, Some(verifies)) => format!("signs no more; verifies until {}", when(verifies)),
        _ => "signs no more, and is not published".to_owned(),
    }
}
