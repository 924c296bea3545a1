//! [`Told`]: whether somebody has told the program to stop: by SIGINT or SIGTERM, or SIGHUP, when its terminal is closed.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::fault::Fault;

/// Hears it from the moment it is made, whatever goes on.
pub(crate) struct Told(watch::Receiver<bool>);

impl Told {
    /// # Errors
    /// The system does not pass signals on.
    pub(crate) fn listen() -> Result<Self, Fault> {
        let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hangup = signal(SignalKind::hangup())?;
        let (tell, told) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
            tell.send_replace(true);
        });
        Ok(Self(told))
    }

    /// Ends when it is told to.
    pub(crate) async fn to_stop(&self) -> Fault {
        // The sender is only gone when the program is.
        drop(self.0.clone().wait_for(|told| *told).await);
        "told to stop".into()
    }

    /// Whether it has been told.
    pub(crate) fn already(&self) -> bool {
        *self.0.borrow()
    }

    /// Does `work` to its end, unless it is told to stop before.
    ///
    /// # Errors
    /// Those of the work, or it was told to stop.
    pub(crate) async fn unless<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        tokio::select! {
            done = work => done,
            fault = self.to_stop() => Err(fault),
        }
    }
}
