//! TLS: what FAPI-CIBA-ID1 §7.9 and FAPI 1.0 part 2 §8.5 allow, and nothing else. The refusals have to look as the OpenID suite expects them.

use std::sync::{Arc, Mutex};

use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs, aws_lc_rs::cipher_suite};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, CipherSuite, ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, SignatureScheme,
    SupportedCipherSuite, SupportedProtocolVersion,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bank::{Bank, certificates, client, pkcs8, tls};
use crate::heard::Heard;
use crate::raw::{Raw, alert, in_time};

#[tokio::test]
async fn fapi1a_8_5_tls_1_3_gets_the_p256_certificate() {
    let bank = Bank::open().await;
    for at in [bank.public, bank.internal] {
        let raw = Raw::with(at, offering(&[&TLS13], every_suite())).await.expect("a connection");
        assert_eq!(raw.session().protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(raw.session().peer_certificates(), Some(&certificates("server-p256")[..]));
    }
}

#[tokio::test]
async fn fapi1a_8_5_tls_1_2_gets_the_rsa_certificate_and_one_of_two_suites() {
    let bank = Bank::open().await;
    let allowed =
        [CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let each = allowed.map(|name| suites(|suite| suite.suite() == name));
    for offered in [suites_of_tls_1_2(), each[0].clone(), each[1].clone()] {
        for at in [bank.public, bank.internal] {
            let raw = Raw::with(at, offering(&[&TLS12], offered.clone())).await.expect("a connection");
            assert_eq!(raw.session().protocol_version(), Some(ProtocolVersion::TLSv1_2));
            assert_eq!(raw.session().peer_certificates(), Some(&certificates("server-rsa")[..]));
            let suite = raw.session().negotiated_cipher_suite().expect("agreed").suite();
            assert!(allowed.contains(&suite), "{suite:?}");
        }
    }
}

#[tokio::test]
async fn fapi1a_8_5_any_other_suite_of_tls_1_2_is_refused_with_handshake_failure() {
    let bank = Bank::open().await;
    let allowed =
        [cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let others: Vec<_> = suites_of_tls_1_2().into_iter().filter(|suite| !allowed.contains(suite)).collect();
    assert_eq!(others.len(), 4, "three for ECDSA, one with CHACHA20");
    for offered in others.iter().map(|suite| vec![*suite]).chain([others.clone()]) {
        for at in [bank.public, bank.internal] {
            let refused = Raw::with(at, offering(&[&TLS12], offered.clone())).await.err().expect("a refusal");
            assert_eq!(alert(&refused), Some(AlertDescription::HandshakeFailure), "{offered:?}: {refused}");
        }
    }
}

#[tokio::test]
async fn fapi1b_7_1_tls_1_0_and_1_1_are_refused_with_an_alert() {
    const SERVER_HELLO: u8 = 0x16;
    const ALERT: u8 = 0x15;
    const FATAL: u8 = 2;
    let bank = Bank::open().await;
    let fine = first_record(&bank, &hello([3, 3], None)).await;
    assert_eq!(fine[0], SERVER_HELLO, "the same bytes with TLS 1.2 in them are well-formed");
    for (what, hello) in [
        ("TLS 1.0", hello([3, 1], None)),
        ("TLS 1.1", hello([3, 2], None)),
        ("SSL 3", hello([3, 0], None)),
        ("TLS 1.1 in supported_versions", hello([3, 3], Some([3, 2]))),
    ] {
        let answer = first_record(&bank, &hello).await;
        let [ALERT, _, _, 0, 2, FATAL, description] = answer[..] else { panic!("{what}: {answer:02x?}") };
        let description = AlertDescription::from(description);
        assert!(
            matches!(description, AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure),
            "{what}: {description:?}"
        );
    }
}

#[tokio::test]
async fn bcp195_tls_1_3_is_preferred() {
    let bank = Bank::open().await;
    let raw = Raw::with(bank.public, offering(&[&TLS12, &TLS13], every_suite())).await.expect("a connection");
    assert_eq!(raw.session().protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[tokio::test]
async fn rfc8705_7_1_a_certificate_is_asked_for_names_no_authority_and_is_optional() {
    let bank = Bank::open().await;
    for versions in [&[&TLS13], &[&TLS12]] {
        for at in [bank.public, bank.internal] {
            let asked = Arc::new(Asked::default());
            let mut config = offering(versions, fitting(versions));
            config.client_auth_cert_resolver = asked.clone();
            let mut raw = Raw::with(at, config).await.expect("a connection");
            raw.write("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            raw.answer().await.expect("an answer").refused(404, "not_found");
            assert_eq!(*asked.0.lock().expect("unpoisoned"), [0], "asked once, with no authority named");
        }
    }
}

#[tokio::test]
async fn rfc8705_3_a_certificate_without_its_key_is_refused() {
    let bank = Bank::open().await;
    for versions in [&[&TLS13], &[&TLS12]] {
        let alert = refusal(&bank, versions, certified("till", "till8.key")).await;
        assert_eq!(alert, Some(AlertDescription::DecryptError), "{versions:?}");
    }
}

#[tokio::test]
async fn rfc8705_2_2_a_self_signed_certificate_is_taken_and_bound() {
    let bank = Bank::open().await;
    for versions in [&[&TLS13], &[&TLS12]] {
        let mut config = offering(versions, fitting(versions));
        config.client_auth_cert_resolver = Arc::new(Shown(certified("till8", "till8.key")));
        let mut raw = Raw::with(bank.public, config).await.expect("a connection");
        raw.write("GET /jwks HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(raw.answer().await.expect("an answer").status, 200, "{versions:?}");
    }
    let token = bank.other_tpp().tokens().await.text("access_token");
    let heard = bank.accounts_api().introspect(&token).await;
    let thumbprint = countersign::secret::Digest::of(&certificates("till8")[0]).to_string();
    assert_eq!(heard.ok()["cnf"]["x5t#S256"], thumbprint);
}

#[tokio::test]
async fn a_chain_without_end_is_refused() {
    let bank = Bank::open().await;
    for versions in [&[&TLS13], &[&TLS12]] {
        for (length, taken) in [(4, true), (5, false), (40, false)] {
            let mut long = CertifiedKey::clone(&certified("till", "till.key"));
            long.cert = vec![long.cert[0].clone(); length];
            let mut config = offering(versions, fitting(versions));
            config.client_auth_cert_resolver = Arc::new(Shown(Arc::new(long)));
            let answer = match Raw::with(bank.public, config).await {
                Err(_) => None,
                Ok(mut raw) => {
                    raw.write("GET /jwks HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
                    raw.answer().await
                }
            };
            assert_eq!(answer.map(|heard| heard.status), taken.then_some(200), "{versions:?}, {length}");
        }
    }
    good(&bank).await;
}

#[tokio::test]
async fn rfc8705_no_session_is_resumed() {
    let bank = Bank::open().await;
    for versions in [&[&TLS13], &[&TLS12]] {
        let config = Arc::new(offering(versions, fitting(versions)));
        for _ in 0..3 {
            let mut raw = Raw::with(bank.public, config.clone()).await.expect("a connection");
            assert_eq!(raw.session().handshake_kind(), Some(HandshakeKind::Full), "{versions:?}");
            // A ticket would come in with the answer.
            raw.write("GET /jwks HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            assert_eq!(raw.answer().await.expect("an answer").status, 200);
            assert_eq!(raw.session().tls13_tickets_received(), 0);
        }
    }
}

#[tokio::test]
async fn http_1_1_is_the_only_protocol() {
    let bank = Bank::open().await;
    let mut config = tls(None);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let raw = Raw::with(bank.public, config.clone()).await.expect("a connection");
    assert_eq!(raw.session().alpn_protocol(), Some(&b"http/1.1"[..]));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let refused = Raw::with(bank.public, config).await.err().expect("a refusal");
    assert_eq!(alert(&refused), Some(AlertDescription::NoApplicationProtocol), "{refused}");
}

/// RUSTSEC-2024-0399: a ClientHello in pieces made an acceptor panic.
#[tokio::test]
async fn a_client_hello_in_records_of_one_byte_is_read_or_refused() {
    let bank = Bank::open().await;
    let whole = hello([3, 3], None);
    let in_pieces: Vec<u8> = whole[5..].iter().flat_map(|byte| [0x16, 3, 1, 0, 1, *byte]).collect();
    let answer = first_record(&bank, &in_pieces).await;
    assert!(matches!(answer[0], 0x16 | 0x15), "{answer:02x?}");
    let mut tcp = TcpStream::connect(bank.public).await.expect("a connection");
    tcp.set_nodelay(true).expect("a socket");
    for byte in &whole {
        tcp.write_all(&[*byte]).await.expect("written");
    }
    assert_eq!(in_time(tcp.read_u8()).await.expect("an answer"), 0x16);
    good(&bank).await;
}

#[tokio::test]
async fn what_is_not_tls_is_refused() {
    let bank = Bank::open().await;
    for garbage in
        [&b"GET /jwks HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], &[0; 64], &[0xFF; 64], &[0x16, 3, 1, 0xFF, 0xFF]]
    {
        let mut tcp = TcpStream::connect(bank.public).await.expect("a connection");
        tcp.write_all(garbage).await.expect("written");
        tcp.shutdown().await.expect("a socket");
        let mut answer = Vec::new();
        in_time(tcp.read_to_end(&mut answer)).await.ok();
        assert!(answer.is_empty() || answer[0] == 0x15, "{answer:02x?}");
    }
    good(&bank).await;
}

/// The alert that answers a client under `versions` that shows `certified`.
async fn refusal(
    bank: &Bank,
    versions: &[&'static SupportedProtocolVersion],
    certified: Arc<CertifiedKey>,
) -> Option<AlertDescription> {
    let mut config = offering(versions, fitting(versions));
    config.client_auth_cert_resolver = Arc::new(Shown(certified));
    match Raw::with(bank.public, config).await {
        Err(refused) => alert(&refused),
        // A client of TLS 1.3 is done before the server has looked.
        Ok(raw) => raw.alert().await,
    }
}

/// The certificate of one, with the key in the file of, perhaps, another.
fn certified(name: &str, key: &str) -> Arc<CertifiedKey> {
    let key = aws_lc_rs::sign::any_supported_type(&pkcs8(key).into()).expect("a key");
    Arc::new(CertifiedKey::new(certificates(name), key))
}

async fn good(bank: &Bank) {
    let heard = Heard::of(client(None).get(format!("{}/jwks", bank.issuer))).await;
    assert_eq!(heard.status, 200);
}

/// What comes back first for `bytes`.
async fn first_record(bank: &Bank, bytes: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(bank.public).await.expect("a connection");
    tcp.write_all(bytes).await.expect("written");
    let mut header = [0; 5];
    in_time(tcp.read_exact(&mut header)).await.expect("an answer, not silence");
    let mut record = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    in_time(tcp.read_exact(&mut record)).await.expect("a whole record");
    [&header[..], &record].concat()
}

/// A ClientHello with this legacy version and, perhaps, this one in supported_versions. Apart from that a TLS 1.2 client could have sent it.
fn hello(version: [u8; 2], supported: Option<[u8; 2]>) -> Vec<u8> {
    let sized = |bytes: &[u8]| [&u16::try_from(bytes.len()).expect("short").to_be_bytes()[..], bytes].concat();
    let extension = |id: u8, content: &[u8]| [&[0, id][..], &sized(content)].concat();
    let suites = [0xC0, 0x2F, 0xC0, 0x13, 0xC0, 0x14, 0x00, 0x2F];
    let groups = extension(10, &sized(&[0x00, 0x17, 0x00, 0x1D]));
    let points = extension(11, &[1, 0]);
    let schemes = extension(13, &sized(&[0x08, 0x04, 0x04, 0x01, 0x04, 0x03]));
    let versions = supported.map(|version| extension(43, &[2, version[0], version[1]])).unwrap_or_default();
    let extensions = sized(&[groups, points, schemes, versions].concat());
    let body = [&version[..], &[7; 32], &[0], &sized(&suites), &[1, 0], &extensions].concat();
    let handshake = [&[1, 0][..], &sized(&body)].concat();
    [&[0x16, 3, 1][..], &sized(&handshake)].concat()
}

/// A client that offers `suites` under `versions`.
fn offering(versions: &[&'static SupportedProtocolVersion], suites: Vec<SupportedCipherSuite>) -> ClientConfig {
    let mut trust = RootCertStore::empty();
    trust.add_parsable_certificates(certificates("ca"));
    ClientConfig::builder_with_provider(Arc::new(CryptoProvider {
        cipher_suites: suites,
        ..aws_lc_rs::default_provider()
    }))
    .with_protocol_versions(versions)
    .expect("versions and suites fit")
    .with_root_certificates(trust)
    .with_no_client_auth()
}

/// The suites of `versions` alone: who lists a suite of TLS 1.3 is taken to speak it.
fn fitting(versions: &[&'static SupportedProtocolVersion]) -> Vec<SupportedCipherSuite> {
    suites(|suite| versions.contains(&suite.version()))
}

fn suites_of_tls_1_2() -> Vec<SupportedCipherSuite> {
    fitting(&[&TLS12])
}

fn every_suite() -> Vec<SupportedCipherSuite> {
    suites(|_| true)
}

fn suites(which: impl Fn(&SupportedCipherSuite) -> bool) -> Vec<SupportedCipherSuite> {
    aws_lc_rs::ALL_CIPHER_SUITES.iter().copied().filter(which).collect()
}

/// Shows a certificate, come what may.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Shows none, and notes how many authorities were named each time it was asked.
#[derive(Debug, Default)]
struct Asked(Mutex<Vec<usize>>);

impl ResolvesClientCert for Asked {
    fn resolve(&self, authorities: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.lock().expect("unpoisoned").push(authorities.len());
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}
