//! `countersign serve`: both listeners, until told to stop.

use std::error::Error;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::audit::{Audit, Event};
use crate::cli::{check, gauges, reload};
use crate::clock::{self, Clock as _};
use crate::config::{Config, Mode};
use crate::endpoint::Server;
use crate::http::routes::{Side, router};
use crate::http::serve::{self, Counted, Listener};
use crate::http::tls::Gaze;
use crate::secret::{self, uuid};
use crate::store::backend::Trouble;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{self, LAST_LINES, Outlet};

/// As signal(7) numbers it.
const SIGXFSZ: i32 = 25;

/// Serves the configuration at `path`.
pub(super) fn run(path: &Path) -> ExitCode {
    match Config::load(path) {
        Ok(config) => serve(path, config),
        Err(faults) => check::refuse(path, &faults),
    }
}

/// Serves `config`, which was read from the file at `path`, until told to stop.
pub fn serve(path: &Path, config: Config) -> ExitCode {
    match start(path, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("countersign serve: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(path: &Path, config: Config) -> Result<(), Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let telemetry = telemetry::install(config.log, config.collector.as_ref(), &uuid(&secret::System))?;
    let told = (telemetry.metrics.clone(), telemetry.log.as_ref().map(|log| log.0.clone()));
    let served = runtime.block_on(listen(path, config, told));
    telemetry.end();
    // What was begun is finished; a name look-up that hangs is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(served?)
}

async fn listen(path: &Path, config: Config, (metrics, log): (Arc<Metrics>, Option<Outlet>)) -> io::Result<()> {
    let bind = async |key: &str, address| {
        let named = |error: io::Error| {
            let taken = "; another process listens there, perhaps another countersign: end that one, or change this";
            let hint = if error.kind() == io::ErrorKind::AddrInUse { taken } else { "" };
            io::Error::other(format!("server.{key} = \"{address}\": {error}{hint}"))
        };
        TcpListener::bind(address).await.map_err(named)
    };
    let public = bind("listen", config.listen).await?;
    let internal = bind("internal_listen", config.internal_listen).await?;
    let (stop, stopped) = watch::channel(false);
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let hangup = signal(SignalKind::hangup())?;
    // Whoever limits how large a file may be (ulimit -f) has what cannot be written refused, and not the server killed.
    let _too_large = signal(SignalKind::from_raw(SIGXFSZ))?;
    let leave_seconds = config.limits.leave.as_secs();
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {} _ = interrupt.recv() => {} }
        tracing::info!(
            leave_seconds,
            "stopping: not ready any more, then no new connections, finishing what was begun"
        );
        stop.send_replace(true);
        // A second signal is impatience.
        tokio::select! { _ = term.recv() => {} _ = interrupt.recv() => {} }
        if let Some(log) = log {
            log.flush(LAST_LINES);
        }
        std::process::exit(1);
    });
    let wanted = 2 * config.limits.connections as u64 + 64;
    if let Some(allowed) = descriptors().filter(|allowed| *allowed < wanted) {
        tracing::warn!(
            allowed,
            wanted,
            "too few file descriptors for limits.connections; raise ulimit -n, or lower it"
        );
    }
    let (clock, entropy) = (Arc::new(clock::System), Arc::new(secret::System));
    tracing::info!(store = %config.storage, "what has to be remembered is kept in this store");
    let backend = config.backend(clock.clone()).await;
    match backend.trouble() {
        Some(Trouble::Unfit(why)) if config.mode == Mode::Production => {
            return Err(io::Error::other(format!("store: {why}")));
        }
        Some(trouble) => {
            tracing::error!(%trouble, "the store is in trouble; starting all the same, to go on when it is well");
        }
        None => {}
    }
    let audit = match &config.audit {
        None => Audit::Log,
        Some(place) => Audit::to(place.clone())?,
    };
    let started = Event::Started { version: env!("CARGO_PKG_VERSION") };
    let unwritable = |_| io::Error::other("what happens cannot be recorded (audit); the log says why");
    audit.record(started, None, clock.now()).await.map_err(unwritable)?;
    let server = config.server_with(backend, (audit, metrics), (clock, entropy));
    gauges::show(&server, &config);
    let config = Arc::new(config);
    let watching = tokio::spawn(reload::watch(path.to_owned(), (config.clone(), server.clone()), hangup));
    tracing::info!(
        issuer = config.profile.issuer().issuer,
        profile = config.profile.rules().name,
        listen = %public.local_addr()?,
        internal_listen = %internal.local_addr()?,
        registered = config.clients.len(),
        "ready"
    );
    both(&server, (public, internal), (&config, stopped)).await;
    watching.abort();
    tracing::info!("stopped");
    Ok(())
}

/// How many file descriptors this process may have, where the system says so as Linux does.
fn descriptors() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

/// Serves the world on one port and the bank on another, until `stopped` says so.
pub async fn both(
    server: &Arc<Server>,
    (public, internal): (TcpListener, TcpListener),
    (config, stopped): (&Config, watch::Receiver<bool>),
) {
    let on = |tcp, side, name| {
        let gaze = Gaze { authorities: config.authorities.clone(), clock: server.clock() };
        let counted = Counted { metrics: server.metrics().clone(), name };
        let (tls, router, limits) = (config.tls.clone(), router(side, server), config.limits);
        let listener = Listener { tcp, tls, gaze, router, limits, counted };
        serve::behind(&config.balancers, listener, stopped.clone())
    };
    let mut told = stopped.clone();
    let leaving = async {
        told.wait_for(|stop| *stop).await.ok();
        server.leave();
    };
    let serving =
        async { tokio::join!(leaving, on(public, Side::Public, "public"), on(internal, Side::Internal, "internal")) };
    tokio::select! { _ = serving => {} () = server.take_over_pings() => {} }
}
