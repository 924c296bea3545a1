//! A [`Deployment`]: servers of one ecosystem and the sandbox bank, on free ports, wired up as deploy/ says, with everything they need in one folder.

mod front;
mod node;
mod relay;
mod settings;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use countersign::cli::certs;
use countersign::clock;
use countersign::secret::{Secret, System};
use futures_util::future::select_all;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use crate::bank;
use crate::clients::{self, Pair};
use crate::configuration::Target;
use crate::deployment::node::{Node, Unstarted};
use crate::deployment::settings::{Ports, Settings};
use crate::fault::Fault;
use crate::plan::{Ecosystem, Mode, Plan};
use crate::suite::trust::Vouched;

/// What the bank reports, and what the second client of each plan asks for.
const ACR: &str = "urn:bank:acr:app-pin";

/// How long a Redis may take to let somebody in.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often ports are chosen.
const TRIES: usize = 3;

/// Where the servers keep what they have to remember.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    /// In the one server.
    Memory,
    /// In a Redis: host and port.
    Redis(String),
}

impl FromStr for Store {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = |url: &Url| {
            url.scheme() == "redis"
                && url.username().is_empty()
                && url.password().is_none()
                && matches!(url.path(), "" | "/")
                && url.query().is_none()
        };
        if text == "memory" {
            return Ok(Self::Memory);
        }
        let url = Url::parse(text).ok().filter(bare);
        let address = url.and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port().unwrap_or(6379))));
        address.map(Self::Redis).ok_or_else(|| "memory, or a Redis as in redis://127.0.0.1:6379".to_owned())
    }
}

impl std::fmt::Display for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Redis(address) => write!(f, "redis://{address}"),
        }
    }
}

/// What is to be started.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) ecosystem: Ecosystem,
    /// The plans whose clients it is to know.
    pub(crate) plans: Vec<Plan>,
    pub(crate) store: Store,
    /// How many servers; more than one need a Redis.
    pub(crate) nodes: usize,
    /// Where the suite is, to which pings go.
    pub(crate) suite: String,
    /// Who vouches for it; nobody, if pings need not get there.
    pub(crate) vouched: Option<Vouched>,
    /// Where everything is written, from the root on.
    pub(crate) folder: PathBuf,
}

/// Servers and a bank that run until this is dropped.
pub(crate) struct Deployment {
    /// What the suite is to know of it.
    pub(crate) target: Target,
    /// Who vouches for the certificates it shows, as a file.
    pub(crate) ca: PathBuf,
    /// Where the bank is.
    pub(crate) bank: String,
    /// What it remembers in.
    pub(crate) store: Store,
    /// The clients of its static plans.
    pub(crate) clients: BTreeMap<String, Pair>,
    nodes: Vec<Node>,
    /// The bank, and what stands in front of several servers.
    beside: JoinSet<Result<(), Fault>>,
    _stop: watch::Sender<bool>,
}

impl Deployment {
    /// Makes what is not there yet in the folder, and starts the bank and the servers.
    ///
    /// # Errors
    /// A file cannot be written, a port not be had, or a server does not start; what it said is told.
    pub(crate) async fn start(wanted: &Wanted) -> Result<Self, Fault> {
        // A port that was free may be somebody else's by the time a server binds it.
        for _ in 1..TRIES {
            match Self::attempt(wanted).await {
                Err(Unstarted::PortTaken(_)) => {}
                attempted => return attempted.map_err(Unstarted::fault),
            }
        }
        Self::attempt(wanted).await.map_err(Unstarted::fault)
    }

