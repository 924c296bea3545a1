//! [`Audit`]: what happened, one line of JSON each. What is recorded is where it is kept before anybody is told of it: in a file, on the disk. Ids and tokens are digests.

pub mod ledger;
mod pen;

use std::io;
use std::net::IpAddr;

use serde::Serialize;

use crate::audit::ledger::Ledger;
use crate::audit::pen::Pen;
use crate::clock::Timestamp;
use crate::error::{Reason, Rejection};
use crate::secret::Digest;

/// What can happen.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "each member is the id of that name, or its digest; `request` is that of the auth_req_id, `user` of the sub"
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
    /// What the user said last, according to the bank, came after another decision, which stands.
    CameTooLate { request: Digest, client_id: &'a str },
    /// Nobody could be asked, and nobody will be.
    Withdrawn { request: Digest, client_id: &'a str },
    /// An approval was redeemed.
    Issued { request: Digest, client_id: &'a str, access_token: Digest, refresh_token: Option<Digest> },
    /// An access token was given for a refresh token.
    Refreshed { refresh_token: Digest, client_id: &'a str, access_token: Digest },
    /// A client was given a token in its own name.
    IssuedToClient { client_id: &'a str, access_token: Digest },
    /// A client gave a token back.
    Revoked { token: Digest, client_id: &'a str },
    /// The bank locked a user.
    Locked { user: Digest },
    /// The bank called a user good.
    Good { user: Digest },
    /// A client registered itself.
    Registered { client_id: &'a str },
    /// A client changed its registration.
    Replaced { client_id: &'a str },
    /// A client deleted its registration.
    Deleted { client_id: &'a str },
    /// An operator changed the keys.
    KeysChanged { by: &'a str, did: &'a str, kid: &'a str, before: Digest, after: Digest },
    /// An operator changed a client of the store; digests of its registration.
    ClientChanged { by: &'a str, did: &'a str, client_id: &'a str, before: Option<Digest>, after: Option<Digest> },
    /// An operator ended everything that a client had, or a user, or a client for a user.
    GrantsRevoked { by: &'a str, client_id: Option<&'a str>, user: Option<Digest> },
    /// An operator ended a token.
    TokenRevoked { by: &'a str, token: Digest },
    /// What was recorded just before, by the same operator or client, was not done, or not to its end.
    NotDone { by: &'a str, did: &'a str },
    /// What happens can be recorded again, after it could not. What was on its way then may stand just before this, and was refused all the same.
    Resumed,
}

impl Event<'_> {
    /// Its name, as in the file.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Requested { .. } => "requested",
            Self::Approved { .. } => "approved",
            Self::Denied { .. } => "denied",
            Self::CameTooLate { .. } => "came_too_late",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Issued { .. } => "issued",
            Self::Refreshed { .. } => "refreshed",
            Self::IssuedToClient { .. } => "issued_to_client",
            Self::Revoked { .. } => "revoked",
            Self::Locked { .. } => "locked",
            Self::Good { .. } => "good",
            Self::Registered { .. } => "registered",
            Self::Replaced { .. } => "replaced",
            Self::Deleted { .. } => "deleted",
            Self::KeysChanged { .. } => "keys_changed",
            Self::ClientChanged { .. } => "client_changed",
            Self::GrantsRevoked { .. } => "grants_revoked",
            Self::TokenRevoked { .. } => "token_revoked",
            Self::NotDone { .. } => "not_done",
            Self::Resumed => "resumed",
        }
    }
}

/// Where events go.
#[derive(Clone, Debug)]
pub enum Audit {
    /// To the log, with everything else. For development: a log may lose lines.
    Log,
    /// To a place of their own.
    Kept(Pen),
}

#[derive(Serialize)]
struct Line<'a> {
    at: i64,
    #[serde(flatten)]
    event: Event<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
}

impl Audit {
    /// Keeps what happens at `ledger`.
    ///
    /// # Errors
    /// The thread that writes cannot be started.
    pub fn to(ledger: impl Into<Ledger>) -> io::Result<Self> {
        Pen::at(ledger.into()).map(Self::Kept)
    }

    /// Whether the last event could not be recorded.
    pub fn is_failing(&self) -> bool {
        matches!(self, Self::Kept(pen) if pen.is_failing())
    }

    /// Looks whether events can be recorded, where the last one could not.
    ///
    /// # Errors
    /// As for [`record`](Self::record).
    pub async fn is_ready(&self, now: Timestamp) -> Result<(), Rejection> {
        if self.is_failing() { self.record(Event::Resumed, None, now).await } else { Ok(()) }
    }

    /// Records `event`, which a request from `address` brought about, if one did; it is kept when this returns.
    ///
    /// # Errors
    /// [`Reason::TemporarilyUnavailable`]: it cannot be. What it is about must not be told.
    pub async fn record(&self, event: Event<'_>, address: Option<IpAddr>, now: Timestamp) -> Result<(), Rejection> {
        let line = Line { at: now.seconds(), event, address };
        let mut line = serde_json::to_string(&line).expect("an event is a plain struct");
        match self {
            Self::Log => {
                tracing::info!(audit = %line, "audit");
                Ok(())
            }
            Self::Kept(pen) => {
                line.push('\n');
                pen.write(line.into_bytes()).await.map_err(|error| {
                    tracing::error!(%error, ledger = %pen.ledger(), "what happens cannot be recorded; nothing is issued");
                    Rejection::new(Reason::TemporarilyUnavailable, "audit", "what happens cannot be recorded")
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
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
            Audit::to(&path).expect("a thread").record(approved(), None, AT).await.expect("it can be written");
        }
        let text = std::fs::read_to_string(&path).expect("it is there");
        let digest = Digest::of(b"request");
        let line =
            format!("{{\"at\":1000,\"event\":\"approved\",\"request\":\"{digest}\",\"client_id\":\"till-7\"}}\n");
        assert_eq!(text, line.repeat(2));
        assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn what_a_request_did_has_its_address() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        let audit = Audit::to(&path).expect("a thread");
        for address in ["203.0.113.7", "2001:db8::7"] {
            let from = address.parse().expect("an address");
            audit.record(Event::Resumed, Some(from), AT).await.expect("it can be written");
            let text = std::fs::read_to_string(&path).expect("it is there");
            let line = format!("{{\"at\":1000,\"event\":\"resumed\",\"address\":\"{address}\"}}");
            assert_eq!(text.lines().last(), Some(line.as_str()));
        }
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_refused_until_it_can() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("later/audit.jsonl");
        let audit = Audit::to(&path).expect("a thread");
        let refusal = audit.record(approved(), None, AT).await.expect_err("there is no folder");
        assert_eq!(refusal.reason, Reason::TemporarilyUnavailable);
        std::fs::create_dir(folder.path().join("later")).expect("a folder");
        audit.record(approved(), None, AT).await.expect("it can be written");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_at_once_each_has_a_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        let audit = Audit::to(&path).expect("a thread");
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..3_000 {
            let audit = audit.clone();
            crowd.spawn(async move { audit.record(approved(), None, AT).await.is_ok() });
        }
        assert!(crowd.join_all().await.into_iter().all(|written| written));
        assert_eq!(std::fs::read_to_string(&path).expect("it is there").lines().count(), 3_000);
    }

    #[tokio::test]
    async fn a_line_that_broke_off_is_ended_and_the_next_one_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        std::fs::write(&path, "{\"at\":9").expect("it can be written");
        Audit::to(&path).expect("a thread").record(approved(), None, AT).await.expect("it can be written");
        let text = std::fs::read_to_string(&path).expect("it is there");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (2, "{\"at\":9"));
        assert!(serde_json::from_str::<serde_json::Value>(lines[1]).is_ok(), "{text}");
    }

    #[tokio::test]
    async fn a_file_that_was_moved_away_is_begun_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, moved) = (folder.path().join("audit.jsonl"), folder.path().join("audit.jsonl.1"));
        let audit = Audit::to(&path).expect("a thread");
        audit.record(approved(), None, AT).await.expect("it can be written");
        std::fs::rename(&path, &moved).expect("it is there");
        audit.record(approved(), None, AT).await.expect("it can be written");
        let lines = |path| std::fs::read_to_string(path).expect("it is there").lines().count();
        assert_eq!((lines(&moved), lines(&path)), (1, 1));
    }

    #[tokio::test]
    async fn it_says_that_it_fails_until_it_has_written_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = Audit::to(&folder.path().join("later/audit.jsonl")).expect("a thread");
        audit.is_ready(AT).await.expect("nothing has failed yet");
        audit.record(approved(), None, AT).await.expect_err("there is no folder");
        assert!(audit.is_failing());
        audit.is_ready(AT).await.expect_err("there is still no folder");
        std::fs::create_dir(folder.path().join("later")).expect("a folder");
        audit.is_ready(AT).await.expect("it can be written");
        assert!(!audit.is_failing());
        let text = std::fs::read_to_string(folder.path().join("later/audit.jsonl")).expect("it is there");
        assert_eq!(text, "{\"at\":1000,\"event\":\"resumed\"}\n");
    }

    /// A file with one line, to which somebody else writes at the moment.
    struct Busy {
        folder: tempfile::TempDir,
        path: std::path::PathBuf,
        audit: Audit,
        other: File,
    }

    impl Busy {
        async fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("audit.jsonl");
            let audit = Audit::to(&path).expect("a thread");
            audit.record(approved(), None, AT).await.expect("it can be written");
            let other = File::open(&path).expect("there");
            other.lock().expect("it is free");
            Self { folder, path, audit, other }
        }
    }

    /// What somebody else wrote meanwhile is not cut off with what could not be written: the lock is held from before the first byte until after the last.
    #[tokio::test]
    async fn whoever_writes_to_the_file_waits_for_whoever_does() {
        let Busy { folder: _folder, path, audit, other } = Busy::new().await;
        let late = audit.record(approved(), None, AT).await;
        assert_eq!(late.expect_err("somebody else writes").reason, Reason::TemporarilyUnavailable);
        other.unlock().expect("it was ours");
        audit.record(approved(), None, AT).await.expect("it can be written");
        let lines = std::fs::read_to_string(&path).expect("it is there").lines().count();
        assert_eq!(lines, 3, "what was already on its way is among them");
    }

    /// Of what is refused because the disk is not there, nothing is written when it is there again.
    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_written_and_not_everything_waits() {
        let Busy { folder: _folder, path, audit, other } = Busy::new().await;
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..12_000 {
            let audit = audit.clone();
            crowd.spawn(async move { audit.record(approved(), None, AT).await.is_ok() });
        }
        assert!(!crowd.join_all().await.into_iter().any(|written| written));
        other.unlock().expect("it was ours");
        while audit.record(Event::Resumed, None, AT).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let text = std::fs::read_to_string(&path).expect("it is there");
        let lines = text.lines().count();
        assert!(
            lines <= 1 + 1_000 + 1 && text.ends_with("\"resumed\"}\n"),
            "{lines}: what was on its way, and no more"
        );
    }
}
