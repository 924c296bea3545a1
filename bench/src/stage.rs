//! [`Stage`]: what a run stands on: certificates, the bank, the collector, and servers, each a process of its own that ends with its value.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use countersign::cli::certs;
use countersign::clock::{self, Stopwatch};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use toml::Table;

use crate::answering::{self, Says, bank, collector};
use crate::cores::Cores;
use crate::load::Way;
use crate::till::{Kind, Places};
use crate::{Told, tls};

/// How long a process may take to answer. A server takes a fraction of a second; a busy machine may need longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which of the servers there are to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// It keeps what it has to remember in a Redis on the other core.
    pub(crate) redis: bool,
    /// It tells a collector: metrics, and spans of one request in ten. Its log is in JSON.
    pub(crate) telemetry: bool,
    /// It asks the bank over HTTPS who is meant, and to have them asked. Without that, a bank within answers at once.
    pub(crate) bank: bool,
}

impl Variant {
    /// What is held against the machine's bounds.
    pub(crate) const PLAIN: Self = Self { redis: false, telemetry: false, bank: false };
}

/// What everything stands on.
pub(crate) struct Stage {
    pub(crate) certs: PathBuf,
    pub(crate) cores: Cores,
    folder: TempDir,
    bank: u16,
    collector: u16,
}

/// A process that ends with this.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A server that is ready.
pub(crate) struct Running {
    pub(crate) server: Process,
    _redis: Option<Process>,
    /// Where it is asked.
    pub(crate) places: Places,
    /// The way there, with the till's certificate.
    pub(crate) way: Way,
    /// The way to the internal listener, with the bank's.
    pub(crate) internal: Way,
    pub(crate) internal_url: String,
    /// How long it took from its start until it was ready.
    pub(crate) took: Duration,
}

impl Stage {
    /// Makes certificates, and opens the bank and the collector.
    pub(crate) async fn put_up(cores: Cores) -> Told<Self> {
        let folder = tempfile::Builder::new().prefix("countersign-bench-").tempdir()?;
        let certs = folder.path().join("certs");
        certs::dev(&certs, "localhost", &clock::System)?;
        let key = folder.path().join("sealing.key");
        fs::write(&key, "bench".repeat(8))?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        let acceptor = TlsAcceptor::from(Arc::new(tls::bank(&certs)?));
        let (bank, collector) = (open(Some(acceptor), bank).await?, open(None, collector).await?);
        Ok(Self { certs, cores, folder, bank, collector })
    }

    /// Starts a server, and waits until it is ready.
    pub(crate) async fn serve(&self, variant: Variant) -> Told<Running> {
        let redis = if variant.redis { Some(self.redis().await?) } else { None };
        let [public, internal] = free_ports()?;
        let file = self.folder.path().join("server.toml");
        let ports = [("{public}", public), ("{internal}", internal), ("{bank}", self.bank)];
        let text = ports
            .iter()
            .fold(include_str!("server.toml").to_owned(), |text, (name, port)| text.replace(name, &port.to_string()));
        let mut settings: Table = text.parse()?;
        settings.extend(self.told_where(variant, redis.as_ref().map(|(_, port)| *port))?);
        fs::write(&file, toml::to_string(&settings)?)?;
        let log = self.folder.path().join("server.log");
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("server").arg("--config").arg(&file).args(["--core", &self.cores.server.to_string()]);
        if !variant.bank {
            command.arg("--bank-within");
        }
        let begun = Stopwatch::start();
        let mut server = Process(command.stdin(Stdio::null()).stderr(File::create(&log)?).spawn()?);
        let issuer = format!("https://localhost:{public}");
        let internal_url = format!("https://localhost:{internal}");
        let internal = Way::to(&internal_url, Arc::new(tls::client(&self.certs, "bank")?)).await?;
        let internal = internal.on_shared_core(variant.redis);
        let took = ready((&internal, &mut server), begun).await?.ok_or_else(|| {
            let said = fs::read_to_string(&log).unwrap_or_default();
            format!("the server did not become ready; it said:\n{}", said.trim_end())
        })?;
        let way = Way::to(&issuer, Arc::new(tls::client(&self.certs, "till")?)).await?.on_shared_core(variant.redis);
        let places = places(&way, &issuer).await?;
        let redis = redis.map(|(process, _)| process);
        Ok(Running { server, _redis: redis, places, way, internal, internal_url, took })
    }

    /// The settings that differ from one variant to the next, and the clients.
    fn told_where(&self, variant: Variant, redis: Option<u16>) -> Told<Table> {
        let store = match redis {
            // Room for all that a run asks for: nothing is ever forgotten to make room.
            None => "kind = \"memory\"\ncapacity = 2000000".to_owned(),
            Some(port) => format!(
                "kind = \"redis\"\ntopology = \"standalone\"\naddresses = [\"127.0.0.1:{port}\"]\nprefix = \"bench\"\nsealing_key = \"sealing.key\""
            ),
        };
        let format = if variant.telemetry { "json" } else { "pretty" };
        let log = format!("[log]\nformat = \"{format}\"\nlevel = \"info\"");
        let telemetry = variant.telemetry.then(|| {
            format!(
                "[telemetry]\notlp = \"http://127.0.0.1:{}\"\nprotocol = \"http\"\ntraced_percent = 10\nmetrics_seconds = 5\n",
                self.collector
            )
        });
        let mut settings: Table = format!("[store]\n{store}\n{log}\n{}", telemetry.unwrap_or_default()).parse()?;
        let clients: Told<Vec<_>> = Kind::ALL
            .iter()
            .map(|kind| {
                let mut client = Table::try_from(kind.metadata(&Value::from("certs/till.jwks.json")))?;
                client.retain(|_, value| value.as_array().is_none_or(|values| !values.is_empty()));
                Ok(toml::Value::from(client))
            })
            .collect();
        settings.insert("clients".to_owned(), clients?.into());
        Ok(settings)
    }

