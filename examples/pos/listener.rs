//! The bank's port: TLS that asks for a client certificate, and remembers for each request which one was proven, as a [`Peer`].
//! Small on purpose: no deadlines, no caps. src/http/serve.rs shows what a port on the internet needs.

use std::path::Path;
use std::sync::Arc;

use axum::{Extension, Router};
use countersign::outbound::{VERSIONS, provider};
use countersign::secret::Digest;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::story::Told;

/// SHA-256 of the certificate whose key the other side has proven, if it showed one.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub(crate) Option<Digest>);

/// Serves `router` on `tcp` for as long as it is polled.
pub(crate) async fn serve(tcp: TcpListener, router: Router, tls: Arc<ServerConfig>) {
    let acceptor = TlsAcceptor::from(tls);
    while let Ok((stream, _)) = tcp.accept().await {
        let (acceptor, router) = (acceptor.clone(), router.clone());
        // A connection that breaks off harms nobody else.
        tokio::spawn(async move { connection(acceptor, stream, router).await.ok() });
    }
}

/// The bank's TLS. A certificate is optional here, and has to be of the authority when there is one; which one it is, each route looks at itself.
/// No resumption: every connection proves its certificate anew.
pub(crate) fn tls(certs: &Path) -> Told<Arc<ServerConfig>> {
    let mut authorities = RootCertStore::empty();
    authorities.add(CertificateDer::from_pem_file(certs.join("ca.pem"))?)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider());
    let chain = CertificateDer::pem_file_iter(certs.join("bank.pem"))?.collect::<Result<_, _>>()?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_client_cert_verifier(verifier.allow_unauthenticated().build()?)
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(certs.join("bank.key"))?)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

async fn connection(acceptor: TlsAcceptor, stream: TcpStream, router: Router) -> Told<()> {
    let stream = acceptor.accept(stream).await?;
    let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let router = router.layer(Extension(Peer(leaf.map(|leaf| Digest::of(leaf)))));
    http1::Builder::new().serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await?;
    Ok(())
}
