//! [`Teller`]: the other end of an outbound call, a bank or a client, which says what a test has it say, byte by byte.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::http::tls::{Certificates, Chain, config, p256, rsa as rsa_of};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use crate::bank::{certificates, pkcs8};

/// What it says.
#[derive(Clone)]
pub(crate) enum Says {
    /// These bytes, and hangs up.
    This(String),
    /// Nothing, and stays on the line.
    Nothing,
    /// A good answer, but one byte at a time, so that it never comes to an end.
    Dripping,
    /// A 200 whose body never ends.
    Gushing,
}

/// A call that came in.
pub(crate) struct Call {
    /// The certificate it was made with.
    pub(crate) certificate: Option<CertificateDer<'static>>,
    /// Head and body.
    pub(crate) text: String,
}

/// A listener on a port of its own.
pub(crate) struct Teller {
    /// Where.
    pub(crate) url: String,
    port: u16,
    knocks: Arc<Mutex<usize>>,
    calls: Arc<Mutex<Vec<Call>>>,
    script: Script,
    rang: Arc<Notify>,
}

/// What it says next; the last of it again and again.
type Script = Arc<Mutex<VecDeque<Says>>>;

impl Teller {
    /// One that shows `chain` and asks for a certificate.
    pub(crate) async fn open(chain: Chain, says: Says) -> Self {
        let rsa = (certificates("server-rsa"), pkcs8("server-rsa.key").into());
        let acceptor = TlsAcceptor::from(
            config(Certificates { p256: p256(chain).expect("fits"), rsa: rsa_of(rsa).expect("fits") })
                .expect("they fit"),
        );
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = tcp.local_addr().expect("bound").port();
        let teller = Self {
            url: format!("https://localhost:{port}/ciba"),
            port,
            knocks: Arc::default(),
            calls: Arc::default(),
            script: Arc::new(Mutex::new([says].into())),
            rang: Arc::default(),
        };
        let (knocks, calls, script, rang) =
            (teller.knocks.clone(), teller.calls.clone(), teller.script.clone(), teller.rang.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = tcp.accept().await {
                *knocks.lock().expect("unpoisoned") += 1;
                let heard = (calls.clone(), script.clone(), rang.clone());
                tokio::spawn(answer(acceptor.clone(), stream, heard));
            }
        });
        teller
    }

    /// After what it says now, it says this.
    pub(crate) fn then(&self, says: Says) {
        self.script.lock().expect("unpoisoned").push_back(says);
    }

    /// The next call, which has come or will.
    pub(crate) async fn call(&self) -> Call {
        let next = || {
            let mut calls = self.calls.lock().expect("unpoisoned");
            (!calls.is_empty()).then(|| calls.remove(0))
        };
        loop {
            let rang = self.rang.notified();
            match next() {
                Some(call) => return call,
                None => rang.await,
            }
        }
    }

    /// The same port without TLS.
    pub(crate) fn plain_url(&self) -> String {
        format!("http://localhost:{}/ciba", self.port)
    }

    /// How often someone connected.
    pub(crate) fn knocks(&self) -> usize {
        *self.knocks.lock().expect("unpoisoned")
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().expect("unpoisoned"))
    }
}

/// A 200 with this body.
pub(crate) fn ok(body: &str) -> Says {
    response("200 OK", "", body)
}

/// This status with these header lines and this body.
pub(crate) fn response(status: &str, headers: &str, body: &str) -> Says {
    let length = body.len();
    Says::This(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n{body}"))
}

type Log = Arc<Mutex<Vec<Call>>>;

async fn answer(acceptor: TlsAcceptor, stream: TcpStream, (calls, script, rang): (Log, Script, Arc<Notify>)) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).cloned();
    let mut text = Vec::new();
    while !is_whole(&text) {
        if !stream.read_buf(&mut text).await.is_ok_and(|read| read > 0) {
            return;
        }
    }
    let call = Call { certificate, text: String::from_utf8(text).expect("UTF-8") };
    calls.lock().expect("unpoisoned").push(call);
    rang.notify_one();
    let says = {
        let mut script = script.lock().expect("unpoisoned");
        let next = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
        next.expect("it always has something to say")
    };
    match says {
        Says::This(bytes) => {
            stream.write_all(bytes.as_bytes()).await.ok();
            stream.shutdown().await.ok();
        }
        Says::Nothing => std::future::pending().await,
        Says::Dripping => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await.ok();
            let mut beat = tokio::time::interval(Duration::from_millis(50));
            while stream.write_all(b" ").await.is_ok() && stream.flush().await.is_ok() {
                beat.tick().await;
            }
        }
        Says::Gushing => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.ok();
            let chunk = format!("400\r\n{}\r\n", " ".repeat(0x400));
            while stream.write_all(chunk.as_bytes()).await.is_ok() {}
        }
    }
}

/// Whether head and body are there.
fn is_whole(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0_usize)
}
