//! A [`Node`]: one process of the server, with a configuration of its own, and its log beside that.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use countersign::clock::Stopwatch;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::fault::Fault;

/// How long a server may take until it listens. It takes milliseconds; a busy machine may need longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs until this is dropped.
pub(super) struct Node {
    child: Child,
    log: PathBuf,
}

impl Node {
    /// Starts a server on the configuration at `config`; it will listen on `address`.
    ///
    /// # Errors
    /// It did not start; what it said is told.
    pub(super) async fn start(config: &Path, address: SocketAddr) -> Result<Self, Fault> {
        let log = config.with_extension("log");
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["countersign", "serve", "--config"]).arg(config);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?).kill_on_drop(true);
        let mut node = Self { child: command.spawn()?, log };
        let since = Stopwatch::start();
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = node.child.try_wait()? {
                return Err(format!("the server ended ({status}); it said:\n{}", node.said()).into());
            }
            if since.elapsed() > PATIENCE {
                return Err(format!("the server does not listen on {address}; it said:\n{}", node.said()).into());
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
