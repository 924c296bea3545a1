//! What a running server notices by itself: that its keys folder has changed. All or nothing: what cannot be used leaves everything as it was, and says why.

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

/// Looks at `keys` every second, and at once on SIGHUP; when it has changed, `server` goes by the configuration at `config` as it is then.
pub(super) async fn watch(config: PathBuf, keys: PathBuf, server: Arc<Server>) {
    let mut hangup = signal(SignalKind::hangup()).ok();
    let mut seen = looks(&keys);
    loop {
        let told = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        let told = tokio::select! { _ = told => true, () = sleep(GLANCE) => false };
        let now = looks(&keys);
        if told || now != seen {
            seen = now;
            let config = config.clone();
            // Reading files may take its time, which requests must not wait for.
            let read = tokio::task::spawn_blocking(move || Config::load(&config)).await;
            apply(read.unwrap_or_else(|_| Err(Vec::new())), &server);
        }
    }
}

fn apply(read: Result<Config, Vec<Fault>>, server: &Server) {
    let config = match read {
        Ok(config) => config,
        Err(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            tracing::error!(
                faults = faults.join("; "),
                "the configuration cannot be used as it is now; the keys stay as they were"
            );
            return;
        }
    };
    match server.replace_keys(config.trust.keyring) {
        Ok(()) => tracing::info!("the keys were read again"),
        Err(why) => tracing::error!(%why, "the keys cannot be used as they are now; they stay as they were"),
    }
}

/// What shows that a folder has changed: each file in it, when it was written, and how large it is.
fn looks(folder: &Path) -> Vec<(PathBuf, Option<SystemTime>, u64)> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let file = |path: PathBuf| {
        let meta = fs::metadata(&path).ok();
        (path, meta.as_ref().and_then(|meta| meta.modified().ok()), meta.map_or(0, |meta| meta.len()))
    };
    let mut files: Vec<_> = entries.map(|entry| file(entry.path())).collect();
    files.sort();
    files
}
