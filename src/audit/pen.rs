//! [`Pen`]: the one thread that writes, and how to have it write.

use std::io;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::audit::ledger::Ledger;

/// How many lines may wait.
const MOST_WAITING: usize = 10_000;

/// How long that may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// The hand of the thread that writes.
#[derive(Clone, Debug)]
pub struct Pen {
    ledger: Arc<Ledger>,
    lines: SyncSender<Waiting>,
    failing: Arc<AtomicBool>,
}

/// A line, and who waits for it to be kept.
type Waiting = (Vec<u8>, oneshot::Sender<io::Result<()>>);

impl Pen {
    /// One that writes to `ledger`.
    pub(super) fn at(ledger: Ledger) -> io::Result<Self> {
        let (pen, lines) = sync_channel(MOST_WAITING);
        let ledger = Arc::new(ledger);
        let written = ledger.clone();
        thread::Builder::new().name("audit".into()).spawn(move || write(&written, &lines))?;
        Ok(Self { ledger, lines: pen, failing: Arc::default() })
    }

    /// Where it writes to.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether the last line was not kept.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Writes `line`; it is kept when this returns.
    pub(super) async fn write(&self, line: Vec<u8>) -> io::Result<()> {
        let written = self.written(line).await;
        self.failing.store(written.is_err(), Ordering::Relaxed);
        written
    }

    async fn written(&self, line: Vec<u8>) -> io::Result<()> {
        let (tell, written) = oneshot::channel();
        let gone = || io::Error::other("the thread that writes it is gone");
        self.lines.try_send((line, tell)).map_err(|error| match error {
            TrySendError::Full(_) => io::Error::other("too many lines wait for it"),
            TrySendError::Disconnected(_) => gone(),
        })?;
        match timeout(DEADLINE, written).await {
            Ok(written) => written.map_err(|_| gone())?,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Writes lines as they come, many at once where many wait, and says so when they are kept. A line that nobody waits for any more is of something that was refused meanwhile, and is not written.
fn write(ledger: &Ledger, lines: &Receiver<Waiting>) {
    let mut page = None;
    while let Ok(first) = lines.recv() {
        let more = iter::from_fn(|| lines.try_recv().ok()).take(ledger.most_at_once() - 1);
        let waiting: Vec<Waiting> = iter::once(first).chain(more).filter(|(_, tell)| !tell.is_closed()).collect();
        if waiting.is_empty() {
            continue;
        }
        let text = waiting.iter().flat_map(|(line, _)| line).copied().collect::<Vec<u8>>();
        let written = ledger.append(&mut page, &text);
        for (_, tell) in waiting {
            let said = written.as_ref().copied().map_err(|error| io::Error::new(error.kind(), error.to_string()));
            // Who does not wait any more does not need to know.
            tell.send(said).ok();
        }
    }
}
