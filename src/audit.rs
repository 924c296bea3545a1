//! [`Audit`]: what happened, one line of JSON each. What is recorded is on the disk before anybody is told of it; ids and tokens are digests.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use serde::Serialize;
use tokio::sync::oneshot;

use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::secret::Digest;

/// How many lines are written at once before the disk is waited for.
const MOST_AT_ONCE: usize = 1_000;

/// What can happen.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "each member is the id of that name, or its digest; `request` is that of the auth_req_id"
)]
pub enum Event<'a> {
    /// A server was started.
    Started { version: &'a str },
    /// A client had a user asked.
    Requested { request: Digest, client_id: &'a str },
    /// The user said yes to a request that was undecided. Of several answers at once each is recorded, and one counts.
    Approved { request: Digest, client_id: &'a str },
    /// The user said no; the same holds.
    Denied { request: Digest, client_id: &'a str },
    /// An approval was redeemed.
    Issued { request: Digest, client_id: &'a str, access_token: Digest, refresh_token: Option<Digest> },
    /// An access token was given for a refresh token.
    Refreshed { refresh_token: Digest, client_id: &'a str, access_token: Digest },
    /// A client gave a token back.
    Revoked { token: Digest, client_id: &'a str },
}

/// Where events go.
#[derive(Clone, Debug)]
pub enum Audit {
    /// To the log, with everything else. For development: a log may lose lines.
    Log,
    /// To a file of their own.
    File(Pen),
}

/// The hand of the one thread that writes a file.
#[derive(Clone, Debug)]
pub struct Pen(Sender<(Vec<u8>, oneshot::Sender<io::Result<()>>)>);

#[derive(Serialize)]
struct Line<'a> {
    at: i64,
    #[serde(flatten)]
    event: Event<'a>,
}

impl Audit {
    /// Appends to the file at `path`, which only its owner may read.
    ///
    /// # Errors
    /// The thread that writes cannot be started.
    pub fn to(path: &Path) -> io::Result<Self> {
        let (pen, lines) = channel();
        let path = path.to_owned();
        thread::Builder::new().name("audit".into()).spawn(move || write(&path, &lines))?;
        Ok(Self::File(Pen(pen)))
    }

    /// Records `event`; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`]: it cannot be written. What it is about must not be told.
    pub async fn record(&self, event: Event<'_>, now: Timestamp) -> Result<(), Rejection> {
        let mut line = serde_json::to_vec(&Line { at: now.seconds(), event }).expect("an event is a plain struct");
        match self {
            Self::Log => {
                tracing::info!(audit = %String::from_utf8_lossy(&line), "audit");
                Ok(())
            }
            Self::File(Pen(pen)) => {
                line.push(b'\n');
                let (tell, written) = oneshot::channel();
                let gone = Rejection::new(Reason::TemporarilyUnavailable, "audit", "the audit file cannot be written");
                if pen.send((line, tell)).is_err() {
                    return Err(gone);
                }
                match written.await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(error)) => {
                        tracing::error!(%error, "the audit file cannot be written; nothing is issued");
                        Err(gone)
                    }
                    Err(_) => Err(gone),
                }
            }
        }
    }
}

/// Writes lines as they come, many at once where many wait, and waits for the disk before it says so. A file that fails is opened anew.
fn write(path: &Path, lines: &Receiver<(Vec<u8>, oneshot::Sender<io::Result<()>>)>) {
    let mut file = None;
    while let Ok((mut text, first)) = lines.recv() {
        let mut waiting = vec![first];
        while let Some((line, tell)) = (waiting.len() < MOST_AT_ONCE).then(|| lines.try_recv().ok()).flatten() {
            text.extend_from_slice(&line);
            waiting.push(tell);
        }
        let written = append(&mut file, path, &text);
        if written.is_err() {
            file = None;
        }
        for tell in waiting {
            let said = written.as_ref().copied().map_err(|error| io::Error::new(error.kind(), error.to_string()));
            // Who does not wait any more does not need to know.
            tell.send(said).ok();
        }
    }
}

fn append(file: &mut Option<File>, path: &Path, text: &[u8]) -> io::Result<()> {
    let open = || OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let file = match file {
        Some(file) => file,
        none => none.insert(open()?),
    };
    file.write_all(text)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const AT: Timestamp = Timestamp::from_seconds(1_000);

    fn approved() -> Event<'static> {
        Event::Approved { request: Digest::of(b"request"), client_id: "till-7" }
    }

    #[tokio::test]
    async fn what_was_recorded_is_in_the_file_after_what_was_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        for _ in 0..2 {
            Audit::to(&path).expect("a thread").record(approved(), AT).await.expect("it can be written");
        }
        let text = std::fs::read_to_string(&path).expect("it is there");
        let digest = Digest::of(b"request");
        let line =
            format!("{{\"at\":1000,\"event\":\"approved\",\"request\":\"{digest}\",\"client_id\":\"till-7\"}}\n");
        assert_eq!(text, line.repeat(2));
        assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_refused_until_it_can() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("later/audit.jsonl");
        let audit = Audit::to(&path).expect("a thread");
        let refusal = audit.record(approved(), AT).await.expect_err("there is no folder");
        assert_eq!(refusal.reason, Reason::TemporarilyUnavailable);
        std::fs::create_dir(folder.path().join("later")).expect("a folder");
        audit.record(approved(), AT).await.expect("it can be written");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_at_once_each_has_a_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        let audit = Audit::to(&path).expect("a thread");
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..3_000 {
            let audit = audit.clone();
            crowd.spawn(async move { audit.record(approved(), AT).await.is_ok() });
        }
        assert!(crowd.join_all().await.into_iter().all(|written| written));
        assert_eq!(std::fs::read_to_string(&path).expect("it is there").lines().count(), 3_000);
    }
}
