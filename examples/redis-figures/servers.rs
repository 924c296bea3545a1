//! [`Stage`]: a `redis-server`, a `countersign serve` and a bank, each on a port of its own on loopback, and what the processor spends on the first two.

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use countersign::cli::certs;
use countersign::clock;
use countersign::store::redis::Redis;
use countersign::store::redis::place::{Place, Topology};
use redis::aio::MultiplexedConnection;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::till::Till;
use crate::{Fsync, Told, bank};

/// What everything stands on.
pub(crate) struct Stage {
    /// Who asks.
    pub(crate) till: Till,
    /// A way to Redis beside the server, to put what was not asked for.
    pub(crate) backend: Redis,
    admin: MultiplexedConnection,
    server: Process,
    redis: Process,
    _folder: TempDir,
}

/// Time on a processor so far.
#[derive(Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) redis: Duration,
    pub(crate) server: Duration,
}

impl Spent {
    /// What was spent since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { redis: self.redis.saturating_sub(earlier.redis), server: self.server.saturating_sub(earlier.server) }
    }
}

impl Stage {
    /// Starts everything and waits until it answers.
    pub(crate) async fn put_up(fsync: Fsync) -> Told<Self> {
        let folder = tempfile::Builder::new().prefix("countersign-figures-").tempdir()?;
        let certs = folder.path().join("certs");
        certs::dev(&certs, "localhost", &clock::System)?;
        let redis_port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port();
        let redis = redis_server(redis_port, folder.path(), fsync)?;
        let admin = admin(redis_port).await?;
        let bank = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let text = include_str!("server.toml")
            .replace("{redis}", &redis_port.to_string())
            .replace("{bank}", &bank.local_addr()?.port().to_string());
        let file = folder.path().join("server.toml");
        std::fs::write(&file, text)?;
        let key = folder.path().join("sealing.key");
        std::fs::write(&key, "figures".repeat(8))?;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
        bank::open(bank, &certs)?;
        let (server, ports) = serve(&file)?;
        let place = Place {
            topology: Topology::Standalone,
            addresses: vec![("127.0.0.1".to_owned(), redis_port)],
            credentials: None,
            tls: None,
            prefix: "countersign".to_owned(),
        };
        let backend = Redis::at(place, Arc::new(clock::System), false).await;
        Ok(Self { till: Till::open(&certs, ports)?, backend, admin, server, redis, _folder: folder })
    }

    /// What is measured, in a line.
    pub(crate) async fn described(&self) -> Told<String> {
        let cores = std::thread::available_parallelism()?;
        let (version, memory) = (self.info("redis_version").await?, self.info("mem_allocator").await?);
        let fsync = self.appendfsync().await?;
        Ok(format!("Redis {version} with {memory}, appendfsync {fsync}; everything on {cores} processors"))
    }

    /// When Redis has its append-only file written to the disk.
    pub(crate) async fn appendfsync(&self) -> Told<String> {
        let (_, fsync): (String, String) =
            redis::cmd("CONFIG").arg("GET").arg("appendfsync").query_async(&mut self.admin.clone()).await?;
        Ok(fsync)
    }

    /// Has it written at another time.
    pub(crate) async fn set_appendfsync(&self, fsync: &str) -> Told<()> {
        let mut set = redis::cmd("CONFIG");
        Ok(set.arg("SET").arg("appendfsync").arg(fsync).exec_async(&mut self.admin.clone()).await?)
    }

    /// The bytes Redis uses.
    pub(crate) async fn used_memory(&self) -> Told<u64> {
        Ok(self.info("used_memory").await?.parse()?)
    }

    /// Forgets everything, beside its other work: a Redis that did nothing else for a second would be taken for one that is away.
    pub(crate) async fn flush(&self) -> Told<()> {
        redis::cmd("FLUSHALL").arg("ASYNC").exec_async(&mut self.admin.clone()).await?;
        while self.info("lazyfree_pending_objects").await? != "0" {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// What the processor has spent on either so far.
    pub(crate) fn spent(&self) -> Told<Spent> {
        Ok(Spent { redis: self.redis.spent()?, server: self.server.spent()? })
    }

    async fn info(&self, name: &str) -> Told<String> {
        let info: String = redis::cmd("INFO").query_async(&mut self.admin.clone()).await?;
        let found = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(found.ok_or("INFO does not say it")?.to_owned())
    }
}

/// A process that ends with the stage.
struct Process(Child);

impl Process {
    /// Time on a processor, of all threads that live: Linux counts it in nanoseconds.
    fn spent(&self) -> Told<Duration> {
        let mut nanoseconds = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            nanoseconds += text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanoseconds))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Rewriting of the append-only file is off, so that no figure has one in it and another not.
fn redis_server(port: u16, folder: &Path, fsync: Fsync) -> Told<Process> {
    let fsync = match fsync {
        Fsync::Always => "always",
        Fsync::Everysec => "everysec",
    };
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
    command.args(["--appendfsync", fsync, "--auto-aof-rewrite-percentage", "0", "--dir"]).arg(folder);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Ok(Process(child.map_err(|error| format!("redis-server cannot be started: {error}"))?))
}

async fn admin(port: u16) -> Told<MultiplexedConnection> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/"))?;
    let mut looks = 0;
    loop {
        match client.get_multiplexed_async_connection().await {
            Err(_) if looks < 1_000 => {
                looks += 1;
                sleep(Duration::from_millis(10)).await;
            }
            connected => return Ok(connected?),
        }
    }
}

/// The server, and its public and its internal port, which it says in its log. The rest of the log is read and dropped.
fn serve(file: &Path) -> Told<(Process, (u16, u16))> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.args(["serve", "--config"]).arg(file).stderr(Stdio::piped()).spawn()?;
    let mut log = BufReader::new(child.stderr.take().ok_or("the log is piped")?);
    let server = Process(child);
    let mut line = String::new();
    let ports = loop {
        line.clear();
        if log.read_line(&mut line)? == 0 {
            return Err("the server did not start".into());
        }
        let event: Value = serde_json::from_str(&line).map_err(|_| line.trim_end().to_owned())?;
        let port = |name| event[name].as_str().and_then(|at: &str| at.rsplit(':').next()?.parse().ok());
        if let Some(ports) = port("listen").zip(port("internal_listen")) {
            break ports;
        }
    };
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    Ok((server, ports))
}
