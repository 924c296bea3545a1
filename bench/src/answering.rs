//! What answers beside the server: the bank behind it, the collector it tells, and the echo it is held against.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::cores::{end_with_parent, pin};
use crate::{Told, tls};

/// What is answered to a body that was sent to a path: a status and a body.
pub(crate) type Says = fn(&str, &[u8]) -> (u16, Bytes);

/// As long as the answer to a pending poll.
const ECHOED: &[u8] = br#"{"error":"authorization_pending","error_description":"the user has not decided yet"}"#;

/// A bank that knows everybody and asks nobody.
pub(crate) fn bank(path: &str, body: &[u8]) -> (u16, Bytes) {
    if path.ends_with("/prompt") {
        return (202, Bytes::new());
    }
    let question: Value = serde_json::from_slice(body).unwrap_or_default();
    (200, json!({ "status": "known", "sub": question["hint"] }).to_string().into())
}

/// A collector that takes everything and keeps nothing.
pub(crate) fn collector(_: &str, _: &[u8]) -> (u16, Bytes) {
    (200, Bytes::new())
}

fn echo(_: &str, _: &[u8]) -> (u16, Bytes) {
    (400, Bytes::from_static(ECHOED))
}

/// Is the echo, on `core`, until it is killed. Says its port.
pub(crate) fn run_echo(certs: &Path, core: usize) -> ExitCode {
    let run = || {
        end_with_parent()?;
        pin(core)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let tcp = TcpListener::bind(("127.0.0.1", 0)).await?;
            println!("{}", tcp.local_addr()?.port());
            serve(tcp, Some(TlsAcceptor::from(Arc::new(tls::server(certs)?))), echo).await
        })
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench echo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers on `tcp` what `says` says, for as long as it is polled.
pub(crate) async fn serve(tcp: TcpListener, acceptor: Option<TlsAcceptor>, says: Says) -> Told<()> {
    loop {
        let (stream, _) = tcp.accept().await?;
        stream.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // Whoever breaks off has done with it.
            match acceptor {
                None => connection(stream, says).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        connection(stream, says).await;
                    }
                }
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, says: Says) {
    let answer = move |request: Request<Incoming>| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let (status, said) = says(parts.uri.path(), &body);
        let mut response = Response::new(Full::new(said));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        Ok::<_, hyper::Error>(response)
    };
    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await.ok();
}
