//! [`Process`]: a `countersign serve` of its own, in production mode, beside others on one Redis; and the [`Webhook`] of the bank that they ask.

use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use axum::routing::post;
use axum::{Json, Router};
use countersign::clock::System;
use countersign::current::Current;
use countersign::http::serve::{Counted, Limits, Listener, run};
use countersign::http::tls::{Certificates, Gaze, config, p256, rsa};
use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::bank::{certificates, configuration, pkcs8, pki};
use crate::node::{on_redis, until};
use crate::server::RedisServer;

/// Whom everybody is asked for.
pub(crate) const ALICE: &str = "alice-248289761001";

/// What all processes call themselves.
pub(crate) const ISSUER: &str = "https://as.example";

const PASSWORD: &str = "the-password-of-all-servers";

/// A Redis that has a user for them and forgets nothing.
pub(crate) fn redis(extra: &[&str]) -> RedisServer {
    let password = format!(">{PASSWORD}");
    let user = ["--user", "countersign", "on", &password, "~cs:*", "+@all"];
    RedisServer::with(&[&["--appendonly", "yes", "--appendfsync", "always"], &user[..], extra].concat())
}

/// A bank that knows everybody as alice and takes charge of every prompt.
pub(crate) struct Webhook {
    url: String,
    _open: Option<watch::Sender<bool>>,
}

impl Webhook {
    /// Somebody else's, on `port`.
    pub(crate) fn elsewhere(port: u16) -> Self {
        Self { url: format!("https://localhost:{port}"), _open: None }
    }

    /// On a port of its own.
    pub(crate) async fn open() -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("https://localhost:{}", tcp.local_addr().expect("bound").port());
        let p256 = p256((certificates("bank"), pkcs8("bank.key").into())).expect("they fit");
        let rsa = rsa((certificates("server-rsa"), pkcs8("server-rsa.key").into())).expect("they fit");
        let tls = config(Certificates { p256, rsa }).expect("they fit");
        let known = || async { Json(json!({"status": "known", "sub": ALICE})) };
        let router =
            Router::new().route("/identify", post(known)).route("/prompt", post(|| async { StatusCode::ACCEPTED }));
        let gaze = Gaze { authorities: Current::new(None), clock: Arc::new(System) };
        let limits = Limits { connections_per_address: 4_096, ..Limits::default() };
        let (open, stopped) = watch::channel(false);
        tokio::spawn(run(
            Listener { tcp, tls: Current::of(tls), gaze, router, limits, counted: Counted::default() },
            stopped,
        ));
        Self { url, _open: Some(open) }
    }
}

/// Where servers are met: one, or the load balancer before several.
#[derive(Clone)]
pub(crate) struct Ports {
    /// Where the world comes in.
    pub(crate) public: u16,
    /// Where the bank comes in.
    pub(crate) internal: u16,
}

/// A server in a process of its own, which ends with the test.
pub(crate) struct Process {
    child: Child,
    folder: TempDir,
    ports: Ports,
}

impl Deref for Process {
    type Target = Ports;

    fn deref(&self) -> &Ports {
        &self.ports
    }
}

impl Process {
    /// Starts one on the Redis behind `port` and waits until it is ready.
    pub(crate) fn start(port: u16, webhook: &Webhook) -> Self {
        Self::with((port, webhook), str::to_owned)
    }

    /// The same, with the keys in that folder.
    pub(crate) fn signing_with(keys: &Path, at: (u16, &Webhook)) -> Self {
        let keys = keys.to_str().expect("UTF-8");
        Self::with(at, |text| text.replace(pki().join("keys").to_str().expect("UTF-8"), keys))
    }

    /// The same, after `edit` had its way with the configuration.
    pub(crate) fn with((port, webhook): (u16, &Webhook), edit: impl FnOnce(&str) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("server.toml");
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).expect("written");
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).expect("its own");
        let text = on_redis(&configuration(ISSUER), port)
            .replace("prefix = \"cs\"", "prefix = \"cs\"\nuser = \"countersign\"\npassword = \"password\"")
            .replace("mode = \"development\"", "mode = \"production\"")
            .replace("\nlisten = \"127.0.0.1:9443\"", "\nlisten = \"127.0.0.1:0\"")
            .replace("\ninternal_listen = \"127.0.0.1:9444\"", "\ninternal_listen = \"127.0.0.1:0\"")
            .replace("https://localhost:9445", &webhook.url)
            .replace("format = \"pretty\"", "format = \"json\"");
        fs::write(&path, edit(&text) + "\n[audit]\nfile = \"audit.jsonl\"\n").expect("written");
        let (child, ports) = serve(&path);
        Self { child, folder, ports }
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(&mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(told.expect("kill is there").success());
        until(async || self.child.try_wait().expect("a child").inspect(|end| assert!(end.success())).is_some()).await;
    }

    /// Starts it once more, where it was.
    pub(crate) fn start_again(&mut self) {
        let Ports { public, internal } = self.ports;
        let text = fs::read_to_string(self.config()).expect("there");
        let text = text
            .replace("\nlisten = \"127.0.0.1:0\"", &format!("\nlisten = \"127.0.0.1:{public}\""))
            .replace("\ninternal_listen = \"127.0.0.1:0\"", &format!("\ninternal_listen = \"127.0.0.1:{internal}\""));
        fs::write(self.config(), text).expect("written");
        (self.child, self.ports) = serve(&self.config());
    }

    /// On `public`, which is its issuer's port, so that whoever looks for the issuer finds it; after `edit` had its way with the configuration.
    pub(crate) fn found(public: u16, at: (u16, &Webhook), edit: impl FnOnce(&str) -> String) -> Self {
        let port = format!("\nlisten = \"127.0.0.1:{public}\"");
        let issuer = format!("https://localhost:{public}");
        Self::with(at, |text| edit(&text.replace("\nlisten = \"127.0.0.1:0\"", &port).replace(ISSUER, &issuer)))
    }

    /// Its configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("server.toml")
    }

    /// What it recorded.
    pub(crate) fn audit(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Starts a server and waits until it says that it is ready, and where.
fn serve(path: &Path) -> (Child, Ports) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let mut child = command.args(["serve", "--config"]).arg(path).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut log = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut said = String::new();
    let ready: Value = loop {
        let Some(line) = log.next() else { panic!("it did not start: {said}") };
        let line = line.expect("readable");
        said = said + &line + "\n";
        let event = serde_json::from_str::<Value>(&line).unwrap_or_default();
        if event["message"] == "ready" {
            break event;
        }
    };
    // Somebody has to read what it says, or it stops to wait for that.
    thread::spawn(move || log.for_each(drop));
    let port = |name: &str| ready[name].as_str().and_then(|at| at.rsplit(':').next()?.parse().ok()).expect("a port");
    (child, Ports { public: port("listen"), internal: port("internal_listen") })
}
