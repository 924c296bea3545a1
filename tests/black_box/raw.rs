//! [`Raw`]: a TLS connection that a test writes by hand.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, ClientConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::bank::{Bank, tls};
use crate::heard::Heard;

/// A connection and what came in on it and was not looked at yet.
pub(crate) struct Raw {
    stream: TlsStream<TcpStream>,
    unread: Vec<u8>,
}

impl Raw {
    /// A connection to where the world comes in, without a certificate.
    pub(crate) async fn open(bank: &Bank) -> Self {
        Self::with(bank.public, tls(None)).await.expect("a connection")
    }

    /// A connection to `address` under `config`.
    pub(crate) async fn with(address: SocketAddr, config: impl Into<Arc<ClientConfig>>) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?, config).await
    }

    /// TLS over `tcp`.
    pub(crate) async fn over(tcp: TcpStream, config: impl Into<Arc<ClientConfig>>) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(config.into()).connect(name, tcp).await?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// What the handshake led to.
    pub(crate) fn session(&self) -> &ClientConnection {
        self.stream.get_ref().1
    }

    /// Writes. Whether the other side still listens, reading shows.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        in_time(self.try_write(bytes)).await.ok();
    }

    /// Writes, however long the other side takes to listen.
    pub(crate) async fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// The next response; none if the connection ends before its head.
    pub(crate) async fn answer(&mut self) -> Option<Heard> {
        let end = loop {
            match self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.more().await.ok().filter(|more| *more > 0)?,
            };
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).expect("ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {head}"));
        let headers: HeaderMap = lines.map(header).collect();
        let length =
            headers.get("content-length").map_or(0, |value| value.to_str().expect("ASCII").parse().expect("a number"));
        while self.unread.len() < length {
            assert!(self.more().await.is_ok_and(|more| more > 0), "the body broke off: {head}");
        }
        let text = String::from_utf8(self.unread.drain(..length).collect()).expect("UTF-8");
        Some(Heard::new(status, headers, text))
    }

    /// Waits until the other side has closed the connection; returns what it said before.
    pub(crate) async fn closed(mut self) -> Vec<u8> {
        while self.more().await.is_ok_and(|more| more > 0) {}
        self.unread
    }

    /// Reads until the connection breaks; which alert broke it.
    pub(crate) async fn alert(mut self) -> Option<AlertDescription> {
        loop {
            match self.more().await {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return alert(&error),
            }
        }
    }

    async fn more(&mut self) -> io::Result<usize> {
        in_time(self.stream.read_buf(&mut self.unread)).await
    }
}

/// The alert in `error`, if that is what it is.
pub(crate) fn alert(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// What should happen soon, with all the time a busy machine may need.
pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), what).await.expect("it comes to an end")
}

fn header(line: &str) -> (HeaderName, HeaderValue) {
    let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("not a header: {line}"));
    (name.parse().expect("a name"), value.parse().expect("a value"))
}
