//! TLS: versions, suites, two server certificates, and a client certificate that is asked for and never judged here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::DistinguishedName;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::RelativeDistinguishedName;

use crate::clock::{Clock, Timestamp};
use crate::current::Current;
use crate::outbound::{Failed, VERSIONS, provider};
use crate::secret::Digest;
use crate::wire::inbound::{AltName, PeerCertificate, Rdn};

const LARGEST_CERTIFICATE: usize = 16 * 1024;
const LONGEST_CHAIN: usize = 4;

/// A certificate chain, leaf first, and its key.
pub type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The server's two certificates. TLS 1.2 has only ECDHE_RSA here (FAPI-CIBA-ID1 §7.9), so it needs the RSA one; TLS 1.3 takes P-256, which costs
/// a sixth of the work.
#[derive(Debug)]
pub struct Certificates {
    /// From [`p256`].
    pub p256: Arc<CertifiedKey>,
    /// From [`rsa`].
    pub rsa: Arc<CertifiedKey>,
}

/// A P-256 certificate and its key.
///
/// # Errors
/// They do not fit each other, or are of another kind.
pub fn p256(chain: Chain) -> Result<Arc<CertifiedKey>, Failed> {
    certified(chain, SignatureScheme::ECDSA_NISTP256_SHA256).ok_or(Failed("the key is not a P-256 key"))?
}

/// An RSA certificate and its key.
///
/// # Errors
/// They do not fit each other, or are of another kind.
pub fn rsa(chain: Chain) -> Result<Arc<CertifiedKey>, Failed> {
    certified(chain, SignatureScheme::RSA_PSS_SHA256).ok_or(Failed("the key is not an RSA key"))?
}

/// `None`: the key does not sign with `scheme`.
fn certified((chain, key): Chain, scheme: SignatureScheme) -> Option<Result<Arc<CertifiedKey>, Failed>> {
    match CertifiedKey::from_der(chain, key, &provider()) {
        Err(_) => Some(Err(Failed("the key does not fit the certificate"))),
        Ok(certified) => certified.key.choose_scheme(&[scheme]).is_some().then(|| Ok(Arc::new(certified))),
    }
}

impl ResolvesServerCert for Certificates {
    /// P-256 for a client that knows it and offers TLS 1.3. A client that lists suites of 1.3 and then does not speak it fails: rustls does not
    /// show which versions were offered.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let p256 = hello.signature_schemes().contains(&SignatureScheme::ECDSA_NISTP256_SHA256);
        let tls13 = hello.cipher_suites().iter().any(|suite| {
            matches!(
                suite,
                CipherSuite::TLS13_AES_128_GCM_SHA256
                    | CipherSuite::TLS13_AES_256_GCM_SHA384
                    | CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            )
        });
        Some(if p256 && tls13 { self.p256.clone() } else { self.rsa.clone() })
    }
}

/// The configuration of both listeners: no resumption, as a client certificate that counts is proven anew on each connection; HTTP/1.1 alone.
///
/// # Errors
/// The versions and suites do not fit together.
pub fn config(certificates: Certificates) -> Result<Arc<ServerConfig>, Failed> {
    let provider = provider();
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(VERSIONS)
        .map_err(|_| Failed("the TLS versions and suites do not fit together"))?
        .with_client_cert_verifier(Arc::new(AnyCertificate(provider)))
        .with_cert_resolver(Arc::new(certificates));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Who vouches for clients' certificates (RFC 8705 §2.1): authorities, and what they have revoked.
#[derive(Clone, Debug)]
pub struct Authorities(Arc<dyn ClientCertVerifier>);

impl Authorities {
    /// Trusts `roots`. With any `crls`, a certificate whose revocation cannot be told from them is not trusted.
    ///
    /// # Errors
    /// There is no root, or a CRL cannot be read.
    pub fn new(roots: RootCertStore, crls: Vec<CertificateRevocationListDer<'static>>) -> Result<Self, Failed> {
        let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).with_crls(crls).build();
        built.map(Self).map_err(|_| Failed("the authorities or their CRLs cannot be used"))
    }

    /// Chain, extended key usage, validity and revocation, at `now`.
    fn vouch_for(&self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>], now: Timestamp) -> bool {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.seconds()).unwrap_or(0)));
        self.0.verify_client_cert(leaf, intermediates, now).is_ok()
    }
}

