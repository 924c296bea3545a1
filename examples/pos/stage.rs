//! [`Stage`]: a temporary folder, throw-away certificates, three ports on loopback, and the server and the bank behind them.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use countersign::cli::{certs, serve};
use countersign::config::Config;
use countersign::config::reader::Fault;
use countersign::{clock, secret, telemetry};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::bank::{Bank, Prompt};
use crate::holder::Binding;
use crate::listener;
use crate::places::Places;
use crate::story::{Story, Told};

/// What has to be put up before the story and taken down after it.
pub(crate) struct Stage {
    folder: TempDir,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    bank: JoinHandle<()>,
}

/// What the actors find on the stage.
pub(crate) struct Set {
    pub(crate) places: Places,
    pub(crate) bank: Arc<Bank>,
    pub(crate) prompts: mpsc::Receiver<Prompt>,
}

impl Stage {
    /// Puts everything up. The server is the real one: `countersign serve` runs the same function on the same kind of file.
    pub(crate) async fn put_up(story: &Story, binding: Binding) -> Told<(Self, Set)> {
        let folder = tempfile::Builder::new().prefix("countersign-pos-").tempdir()?;
        let certs = folder.path().join("certs");
        certs::dev(&certs, "localhost", &clock::System)?;
        let (public, internal, bank) = (Port::open().await?, Port::open().await?, Port::open().await?);
        let member = match binding {
            Binding::Certificate => "tls_client_certificate_bound_access_tokens",
            Binding::Key => "dpop_bound_access_tokens",
        };
        let text = include_str!("server.toml")
            .replace("{binding}", member)
            .replace("{public}", &public.number.to_string())
            .replace("{internal}", &internal.number.to_string())
            .replace("{bank}", &bank.number.to_string());
        let file = folder.path().join("server.toml");
        std::fs::write(&file, text)?;
        let places = Places { issuer: public.url(), internal: internal.url(), bank: bank.url(), certs, binding };
        let (stop, stopped) = watch::channel(false);
        let server = serve(&file, (public.tcp, internal.tcp), stopped).await?;
        let (actor, prompts) = Bank::open(&places, story.clone())?;
        let bank = tokio::spawn(listener::serve(bank.tcp, actor.router(), listener::tls(&places.certs)?));
        Ok((Self { folder, stop, server, bank }, Set { places, bank: actor, prompts }))
    }

    /// Lets the server finish what was begun, and leaves nothing behind.
    pub(crate) async fn take_down(self) -> Told<()> {
        self.stop.send_replace(true);
        self.server.await?;
        self.bank.abort();
        Ok(self.folder.close()?)
    }
}

/// Runs the server that the configuration in `file` describes.
async fn serve(file: &Path, ports: (TcpListener, TcpListener), stopped: watch::Receiver<bool>) -> Told<JoinHandle<()>> {
    let faults = |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let config = Config::load(file).map_err(faults)?;
    let telemetry = telemetry::install(config.log, None, "")?;
    let clock = Arc::new(clock::System);
    let server = config.server_on(config.backend(clock.clone()).await, (clock, Arc::new(secret::System)));
    Ok(tokio::spawn(async move {
        serve::both(&server, ports, (&config, stopped)).await;
        telemetry.end();
    }))
}

/// A port on loopback that the system has picked.
struct Port {
    tcp: TcpListener,
    number: u16,
}

impl Port {
    async fn open() -> std::io::Result<Self> {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let number = tcp.local_addr()?.port();
        Ok(Self { tcp, number })
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.number)
    }
}