    async fn attempt(wanted: &Wanted) -> Result<Self, Unstarted> {
        if wanted.nodes > 1 && matches!(wanted.store, Store::Memory) {
            let says = "several servers need a store that they share: --store redis://host:port";
            return Err(Unstarted::Fault(says.into()));
        }
        if let Store::Redis(address) = &wanted.store {
            let connected = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await;
            let connected = connected.map_err(|_| "it does not answer".to_owned());
            if let Err(why) = connected.and_then(|connected| connected.map_err(|error| error.to_string())) {
                return Err(Unstarted::Fault(format!("--store redis://{address}: {why}").into()));
            }
        }
        if let Some(Vouched::ByItself(pem)) = &wanted.vouched
            && wanted.plans.iter().any(|plan| plan.mode == Mode::Ping)
        {
            front::is_believable(pem, &wanted.suite)?;
        }
        let certs = certs(&wanted.folder)?;
        let clients = clients::open(&wanted.folder.join("clients"), &wanted.plans)?;
        let (bank, bank_port) = listener().await?;
        let bank_url = format!("https://localhost:{bank_port}");
        let (mut fronts, mut ports) = (Vec::new(), Vec::new());
        // All at once, so that no two are the same. They are free again when the servers bind them.
        let mut held = Vec::new();
        for _ in 0..wanted.nodes {
            let ((public, one), (internal, other)) = (listener().await?, listener().await?);
            ports.push(Ports { public: one, internal: other });
            held.extend([public, internal]);
        }
        let mut outside = ports[0];
        if wanted.nodes > 1 {
            let ((public, one), (internal, other)) = (listener().await?, listener().await?);
            outside = Ports { public: one, internal: other };
            fronts.push((public, ports.iter().map(|ports| local(ports.public)).collect()));
            fronts.push((internal, ports.iter().map(|ports| local(ports.internal)).collect()));
        }
        let target = Target {
            issuer: format!("https://localhost:{}", outside.public),
            approval_url: Some(format!("{bank_url}{}", bank::APPROVAL)),
            resource_url: format!("{bank_url}{}", bank::ACCOUNTS),
            open_banking_url: format!("{bank_url}{}", bank::OPEN_BANKING),
            initial_access_token: Some(Secret::draw(&System).reveal().to_owned()),
            user: None,
            acr: ACR.to_owned(),
            alias: "countersign".to_owned(),
        };
        let settings = Settings { wanted, target: &target, clients: &clients, bank: &bank_url };
        let configs = settings.write(&ports)?;
        drop(held);
        let (stop, stopped) = watch::channel(false);
        let mut beside = JoinSet::new();
        let decision = format!("https://localhost:{}/decision", outside.internal);
        beside.spawn(bank::serve_on(
            bank,
            bank::Settings { issuer: target.issuer.clone(), decision, certs: certs.clone(), acr: ACR.to_owned() },
            stopped,
        ));
        for (front, servers) in fronts {
            beside.spawn(async move {
                relay::run(front, servers).await;
                Ok(())
            });
        }
        let mut nodes = Vec::new();
        for config in &configs {
            nodes.push(Node::start(config).await?);
        }
        let (ca, store) = (certs.join("ca.pem"), wanted.store.clone());
        Ok(Self { target, ca, bank: bank_url, store, clients, nodes, beside, _stop: stop })
    }

    /// Ends when something of it does that should not, and says what.
    pub(crate) async fn ended(&mut self) -> Fault {
        let nodes = select_all(self.nodes.iter_mut().map(|node| Box::pin(node.ended())));
        tokio::select! {
            (fault, ..) = nodes => fault,
            beside = self.beside.join_next() => match beside {
                Some(Ok(Err(fault))) => format!("the bank ended: {fault}").into(),
                Some(Err(error)) => format!("the bank, or what passes calls on, broke off: {error}").into(),
                Some(Ok(Ok(()))) | None => "the bank ended".into(),
            },
        }
    }
}

/// The certificates and keys of everything, which are there whole or not at all.
fn certs(folder: &Path) -> Result<PathBuf, Fault> {
    let (certs, begun) = (folder.join("certs"), folder.join("certs.new"));
    if !certs.exists() {
        if begun.exists() {
            fs::remove_dir_all(&begun)?;
        }
        certs::dev(&begun, "localhost", &clock::System)?;
        fs::rename(&begun, &certs)?;
    }
    Ok(certs)
}

async fn listener() -> Result<(TcpListener, u16), Fault> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
