//! What a running server notices by itself: that a file of its configuration has changed. It takes keys, certificates, authorities, CRLs and clients from it, all or nothing: what cannot be used leaves everything as it was, and says
//! why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::time::sleep;
use toml::{Table, Value};

use crate::config::Config;
use crate::config::files::Ending;
use crate::config::look::Look;
use crate::config::reader::Fault;
use crate::current::Current;
use crate::endpoint::Server;

/// How often to look.
const GLANCE: Duration = Duration::from_secs(1);

/// What is taken without a restart, by where the configuration names it.
const TAKEN: [&str; 6] = ["tls.", "keys.", "client_certificates.", "clients", "resource_servers", "server.profile"];

const STAYS: &str = "everything stays as it was";

/// Looks at the files of `running` every second, and at once on SIGHUP; when one has changed since it was read, `server` goes by the configuration at `path` as it is then. What cannot be used has not been read, and is tried again until it can.
pub(super) async fn watch(path: PathBuf, (running, server): (Arc<Config>, Arc<Server>), mut hangup: Signal) {
    let mut seen = running.files.clone();
    let mut failed: Option<String> = None;
    loop {
        let told = tokio::select! { told = hangup.recv() => told.is_some(), () = sleep(GLANCE) => false };
        let (looks, path) = (seen.clone(), path.clone());
        // Reading files may take its time, which requests must not wait for.
        let read = tokio::task::spawn_blocking(move || {
            let changed = told || looks.iter().any(|look| look.again() != *look);
            changed.then(|| Config::load(&path))
        });
        let outcome = match read.await {
            Ok(None) if failed.is_none() => continue,
            // What could not be used is gone again: there is nothing to take.
            Ok(None) => Ok((true, seen.clone())),
            Ok(Some(Ok(fresh))) => apply(&fresh, (&running, &server)).map(|whole| (whole, fresh.files)),
            Ok(Some(Err(faults))) => Err(unusable(&faults)),
            // A panic, of which the log says where it was.
            Err(_) => Err(format!("the configuration could not be read; {STAYS}")),
        };
        match outcome {
            Ok((whole, files)) => {
                server.metrics().reloaded(whole);
                tell(&seen, &files);
                (seen, failed) = (files, None);
            }
            Err(why) => {
                if told || failed.as_ref() != Some(&why) {
                    server.metrics().reloaded(false);
                    tracing::error!("{why}");
                }
                failed = Some(why);
            }
        }
    }
}

fn unusable(faults: &[Fault]) -> String {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    format!("the configuration cannot be used as it is now ({}); {STAYS}", faults.join("; "))
}

/// Takes from `fresh` what can be taken without a restart; whether that was everything.
fn apply(fresh: &Config, (running, server): (&Config, &Server)) -> Result<bool, String> {
    let same_rules = fresh.profile == running.profile;
    let clients = same_rules.then(|| fresh.clients.clone());
    server
        .follow(&fresh.trust.keyring, clients)
        .map_err(|why| format!("the keys cannot be used as they are now: {why}; {STAYS}"))?;
    running.tls.follow(&fresh.tls);
    running.authorities.follow(&fresh.authorities);
    running.certificates.follow(&in_use(&fresh.certificates.value(), &running.certificates.value()));
    if same_rules {
        tracing::info!("keys, the server's certificates, authorities, CRLs and clients were read again");
    } else {
        tracing::error!(
            "the rules, or what [server] and the sections beside it offer, have changed, which takes a restart: until then clients stay as they were; keys, the server's certificates, authorities and CRLs were read again"
        );
    }
    let (before, after) = (named("", &running.settings), named("", &fresh.settings));
    let differs = |key: &&String| before.get(*key) != after.get(*key) && !is_taken(key);
    let changed: BTreeSet<&String> = before.keys().chain(after.keys()).filter(differs).collect();
    if !changed.is_empty() {
        let changed = changed.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        tracing::warn!(
            changed,
            "these settings are others than those it was started with, and are read at the next start"
        );
    }
    Ok(same_rules)
}

/// Each setting in `table` by its whole name.
fn named(section: &str, table: &Table) -> BTreeMap<String, Value> {
    let whole = |key: &String| if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
    let each = table.iter().flat_map(|(key, value)| match value {
        Value::Table(inner) => named(&whole(key), inner),
        other => BTreeMap::from([(whole(key), other.clone())]),
    });
    each.collect()
}

/// The certificates that are in use: of those that are read at a start alone, the ones that were there `before`.
fn in_use(now: &[Ending], before: &[Ending]) -> Current<Vec<Ending>> {
    let taken = now.iter().filter(|one| is_taken(&one.key));
    Current::new(taken.chain(before.iter().filter(|one| !is_taken(&one.key))).cloned().collect())
}

/// Whether what is named at `key` is taken without a restart.
fn is_taken(key: &str) -> bool {
    TAKEN.iter().any(|taken| key.starts_with(taken))
}

/// Names what has changed and is read at a start alone.
fn tell(before: &[Look], after: &[Look]) {
    let other = |look: &&Look| !look.key.is_empty() && !is_taken(&look.key);
    let mut changed: Vec<&str> =
        after.iter().filter(other).filter(|look| !before.contains(look)).map(|look| look.key.as_str()).collect();
    changed.dedup();
    if !changed.is_empty() {
        let changed = changed.join(", ");
        tracing::warn!(changed, "these files have changed, and are read at the next start");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn of_a_certificate_that_is_read_at_a_start_alone_the_end_is_that_of_the_one_in_use() {
        let ending = |key: &str, ends| Ending {
            key: key.to_owned(),
            path: "x.pem".to_owned(),
            ends: Timestamp::from_seconds(ends),
        };
        let before = [ending("tls.p256_certificate", 1), ending("bank.certificate", 1)];
        let now = [ending("tls.p256_certificate", 2), ending("bank.certificate", 2)];
        let in_use = in_use(&now, &before).value();
        let ends =
            |key: &str| in_use.iter().filter(|one| one.key == key).map(|one| one.ends.seconds()).collect::<Vec<_>>();
        assert_eq!((ends("tls.p256_certificate"), ends("bank.certificate")), (vec![2], vec![1]));
    }
}
