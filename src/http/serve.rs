//! The accept loop. Ours, because `axum::serve` sets no timers: deadlines on the handshake, the headers, the body and idling; caps on
//! connections; a drain that lets what was begun be finished.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::current::Current;
use crate::http::extract::BodyDeadline;
use crate::http::handshake;
use crate::http::tls::{Gaze, Shown};
use crate::telemetry::metrics::{Handshake, Metrics};

const LARGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;

/// How much of a connection's time and how many connections a listener gives away.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long the head of a request may take to arrive, and how long a connection may idle before it.
    pub head: Duration,
    /// How long a body may take to arrive, and an answer to be taken.
    pub body: Duration,
    /// How long a drain waits for what was begun.
    pub drain: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let (connections, connections_per_address) = (4_096, 128);
        Self {
            handshake: seconds(5),
            head: seconds(15),
            body: seconds(10),
            drain: seconds(30),
            connections,
            connections_per_address,
        }
    }
}

/// A bound port and what to do with what arrives there.
pub struct Listener {
    /// The port.
    pub tcp: TcpListener,
    /// Its TLS.
    pub tls: Current<ServerConfig>,
    /// How it looks at the certificates of those who come.
    pub gaze: Gaze,
    /// Its routes.
    pub router: Router,
    /// Its limits.
    pub limits: Limits,
    /// What is counted, and under which name.
    pub counted: Counted,
}

/// Where a listener counts its connections.
#[derive(Clone, Default)]
pub struct Counted {
    /// There.
    pub metrics: Arc<Metrics>,
    /// Under this name.
    pub name: &'static str,
}

/// Serves until `shutdown` says true (or its sender is gone), then drains.
pub async fn run(listener: Listener, mut shutdown: watch::Receiver<bool>) {
    let Listener { tcp, tls, gaze, router, limits, counted } = listener;
    let (room, crowd) = (Arc::new(Semaphore::new(limits.connections)), Arc::new(Crowd::default()));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => break,
            accepted = async {
                let permit = room.clone().acquire_owned().await.expect("the semaphore is never closed");
                (permit, tcp.accept().await)
            } => accepted,
        };
        let (permit, (stream, address)) = match accepted {
            (permit, Ok(accepted)) => (permit, accepted),
            (_, Err(error)) => {
                tracing::warn!(%error, "accept failed");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(place) = crowd.enter(address.ip(), limits.connections_per_address) else {
            counted.metrics.shook(counted.name, Handshake::Crowded);
            continue;
        };
        let (acceptor, gaze) = (TlsAcceptor::from(tls.value()), gaze.clone());
        let (router, watcher, counted) = (router.clone(), graceful.watcher(), counted.clone());
        tokio::spawn(async move {
            let open = counted.metrics.connected(counted.name);
            connection((acceptor, gaze, counted), stream, (router, limits, watcher)).await;
            drop((permit, place, open));
        });
    }
    drop(tcp);
    if timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not finish within the drain time");
    }
}

/// Serves one connection, for as long as it keeps to the deadlines. The peer's certificate travels with each request.
async fn connection(
    (acceptor, gaze, counted): (TlsAcceptor, Gaze, Counted),
    stream: TcpStream,
    (router, limits, watcher): (Router, Limits, Watcher),
) {
    stream.set_nodelay(true).ok();
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.body));
    let shook = |handshake| counted.metrics.shook(counted.name, handshake);
    let stream = match timeout(limits.handshake, acceptor.accept(Box::pin(stream))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            shook(handshake::failed(&error));
            return tracing::debug!(%error, "the TLS handshake failed");
        }
        Err(_) => {
            shook(Handshake::TimedOut);
            return tracing::debug!("the TLS handshake took too long");
        }
    };
    shook(handshake::done(stream.get_ref().1));
    let shown = Shown::of(gaze, stream.get_ref().1.peer_certificates());
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        if let Some(peer) = shown.peer() {
            request.extensions_mut().insert(peer);
        }
        request.extensions_mut().insert(BodyDeadline(limits.body));
        router.clone().oneshot(request.map(Body::new))
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(served).await {
        tracing::debug!(%error, "the connection broke off");
    }
}

/// How many connections each address has.
#[derive(Default)]
struct Crowd(Mutex<HashMap<IpAddr, usize>>);

impl Crowd {
    fn enter(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { crowd: self.clone(), address })
    }
}

/// One connection's place among those of its address; given up when dropped.
struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}
