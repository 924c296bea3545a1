//! What a running server notices by itself: that a file of its configuration has changed. It takes keys, certificates, authorities, CRLs and clients from it, all or nothing: what cannot be used leaves everything as it was, and says
//! why.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::time::sleep;

use crate::config::Config;
use crate::config::look::Look;
use crate::config::reader::Fault;
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
            Ok(None) => continue,
            Ok(Some(Ok(fresh))) => apply(&fresh, (&running, &server)).map(|()| fresh.files),
            Ok(Some(Err(faults))) => Err(unusable(&faults)),
            Err(error) => Err(format!("the configuration could not be read: {error}; {STAYS}")),
        };
        match outcome {
            Ok(files) => {
                server.metrics().reloaded(true);
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

fn apply(fresh: &Config, (running, server): (&Config, &Server)) -> Result<(), String> {
    let same_rules = fresh.profile == running.profile;
    let clients = same_rules.then(|| fresh.clients.clone());
    server
        .follow(&fresh.trust.keyring, clients)
        .map_err(|why| format!("the keys cannot be used as they are now: {why}; {STAYS}"))?;
    running.tls.follow(&fresh.tls);
    running.authorities.follow(&fresh.authorities);
    running.certificates.follow(&fresh.certificates);
    if same_rules {
        tracing::info!("keys, the server's certificates, authorities, CRLs and clients were read again");
    } else {
        tracing::error!(
            "the rules, or what [server] and the sections beside it offer, have changed, which takes a restart: until then clients stay as they were; keys, the server's certificates, authorities and CRLs were read again"
        );
    }
    Ok(())
}

/// Names what has changed and is read at a start alone.
fn tell(before: &[Look], after: &[Look]) {
    let other = |look: &&Look| !look.key.is_empty() && !TAKEN.iter().any(|taken| look.key.starts_with(taken));
    let mut changed: Vec<&str> =
        after.iter().filter(other).filter(|look| !before.contains(look)).map(|look| look.key.as_str()).collect();
    changed.dedup();
    if !changed.is_empty() {
        let changed = changed.join(", ");
        tracing::warn!(changed, "these files have changed, and are read at the next start");
    }
}
