//! [`RedisServer`]: a `redis-server` of the test's own, on a free port, in a folder of its own, gone when the test is.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

/// How often to look whether a server answers, a hundred times a second.
const PATIENCE: u32 = 2_000;

/// A running server, and what it was started with, so that it can be started again.
pub(crate) struct RedisServer {
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    listen: &'static str,
    arguments: Vec<String>,
    pub(crate) child: Option<Child>,
}

impl RedisServer {
    /// One that forgets nothing: every write is on the disk before it is answered.
    pub(crate) fn start() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// One with `arguments` of its own.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        Self::listening("--port", arguments)
    }

    /// One that listens at its port as `listen` says.
    pub(crate) fn listening(listen: &'static str, arguments: &[&str]) -> Self {
        let mut server = Self::resting(listen, arguments);
        server.start_again();
        server
    }

    /// The same, not started yet.
    pub(crate) fn resting(listen: &'static str, arguments: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        std::fs::write(folder.path().join("redis.conf"), "save \"\"\n").expect("it can be written");
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { port: free_port(), folder, listen, arguments, child: None }
    }

    /// Starts it on the same port, with the same files.
    pub(crate) fn start_again(&mut self) {
        assert!(self.child.is_none(), "it is running");
        // A file that grows too large is an error of the write then, as a full disk is, and no signal that ends it.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec redis-server \"$@\"", "redis-server"]);
        command.arg(self.path("redis.conf")).args([self.listen, &self.port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--dir", self.folder.path().to_str().expect("UTF-8"), "--loglevel", "warning"]);
        command.args(["--logfile", self.path("redis.log").to_str().expect("UTF-8")]).args(&self.arguments);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = self.child.insert(child.expect("redis-server is installed; ./test installs it"));
        let mut looks = 0;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            looks += 1;
            let ended = child.try_wait().expect("it is ours").is_some();
            assert!(looks < PATIENCE && !ended, "redis-server did not start: {}", log(&self.folder));
            sleep(Duration::from_millis(10));
        }
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is ours");
            child.wait().expect("it ends");
        }
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().expect("it is running");
        let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(told.expect("kill is there").success());
        child.wait().expect("it ends");
    }

    /// `127.0.0.1:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A file of it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A connection of somebody who may do anything.
    pub(crate) async fn admin(&self) -> redis::aio::MultiplexedConnection {
        admin(self.port).await
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn log(folder: &TempDir) -> String {
    std::fs::read_to_string(folder.path().join("redis.log")).unwrap_or_default()
}

/// A connection to the server on `port`, of somebody who may do anything.
pub(crate) async fn admin(port: u16) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).expect("a URL");
    // On a busy machine, and on a Redis that loads, an answer may take its time.
    let patience = Some(Duration::from_secs(20));
    let config = redis::AsyncConnectionConfig::new().set_connection_timeout(patience).set_response_timeout(patience);
    client.get_multiplexed_async_connection_with_config(&config).await.expect("it runs")
}

/// A port that is free, each once in a process. It is none of those that Linux hands out by itself, unless told otherwise, of which the end of any
/// connection may be given one before somebody listens there.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    const PORTS: std::ops::Range<u16> = 20_000..32_768;
    let many = u32::from(PORTS.end - PORTS.start);
    // Processes that run at once begin in different places.
    let first = id().wrapping_mul(331) % many;
    loop {
        let given = GIVEN.fetch_add(1, Ordering::SeqCst);
        assert!(given < many, "no port is free");
        let port = PORTS.start + u16::try_from((first + given) % many).expect("it is in the range");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
