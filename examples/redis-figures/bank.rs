//! The bank: it knows everybody, asks nobody, and takes every ping.

use std::path::Path;
use std::sync::Arc;

use axum::routing::post;
use axum::{Json, Router};
use countersign::outbound::{VERSIONS, provider};
use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::Told;

/// Answers on `tcp`, with `bank.pem` of the folder `certs`, for as long as the runtime lives.
pub(crate) fn open(tcp: TcpListener, certs: &Path) -> Told<()> {
    let chain = CertificateDer::pem_file_iter(certs.join("bank.pem"))?.collect::<Result<_, _>>()?;
    let tls = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(certs.join("bank.key"))?)?;
    let (acceptor, router) = (TlsAcceptor::from(Arc::new(tls)), router());
    tokio::spawn(async move {
        while let Ok((stream, _)) = tcp.accept().await {
            tokio::spawn(connection(acceptor.clone(), stream, router.clone()));
        }
    });
    Ok(())
}

fn router() -> Router {
    let identify = async |Json(question): Json<Value>| Json(json!({ "status": "known", "sub": question["hint"] }));
    Router::new()
        .route("/identify", post(identify))
        .route("/prompt", post(StatusCode::ACCEPTED))
        .route("/ping", post(StatusCode::NO_CONTENT))
}

async fn connection(acceptor: TlsAcceptor, stream: TcpStream, router: Router) -> Told<()> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    http1::Builder::new().serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await?;
    Ok(())
}
