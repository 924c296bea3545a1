//! The accept loop. Ours, because `axum::serve` sets no timers: deadlines on the handshake, the headers, the body and idling; caps on
//! connections; a drain that lets what was begun be finished.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::{CONNECTION, HeaderValue};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::current::Current;
use crate::http::extract::BodyDeadline;
use crate::http::finished::Finished;
use crate::http::handshake::{self, Refused};
use crate::http::proxied::{Address, Balancers};
use crate::http::tls::{Gaze, Shown};
use crate::telemetry::metrics::{Handshake, Metrics};

const LARGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;

/// How much of a connection's time and how many connections a listener gives away.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a TLS handshake may take, and what a balancer says before it.
    pub handshake: Duration,
    /// How long the head of a request may take to arrive, and how long a connection may idle before it.
    pub head: Duration,
    /// How long a body may take to arrive, and an answer to be taken.
    pub body: Duration,
    /// How long connections are still taken after the word to stop, each for one request: until whoever balances the load knows of it.
    pub leave: Duration,
    /// How long a drain waits for what was begun.
    pub drain: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address, which behind a balancer is the caller's.
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
            leave: seconds(0),
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

/// Serves until `shutdown` says true (or its sender is gone), takes its leave, then drains.
pub async fn run(listener: Listener, shutdown: watch::Receiver<bool>) {
    behind(&Balancers::default(), listener, shutdown).await;
}

/// The same, behind `balancers`, who say whom they bring.
pub async fn behind(balancers: &Balancers, listener: Listener, shutdown: watch::Receiver<bool>) {
    let Listener { tcp, tls, gaze, router, limits, counted } = listener;
    let mut told = shutdown.clone();
    let mut gone = pin!(async {
        told.wait_for(|stop| *stop).await.ok();
        sleep(limits.leave).await;
    });
    let (room, crowd) = (Arc::new(Semaphore::new(limits.connections)), Arc::new(Crowd::default()));
    let (graceful, begun) = (GracefulShutdown::new(), TaskTracker::new());
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut gone => break,
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
        let door = Door {
            permit,
            balancers: balancers.clone(),
            crowd: crowd.clone(),
            acceptor: TlsAcceptor::from(tls.value()),
            gaze: gaze.clone(),
            limits,
        };
        let (router, counted) = (router.clone(), counted.clone());
        let drain = Drain { watcher: graceful.watcher(), begun: begun.clone(), shutdown: shutdown.clone() };
        tokio::spawn(async move {
            let open = counted.metrics.connected(counted.name);
            let opened = timeout(limits.handshake, door.open(stream, address.ip())).await;
            let shook = |handshake| counted.metrics.shook(counted.name, handshake);
            match opened {
                Ok(Ok(guest)) => {
                    shook(handshake::done(guest.stream.get_ref().1));
                    connection(guest, (router, limits), drain).await;
                }
                Ok(Err(error)) => {
                    shook(handshake::failed(&error));
                    tracing::debug!(%error, "the handshake failed");
                }
                Err(_) => {
                    shook(Handshake::TimedOut);
                    tracing::debug!("the handshake took too long");
                }
            }
            drop(open);
        });
    }
    drop(tcp);
    let drained = async {
        graceful.shutdown().await;
        // What goes on after its connection is known of by now.
        begun.close();
        begun.wait().await;
    };
    if timeout(limits.drain, drained).await.is_err() {
        tracing::warn!("some requests or connections did not finish within the drain time");
    }
}

/// What lets a connection, and what was begun on it, come to its end.
struct Drain {
    watcher: Watcher,
    begun: TaskTracker,
    shutdown: watch::Receiver<bool>,
}

/// What a connection has to come through, in time, before a byte of HTTP is read.
struct Door {
    permit: OwnedSemaphorePermit,
    balancers: Balancers,
    crowd: Arc<Crowd>,
    acceptor: TlsAcceptor,
    gaze: Gaze,
    limits: Limits,
}

/// Who came through.
struct Guest {
    stream: TlsStream<Pin<Box<TimeoutStream<TcpStream>>>>,
    address: Address,
    shown: Shown,
    place: Arc<(OwnedSemaphorePermit, Place)>,
}

impl Door {
    /// Whose connection it is comes first, for it says among whose connections this one counts.
    async fn open(self, mut stream: TcpStream, peer: IpAddr) -> Result<Guest, Refused> {
        stream.set_nodelay(true).ok();
        let address = self.balancers.caller(&mut stream, peer).await.map_err(Refused::Unannounced)?;
        let place = self.crowd.enter(address, self.limits.connections_per_address).ok_or(Refused::Crowded)?;
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.body));
        let stream = self.acceptor.accept(Box::pin(stream)).await.map_err(Refused::Tls)?;
        let shown = Shown::of(self.gaze, stream.get_ref().1.peer_certificates());
        Ok(Guest { stream, address: Address(address), shown, place: Arc::new((self.permit, place)) })
    }
}

/// Serves one connection, for as long as it keeps to the deadlines. The peer's certificate and whose connection it is travel with each request.
/// A request that was begun is carried out, whether or not the caller waits for it: a person who has been asked has been asked. Until then it has the
/// connection's place: whoever hangs up has no more at once than whoever waits.
/// Once there is word to stop, the connection ends with the next answer, which says so.
async fn connection(guest: Guest, (router, limits): (Router, Limits), drain: Drain) {
    let Guest { stream, address, shown, place } = guest;
    let Drain { watcher, begun, shutdown } = drain;
    let _here = begun.token();
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        if let Some(peer) = shown.peer() {
            request.extensions_mut().insert(peer);
        }
        request.extensions_mut().insert(address);
        request.extensions_mut().insert(BodyDeadline(limits.body));
        let (answering, place) = (router.clone().oneshot(request.map(Body::new)), place.clone());
        let placed = async move {
            let answer = answering.await;
            drop(place);
            answer
        };
        let answering = Finished::new(placed, begun.clone());
        let shutdown = shutdown.clone();
        async move {
            let mut response = answering.await?;
            if *shutdown.borrow() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
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
    /// A network of 64 bits is one host to us: whoever has one address of it has them all.
    fn enter(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Place> {
        let address = match address {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            IpAddr::V4(_) => address,
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_of_64_bits_counts_as_one_address() {
        let crowd = Arc::<Crowd>::default();
        let enter = |address: &str| crowd.enter(address.parse().expect("an address"), 2);
        let held = [enter("2001:db8:0:1::1"), enter("2001:db8:0:1:ffff::2")];
        assert!(held.iter().all(Option::is_some));
        assert!(enter("2001:db8:0:1:1234:5678:9abc:def0").is_none(), "the same network");
        assert!(enter("2001:db8:0:2::1").is_some() && enter("192.0.2.1").is_some(), "others have their own");
        drop(held);
        assert!(enter("2001:db8:0:1::3").is_some(), "it was given up");
        assert!(crowd.0.lock().expect("unpoisoned").is_empty());
    }
}