/// How a listener looks at certificates: who vouches for them, by which clock.
#[derive(Clone)]
pub struct Gaze {
    /// Who vouches; without any, nobody is trusted by name.
    pub authorities: Current<Option<Authorities>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The certificates whose key a peer has proved, and what the application gets to see of them. Who vouches for them is asked once, and again when those who vouch, or what they have revoked, are replaced.
pub(super) struct Shown {
    gaze: Gaze,
    chain: Vec<CertificateDer<'static>>,
    judged: Mutex<(Arc<Option<Authorities>>, Option<PeerCertificate>)>,
}

impl Shown {
    /// What `chain` is by `gaze`.
    pub(super) fn of(gaze: Gaze, chain: Option<&[CertificateDer<'_>]>) -> Self {
        let chain: Vec<_> = chain.unwrap_or_default().iter().map(|shown| shown.clone().into_owned()).collect();
        let authorities = gaze.authorities.value();
        let peer = gaze.judge(&chain, authorities.as_ref().as_ref());
        Self { gaze, chain, judged: Mutex::new((authorities, peer)) }
    }

    /// What it is now. One that cannot be read counts as none.
    pub(super) fn peer(&self) -> Option<PeerCertificate> {
        let authorities = self.gaze.authorities.value();
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&judged.0, &authorities) {
            *judged = (authorities.clone(), self.gaze.judge(&self.chain, authorities.as_ref().as_ref()));
        }
        judged.1.clone()
    }
}

impl Gaze {
    fn judge(&self, chain: &[CertificateDer<'_>], authorities: Option<&Authorities>) -> Option<PeerCertificate> {
        let (leaf, intermediates) = chain.split_first()?;
        let vouched = |authorities: &Authorities| authorities.vouch_for(leaf, intermediates, self.clock.now());
        read(leaf, authorities.is_some_and(vouched))
    }
}

/// When a certificate ends, if it can be read.
pub fn ends(leaf: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
    Some(Timestamp::from_seconds(parsed.validity().not_after.timestamp()))
}

fn read(leaf: &CertificateDer<'_>, trusted: bool) -> Option<PeerCertificate> {
    let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
    let validity = parsed.validity();
    let rdn = |rdn: &RelativeDistinguishedName<'_>| {
        rdn.iter()
            .map(|attribute| Some((attribute.attr_type().to_id_string(), attribute.as_str().ok()?.to_owned())))
            .collect::<Option<Rdn>>()
    };
    Some(PeerCertificate {
        thumbprint: Digest::of(leaf),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
        trusted,
        subject: parsed.subject().iter().map(rdn).collect::<Option<_>>().unwrap_or_default(),
        alt_names: alt_names(&parsed),
    })
}

fn alt_names(certificate: &X509Certificate<'_>) -> Vec<AltName> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(AltName::Dns((*name).to_owned())),
        GeneralName::URI(uri) => Some(AltName::Uri((*uri).to_owned())),
        GeneralName::RFC822Name(email) => Some(AltName::Email((*email).to_owned())),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| AltName::Ip(bytes.into())),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| AltName::Ip(bytes.into())),
            _ => None,
        },
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

/// Asks for a client certificate, requires none, names no authority, and takes any whose key is proven: whether it is the right one is for the
/// application to say, in HTTP (RFC 8705 §2.2, §3). With a list of authorities, many clients would offer nothing.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if intermediates.len() >= LONGEST_CHAIN || leaf.len() > LARGEST_CERTIFICATE {
            return Err(Error::General("the client's certificate chain is too large".into()));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};

    use super::*;
    use crate::clock::System;

    #[test]
    fn who_vouches_is_asked_again_on_a_connection_that_stands_when_those_who_vouch_are_replaced() {
        let authority = || {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            let key = KeyPair::generate().expect("a key");
            let certificate = params.self_signed(&key).expect("a certificate").der().clone();
            (Issuer::new(params, key), certificate)
        };
        let trusts = |certificate: &CertificateDer<'static>| {
            let mut roots = RootCertStore::empty();
            roots.add(certificate.clone()).expect("an authority");
            Current::new(Some(Authorities::new(roots, Vec::new()).expect("it can vouch")))
        };
        let ((issuer, ours), (_, other)) = (authority(), authority());
        let mut params = CertificateParams::new(vec!["till.example".to_owned()]).expect("a name");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = params.signed_by(&KeyPair::generate().expect("a key"), &issuer).expect("a certificate");
        let authorities = trusts(&ours);
        let gaze = Gaze { authorities: authorities.clone(), clock: Arc::new(System) };
        let shown = Shown::of(gaze, Some(&[leaf.der().clone()]));
        let trusted = || shown.peer().expect("it can be read").trusted;
        assert!(trusted());
        authorities.follow(&trusts(&other));
        assert!(!trusted());
        authorities.follow(&trusts(&ours));
        assert!(trusted());
        authorities.follow(&Current::new(None));
        assert!(!trusted());
    }
}
