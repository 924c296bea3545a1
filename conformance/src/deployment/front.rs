//! Whether a server would believe the certificate that the suite shows, since it calls the suite in the plans with ping.

use std::sync::Arc;
use std::time::Duration;

use countersign::clock::{Clock, System};
use countersign::outbound::provider;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use url::Url;

use crate::fault::Fault;

/// Checks that the certificate in `pem`, believed as itself, vouches for the host of `suite`.
///
/// # Errors
/// It does not, and what to do.
pub(super) fn is_believable(pem: &str, suite: &str) -> Result<(), Fault> {
    let host = Url::parse(suite)?.host_str().map(str::to_owned).ok_or("the suite's address names no host")?;
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes())?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
    let now = u64::try_from(System.now().seconds())?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let verified = verifier.verify_server_cert(&certificate, &[], &ServerName::try_from(host.clone())?, &[], now);
    verified.map(drop).map_err(|why| {
        format!(
            "the server would not ping the suite, as the certificate that it shows cannot be believed ({why}). Give the suite's TLS front one of its own:\n  \
             openssl req -x509 -nodes -newkey rsa:2048 -days 365 -keyout front.key -out front.crt -subj /CN={host} \
             -addext subjectAltName=DNS:{host} -addext basicConstraints=critical,CA:FALSE"
        )
        .into()
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn shown(change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = CertificateParams::new(vec!["suite.example".to_owned()]).expect("a name");
        change(&mut params);
        params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").pem()
    }

    #[test]
    fn a_certificate_for_the_host_of_the_suite_that_is_no_authority_is_believed() {
        is_believable(&shown(|_| ()), "https://suite.example:8443").expect("it is fine");
    }

    #[test]
    fn a_certificate_that_no_server_would_believe_is_refused_with_what_to_do() {
        let authority = shown(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
        for (pem, suite) in [(shown(|_| ()), "https://other.example"), (authority, "https://suite.example")] {
            let fault = is_believable(&pem, suite).expect_err("it must not be").to_string();
            assert!(fault.contains("openssl req -x509") && fault.contains("CA:FALSE"), "{fault}");
        }
    }
}
