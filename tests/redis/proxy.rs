//! [`Proxy`]: a bad line to a Redis. What becomes of the bytes on it can be changed while it is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::join;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

/// What the line does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It carries everything.
    Pass,
    /// It carries everything, so much later.
    Slow(Duration),
    /// It carries nothing and breaks nothing. What was under way arrives when it carries again.
    Hang,
    /// It resets every connection, those that come too.
    Refuse,
    /// It carries everything up to the first request with these bytes in it; that one is lost, and its connection reset. From then on it is well.
    Lose(&'static str),
    /// It carries everything up to the first request with these bytes in it, that one, and so many bytes of what is answered from then on; then it resets
    /// the connection.
    Cut(&'static str, usize),
}

/// A port that leads to that of a Redis.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    way: Arc<watch::Sender<Way>>,
    open: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Proxy {
    /// A line that carries everything to `port`.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let way = Arc::new(watch::Sender::new(Way::Pass));
        let open = Arc::new(AtomicUsize::new(0));
        let here = listener.local_addr().expect("bound").port();
        let task = tokio::spawn(accept(listener, port, (way.clone(), open.clone()))).abort_handle();
        Self { port: here, way, open, task }
    }

    /// From now on the line is like that.
    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, (way, open): (Arc<watch::Sender<Way>>, Arc<AtomicUsize>)) {
    let mut lines = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (way, open) = (way.clone(), open.clone());
        lines.spawn(async move {
            open.fetch_add(1, Ordering::SeqCst);
            carry(client, port, way).await;
            open.fetch_sub(1, Ordering::SeqCst);
        });
        while lines.try_join_next().is_some() {}
    }
}

async fn carry(mut client: TcpStream, port: u16, way: Arc<watch::Sender<Way>>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    client.set_nodelay(true).expect("it is open");
    server.set_nodelay(true).expect("it is open");
    let met = AtomicBool::new(false);
    let meets = |chunk: &[u8], mark: &str| {
        if chunk.windows(mark.len()).any(|window| window == mark.as_bytes()) {
            met.store(true, Ordering::SeqCst);
        }
        met.load(Ordering::SeqCst)
    };
    let mut answered = 0;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let requests = pump((from_client, to_server), way.subscribe(), |chunk, now| match now {
        Way::Lose(mark) if meets(chunk, mark) => {
            way.send_replace(Way::Pass);
            0
        }
        Way::Cut(mark, _) => {
            meets(chunk, mark);
            chunk.len()
        }
        _ => chunk.len(),
    });
    let answers = pump((from_server, to_client), way.subscribe(), |chunk, now| match now {
        Way::Cut(_, most) if met.load(Ordering::SeqCst) => {
            let left = chunk.len().min(most - answered);
            answered += left;
            left
        }
        _ => chunk.len(),
    });
    let mut changes = way.subscribe();
    let refused = select! {
        () = requests => false,
        () = answers => false,
        refused = changes.wait_for(|way| *way == Way::Refuse) => refused.is_ok(),
    };
    if refused || met.load(Ordering::SeqCst) {
        client.set_zero_linger().ok();
    }
}

/// Carries bytes one way, as long as `pass` lets all of a chunk pass.
async fn pump(
    (mut from, mut to): (ReadHalf<'_>, WriteHalf<'_>),
    mut way: watch::Receiver<Way>,
    mut pass: impl FnMut(&[u8], Way) -> usize,
) {
    let (queue, mut queued) = mpsc::unbounded_channel();
    let read = async move {
        let mut chunk = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            let Ok(now) = way.wait_for(|way| *way != Way::Hang).await.map(|way| *way) else { break };
            let passed = pass(&chunk[..read], now);
            let late = if let Way::Slow(late) = now { late } else { Duration::ZERO };
            if queue.send((sleep(late), chunk[..passed].to_vec())).is_err() || passed < read {
                break;
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = queued.recv().await {
            due.await;
            if to.write_all(&chunk).await.is_err() {
                break;
            }
        }
    };
    join!(read, write);
}
