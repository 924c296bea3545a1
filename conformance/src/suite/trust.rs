//! Whether whoever answers is the suite: on loopback whatever it shows is believed, and nothing else for the rest of the run; elsewhere an authority has to vouch for it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::outbound::{VERSIONS, provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::lookup_host;
use url::Url;

use crate::fault::Fault;

/// Who vouches for the suite, which a server that pings it has to believe too.
#[derive(Clone, Debug)]
pub(crate) enum Vouched {
    /// An authority of the system.
    BySystem,
    /// The authorities of `--suite-ca`, PEM.
    By(String),
    /// Nobody: it is on loopback, and this is what it showed, PEM.
    ByItself(String),
}

impl Vouched {
    /// What to believe beside the authorities of the system, PEM.
    pub(crate) fn pem(&self) -> Option<&str> {
        match self {
            Self::BySystem => None,
            Self::By(pem) | Self::ByItself(pem) => Some(pem),
        }
    }
}

/// A client for the suite at `url`, and why it believes it.
pub(super) async fn client(
    (url, ca): (&str, Option<&Path>),
    patience: Duration,
) -> Result<(reqwest::Client, Vouched), Fault> {
    let parsed = Url::parse(url).ok().filter(|parsed| parsed.scheme() == "https" && parsed.host_str().is_some());
    let parsed = parsed.ok_or_else(|| format!("--suite {url}: has to be an https address, as in {}", super::LOCAL))?;
    let named = ca.map(read).transpose()?;
    let local = if ca.is_none() { loopback(&parsed).await? } else { None };
    let tls = ClientConfig::builder_with_provider(provider()).with_protocol_versions(VERSIONS)?;
    let pinned = Arc::new(Pinned::default());
    let tls = if local.is_some() {
        tls.dangerous().with_custom_certificate_verifier(pinned.clone()).with_no_client_auth()
    } else {
        tls.with_root_certificates(roots(named.as_deref())?).with_no_client_auth()
    };
    let mut builder = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().timeout(patience);
    if let (Some(addresses), Some(host)) = (&local, parsed.host_str()) {
        // Whoever has the name later is not asked again.
        builder = builder.resolve_to_addrs(host, addresses);
    }
    let http = builder.redirect(reqwest::redirect::Policy::none()).build()?;
    if local.is_some() {
        // What it answers is looked at later; here it only has to show its certificate.
        drop(http.get(url).send().await);
    }
    let vouched = match (named, pinned.pem()) {
        (Some(pem), _) => Vouched::By(pem),
        (None, Some(pem)) => Vouched::ByItself(pem),
        (None, None) => Vouched::BySystem,
    };
    Ok((http, vouched))
}

/// The cause of causes, in words.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The addresses of the suite, if all of them are this machine's own.
async fn loopback(url: &Url) -> Result<Option<Vec<SocketAddr>>, Fault> {
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
    let found = lookup_host((host, port)).await.map_err(|error| {
        let hint = if url.as_str().starts_with(super::LOCAL) {
            "; it belongs in /etc/hosts: 127.0.0.1 localhost.emobix.co.uk"
        } else {
            ""
        };
        format!("the suite's host {host} is not known ({error}){hint}")
    })?;
    let addresses: Vec<_> = found.collect();
    let local = !addresses.is_empty() && addresses.iter().all(|address| address.ip().is_loopback());
    Ok(local.then_some(addresses))
}

pub(super) fn read(path: &Path) -> Result<String, Fault> {
    let pem = fs::read_to_string(path).map_err(|error| format!("--suite-ca {}: {error}", path.display()))?;
    if CertificateDer::pem_slice_iter(pem.as_bytes()).next().is_none() {
        return Err(format!("--suite-ca {}: there is no certificate in it", path.display()).into());
    }
    Ok(pem)
}

fn roots(named: Option<&str>) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    let Some(pem) = named else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        return if roots.is_empty() {
            let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            let why = why.join("; ");
            Err(format!("this system trusts nobody ({why}); --suite-ca FILE says who vouches for the suite").into())
        } else {
            Ok(roots)
        };
    };
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.map_err(|error| format!("--suite-ca: {error}"))?)?;
    }
    Ok(roots)
}

/// Believes the first certificate that it sees, and from then on that one alone.
#[derive(Debug, Default)]
struct Pinned(Mutex<Option<CertificateDer<'static>>>);

impl Pinned {
    fn pem(&self) -> Option<String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let text = STANDARD.encode(&seen);
        let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        Some(format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n")))
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get_or_insert_with(|| shown.clone().into_owned()).as_ref() == shown.as_ref() {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signed,
            &provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signed,
            &provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn what_was_shown_first_is_believed_and_nothing_else_from_then_on() {
        let certificate = || {
            let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
            params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().clone()
        };
        let (first, other, pinned) = (certificate(), certificate(), Pinned::default());
        let name = ServerName::try_from("localhost").expect("a name");
        let shows = |shown: &CertificateDer<'_>| {
            pinned.verify_server_cert(shown, &[], &name, &[], UnixTime::since_unix_epoch(Duration::ZERO)).is_ok()
        };
        assert!(shows(&first) && shows(&first) && !shows(&other) && shows(&first));
        let pem = pinned.pem().expect("one was shown");
        assert_eq!(CertificateDer::from_pem_slice(pem.as_bytes()).expect("it is PEM"), first);
    }
}
