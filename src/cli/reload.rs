//! What a running server notices by itself: that a file of its configuration has changed. It takes keys, certificates, authorities, CRLs and clients from it, all or nothing: what cannot be used leaves everything as it was, and says
//! why.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::config::Config;
use crate::config::reader::Fault;
use crate::endpoint::Server;

/// How often to look.
const GLANCE: Duration = Duration::from_secs(1);

/// What a file looks like: when it was written, and how large it is.
type Looks = (PathBuf, Option<SystemTime>, u64);

/// Looks at the files of `running` every second, and at once on SIGHUP; when one has changed, `server` goes by the configuration at `path` as it is then.
pub(super) async fn watch(path: PathBuf, running: Arc<Config>, server: Arc<Server>) {
    let mut hangup = signal(SignalKind::hangup()).ok();
    let mut seen = looks(&running.files);
    loop {
        let told = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        let told = tokio::select! { _ = told => true, () = sleep(GLANCE) => false };
        let now = looks(&running.files);
        if told || now != seen {
            seen = now;
            let path = path.clone();
            // Reading files may take its time, which requests must not wait for.
            let read = tokio::task::spawn_blocking(move || Config::load(&path)).await;
            apply(read.unwrap_or_else(|_| Err(Vec::new())), (&running, &server));
        }
    }
}

fn apply(read: Result<Config, Vec<Fault>>, (running, server): (&Config, &Server)) {
    let stays = "everything stays as it was";
    let fresh = match read {
        Ok(fresh) => fresh,
        Err(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            return tracing::error!(
                faults = faults.join("; "),
                "the configuration cannot be used as it is now; {stays}"
            );
        }
    };
    if fresh.profile != running.profile {
        return tracing::error!(
            "the rules, or what [server] and the sections beside it offer, have changed; that takes a restart, and {stays}"
        );
    }
    match server.follow(&fresh.trust.keyring, fresh.clients) {
        Ok(()) => {
            running.tls.follow(&fresh.tls);
            running.authorities.follow(&fresh.authorities);
            tracing::info!(
                "keys, certificates, authorities and clients were read again; the rest of the configuration is read at a start"
            );
        }
        Err(why) => tracing::error!(%why, "the keys cannot be used as they are now; {stays}"),
    }
}

/// How everything looks, folders by what is in them.
fn looks(files: &[PathBuf]) -> Vec<Looks> {
    let mut looks = Vec::new();
    for path in files {
        looks.push(look(path));
        let inside = fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
        looks.extend(inside.map(|entry| look(&entry.path())));
    }
    looks.sort();
    looks
}

fn look(path: &Path) -> Looks {
    let meta = fs::metadata(path).ok();
    (path.to_owned(), meta.as_ref().and_then(|meta| meta.modified().ok()), meta.map_or(0, |meta| meta.len()))
}
