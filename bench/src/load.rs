//! [`Lanes`]: connections that are kept, and calls down them: each as soon as the one before it is answered, or at a steady rate.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use countersign::clock::Stopwatch;
use http::header::{CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, yield_now};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::Told;
use crate::till::Call;

/// How many connections a load has.
pub(crate) const LANES: usize = 16;

/// Where calls go, and as whom.
#[derive(Clone)]
pub(crate) struct Way {
    host: String,
    authority: String,
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    /// Whether this core has other work to do.
    shared: bool,
}

impl Way {
    /// The way to the host of `url`, which has an address here.
    pub(crate) async fn to(url: &str, tls: Arc<ClientConfig>) -> Told<Self> {
        let no_url = || format!("{url} is not the URL of an issuer, which begins with https://");
        let url = Url::parse(url).ok().filter(|url| url.scheme() == "https").ok_or_else(no_url)?;
        let named = url.host_str().ok_or("the URL names no host")?;
        // An address of IPv6 has brackets in a URL alone.
        let host = named.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().ok_or("the URL names no port")?;
        let looked_up = tokio::net::lookup_host((host.as_str(), port)).await;
        let mut addresses: Vec<SocketAddr> = looked_up.map_err(|error| format!("{host}: {error}"))?.collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let address = addresses.into_iter().next().ok_or_else(|| format!("{host} has no address"))?;
        // RFC 9110 §7.2: with the port, unless it is that of the scheme.
        let authority = url.port().map_or_else(|| named.to_owned(), |port| format!("{named}:{port}"));
        Ok(Self { host, authority, address, tls, shared: false })
    }

    /// The same, from a core that has other work to do.
    pub(crate) fn on_shared_core(self, shared: bool) -> Self {
        Self { shared, ..self }
    }

    /// A new connection.
    pub(crate) async fn lane(&self) -> Told<Lane> {
        let told = |error| format!("{} at {}: {error}", self.authority, self.address);
        let tcp = TcpStream::connect(self.address).await.map_err(told)?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(self.host.clone())?;
        let tls = TlsConnector::from(self.tls.clone()).connect(name, tcp).await.map_err(told)?;
        let (sender, connection) = handshake(TokioIo::new(tls)).await?;
        tokio::spawn(connection);
        Ok(Lane { sender, way: self.clone() })
    }
}

/// One connection.
pub(crate) struct Lane {
    sender: SendRequest<Full<Bytes>>,
    way: Way,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Lane {
    /// Sends `call`, and holds the answer against the one that is right.
    pub(crate) async fn make(&mut self, call: Call) -> Told<Answer> {
        let uri: Uri = call.url.parse()?;
        // RFC 6749 §3.2: an endpoint may have a query, which stays.
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        let mut request =
            Request::post(&path).header(HOST, &self.way.authority).header(CONTENT_TYPE, call.content_type);
        if let Some(proof) = call.proof {
            request = request.header("dpop", proof);
        }
        let (status, answer) = self.send(request.body(Full::new(call.body))?).await?;
        let has = |word: &str| word.is_empty() || answer.body.windows(word.len()).any(|part| part == word.as_bytes());
        if status == call.right.status && has(call.right.word) {
            return Ok(answer);
        }
        let said = String::from_utf8_lossy(&answer.body);
        Err(format!("{path} was answered with {status} {said}; {} {} was due", call.right.status, call.right.word)
            .into())
    }

    /// Fetches `path`.
    pub(crate) async fn fetch(&mut self, path: &str) -> Told<(u16, Answer)> {
        let request = Request::get(path).header(HOST, &self.way.authority).body(Full::default())?;
        self.send(request).await
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Told<(u16, Answer)> {
        // A server may end a connection after so many requests.
        if self.sender.ready().await.is_err() {
            self.sender = self.way.lane().await?.sender;
        }
        let response = self.sender.send_request(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok((status, Answer { headers, body: response.into_body().collect().await?.to_bytes() }))
    }
}

/// Several connections.
pub(crate) struct Lanes(Vec<Lane>);

/// What became of calls, in their order, and how long each took.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) answers: Vec<Bytes>,
    pub(crate) took: Vec<Duration>,
}

impl Lanes {
    /// Opens them.
    pub(crate) async fn open(way: &Way) -> Told<Self> {
        let mut lanes = Vec::new();
        for _ in 0..LANES {
            lanes.push(way.lane().await?);
        }
        Ok(Self(lanes))
    }

    /// Makes all `calls`, each connection its next one when the one before is answered.
    pub(crate) async fn make(&mut self, calls: Vec<Call>) -> Told<Load> {
        let count = calls.len();
        let _awake = self.awake();
        let left = Arc::new(Mutex::new(calls.into_iter().enumerate()));
        let mut running = JoinSet::new();
        for mut lane in self.0.drain(..) {
            let left = left.clone();
            running.spawn(async move {
                let mut made = Vec::new();
                loop {
                    let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((at, call)) = next else { return Told::Ok((lane, made)) };
                    let begun = Stopwatch::start();
                    let body = lane.make(call).await?.body;
                    made.push((at, body, begun.elapsed()));
                }
            });
        }
        self.gather(running, count).await
    }

    /// Makes `calls` at `rate` a second, whatever became of those before. How long each took counts from when it was due.
    pub(crate) async fn make_at(&mut self, calls: Vec<Call>, rate: f64) -> Told<Load> {
        let count = calls.len();
        let (send, queue) = mpsc::unbounded_channel();
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        let _awake = self.awake();
        let mut running = JoinSet::new();
        let begun = Stopwatch::start();
        for mut lane in self.0.drain(..) {
            let queue = queue.clone();
            running.spawn(async move {
                let mut made = Vec::new();
                loop {
                    let next = queue.lock().await.recv().await;
                    let Some((at, call, due)) = next else { return Told::Ok((lane, made)) };
                    let body = lane.make(call).await?.body;
                    made.push((at, body, begun.elapsed().saturating_sub(due)));
                }
            });
        }
        let gap = Duration::from_secs_f64(1.0 / rate);
        let mut due = begun.elapsed();
        for (at, call) in calls.into_iter().enumerate() {
            // A timer counts in milliseconds. This core has nothing else to do.
            while begun.elapsed() < due {
                yield_now().await;
            }
            if send.send((at, call, due)).is_err() {
                break;
            }
            due += gap;
        }
        drop(send);
        self.gather(running, count).await
    }

    /// Keeps this core from sleeping, unless it has other work to do: what it takes to wake another core is no cost of the server's.
    fn awake(&self) -> JoinSet<()> {
        let mut awake = JoinSet::new();
        if self.0.iter().all(|lane| !lane.way.shared) {
            awake.spawn(async {
                loop {
                    yield_now().await;
                }
            });
        }
        awake
    }

    async fn gather(&mut self, mut running: JoinSet<Told<(Lane, Vec<Made>)>>, count: usize) -> Told<Load> {
        let mut load = Load { answers: vec![Bytes::new(); count], took: vec![Duration::ZERO; count] };
        while let Some(ended) = running.join_next().await {
            let (lane, made) = ended??;
            self.0.push(lane);
            for (at, body, took) in made {
                load.answers[at] = body;
                load.took[at] = took;
            }
        }
        Ok(load)
    }
}

type Made = (usize, Bytes, Duration);