    /// An empty Redis on the core of the load, with its file on the disk once a second.
    async fn redis(&self) -> Told<(Process, u16)> {
        let [port] = free_ports()?;
        let folder = tempfile::Builder::new().prefix("redis-").tempdir_in(self.folder.path())?.keep();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "everysec", "--dir"]).arg(folder);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut redis = Process(child?);
        let begun = Stopwatch::start();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = redis.0.try_wait()? {
                return Err(format!("redis-server ended with {status}").into());
            }
            if begun.elapsed() > PATIENCE {
                return Err("redis-server does not answer".into());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok((redis, port))
    }

    /// The echo, in a process of its own on the server's core, and the way to it.
    pub(crate) async fn echo(&self) -> Told<(Process, Way)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("echo").args(["--core", &self.cores.server.to_string(), "--certs"]).arg(&self.certs);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let said = child.stdout.take();
        let echo = Process(child);
        let mut port = String::new();
        if BufReader::new(said.ok_or("its output is piped")?).read_line(&mut port)? == 0 {
            return Err("the echo did not start; what it said is above".into());
        }
        let tls = Arc::new(tls::client(&self.certs, "till")?);
        Ok((echo, Way::to(&format!("https://localhost:{}", port.trim()), tls).await?))
    }
}

/// # Errors
/// No Redis can be started, and what to do.
pub(crate) fn redis_is_there() -> Told<()> {
    let mut asked = Command::new("redis-server");
    let asked = asked.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let advice = "install it (Debian: apt install redis-server), or leave out what needs it: --without redis";
    match asked {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("redis-server --version ended with {status}; {advice}").into()),
        Err(error) => Err(format!("redis-server cannot be started ({error}); {advice}").into()),
    }
}

/// Where the issuer says that it is asked, and what it is called (OpenID Connect Discovery §4).
///
/// # Errors
/// It does not say, or it is another one (§4.3).
pub(crate) async fn places(way: &Way, issuer: &str) -> Told<Places> {
    let path = format!("{}/.well-known/openid-configuration", url::Url::parse(issuer)?.path().trim_end_matches('/'));
    let (status, answer) = way.lane().await?.fetch(&path).await?;
    if status != 200 {
        return Err(format!("{path} of {issuer} was answered with {status}").into());
    }
    let metadata: Value = serde_json::from_slice(&answer.body)?;
    let place =
        |name: &str| Some(metadata["mtls_endpoint_aliases"][name].as_str().or(metadata[name].as_str())?.to_owned());
    let missing = |name: &str| format!("the metadata of {issuer} has no {name}");
    // A slash at the end is part of the name, and none of where the metadata is.
    let own = metadata["issuer"].as_str().ok_or_else(|| missing("issuer"))?;
    if own.trim_end_matches('/') != issuer.trim_end_matches('/') {
        return Err(format!("{issuer} says that it is {own}").into());
    }
    let [backchannel, token] =
        ["backchannel_authentication_endpoint", "token_endpoint"].map(|name| place(name).ok_or_else(|| missing(name)));
    Ok(Places { issuer: own.to_owned(), backchannel: backchannel?, token: token? })
}

/// `None`: it ended, or it is not ready for too long.
async fn ready((internal, server): (&Way, &mut Process), begun: Stopwatch) -> Told<Option<Duration>> {
    while begun.elapsed() < PATIENCE && server.0.try_wait()?.is_none() {
        if let Ok(mut lane) = internal.lane().await
            && let Ok((200, _)) = lane.fetch("/readyz").await
        {
            return Ok(Some(begun.elapsed()));
        }
        sleep(Duration::from_millis(1)).await;
    }
    Ok(None)
}

async fn open(acceptor: Option<TlsAcceptor>, says: Says) -> Told<u16> {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = tcp.local_addr()?.port();
    tokio::spawn(answering::serve(tcp, acceptor, says));
    Ok(port)
}

/// So many ports that were free a moment ago.
fn free_ports<const MANY: usize>() -> Told<[u16; MANY]> {
    // All are held until the last is found, so that none comes twice.
    let held = [(); MANY].map(|()| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let mut ports = [0; MANY];
    for (port, tcp) in ports.iter_mut().zip(held) {
        *port = tcp?.local_addr()?.port();
    }
    Ok(ports)
}

/// The clients' public keys in the folder `certs`.
pub(crate) fn public_keys(certs: &Path) -> Told<Value> {
    let file = certs.join("till.jwks.json");
    let text = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(serde_json::from_slice(&text)?)
}
