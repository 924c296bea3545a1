//! The TLS of both sides, with the suites and versions of the server that is measured.

use std::path::Path;
use std::sync::Arc;

use countersign::outbound::{VERSIONS, provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::Told;

type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn of(file: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", file.display())
}

fn chain(certs: &Path, name: &str) -> Told<Chain> {
    let (shown, key) = (certs.join(format!("{name}.pem")), certs.join(format!("{name}.key")));
    let certificates =
        CertificateDer::pem_file_iter(&shown).and_then(Iterator::collect).map_err(|error| of(&shown, error))?;
    Ok((certificates, PrivateKeyDer::from_pem_file(&key).map_err(|error| of(&key, error))?))
}

/// The authorities in a file.
pub(crate) fn authorities(file: &Path) -> Told<RootCertStore> {
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| of(file, error))? {
        authorities.add(certificate.map_err(|error| of(file, error))?)?;
    }
    if authorities.is_empty() { Err(format!("{} has no certificate", file.display()).into()) } else { Ok(authorities) }
}

/// Of one that shows the certificate `name` of the folder `certs`, and trusts its authority.
pub(crate) fn client(certs: &Path, name: &str) -> Told<ClientConfig> {
    client_of(certs, name, authorities(&certs.join("ca.pem"))?)
}

/// The same, of one that trusts these authorities.
pub(crate) fn client_of(certs: &Path, name: &str, authorities: RootCertStore) -> Told<ClientConfig> {
    let (certificates, key) = chain(certs, name)?;
    let tls = ClientConfig::builder_with_provider(provider()).with_protocol_versions(VERSIONS)?;
    let mut tls = tls.with_root_certificates(authorities).with_client_auth_cert(certificates, key)?;
    tls.resumption = rustls::client::Resumption::disabled();
    Ok(tls)
}

/// Of one that asks for a certificate of the folder's authority and holds no sessions, as countersign does.
pub(crate) fn server(certs: &Path) -> Told<ServerConfig> {
    let asked = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(&certs.join("ca.pem"))?), provider());
    server_of(certs, "server-p256", Some(asked.build()?))
}

/// The bank, which asks nobody who it is: it is not what is measured.
pub(crate) fn bank(certs: &Path) -> Told<ServerConfig> {
    server_of(certs, "bank", None)
}

fn server_of(
    certs: &Path,
    name: &str,
    asked: Option<Arc<dyn rustls::server::danger::ClientCertVerifier>>,
) -> Told<ServerConfig> {
    let (certificates, key) = chain(certs, name)?;
    let tls = ServerConfig::builder_with_provider(provider()).with_protocol_versions(VERSIONS)?;
    let tls = match asked {
        Some(asked) => tls.with_client_cert_verifier(asked),
        None => tls.with_no_client_auth(),
    };
    let mut tls = tls.with_single_cert(certificates, key)?;
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    Ok(tls)
}
