//! A [`Node`]: one process of the server, with a configuration of its own, and its log beside that.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use countersign::clock::Stopwatch;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::fault::Fault;

/// How long a server may take until it listens. It takes milliseconds; a busy machine may need longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What it logs when it listens.
const READY: &str = "INFO ready ";
/// What it says of a port that it cannot have, before why.
const PORTS: [&str; 2] = ["server.listen = \"", "server.internal_listen = \""];

/// A server that runs until this is dropped.
pub(super) struct Node {
    child: Child,
    log: PathBuf,
}

/// Why a server did not start, with what it said.
pub(super) enum Unstarted {
    /// Somebody else has a port that it was to listen on.
    PortTaken(Fault),
    /// Anything else.
    Fault(Fault),
}

impl Unstarted {
    pub(super) fn fault(self) -> Fault {
        match self {
            Self::PortTaken(fault) | Self::Fault(fault) => fault,
        }
    }
}

impl<E: Into<Fault>> From<E> for Unstarted {
    fn from(fault: E) -> Self {
        Self::Fault(fault.into())
    }
}

impl Node {
    /// Starts a server on the configuration at `config`, and waits until it says that it is ready.
    pub(super) async fn start(config: &Path) -> Result<Self, Unstarted> {
        let log = config.with_extension("log");
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["countersign", "serve", "--config"]).arg(config);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?).kill_on_drop(true);
        let mut node = Self { child: command.spawn()?, log };
        let since = Stopwatch::start();
        // That its port answers is not enough: that may be somebody else.
        while !node.said().contains(READY) {
            if let Some(status) = node.child.try_wait()? {
                let said = node.said();
                let fault = format!("the server ended ({status}); it said:\n{said}").into();
                let taken = PORTS.iter().any(|port| said.contains(port));
                return Err(if taken { Unstarted::PortTaken(fault) } else { Unstarted::Fault(fault) });
            }
            if since.elapsed() > PATIENCE {
                return Err(format!("the server does not start; it said:\n{}", node.said()).into());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(node)
    }

    /// Ends when the server does, which nobody asked it to; says what it said last.
    pub(super) async fn ended(&mut self) -> Fault {
        let status = self.child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
        format!("the server ended ({status}); it said:\n{}", self.said()).into()
    }

    fn said(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_else(|error| error.to_string());
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}
