//! TLS to Redis, both sides with a certificate: who is not whom the other expects gets no connection.

use std::fs;

use countersign::secret::Secret;
use countersign::store::redis::place::{Place, Tls, Topology};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

use super::{answered, at, kept, unavailable};
use crate::on_redis_servers::place;
use crate::server::RedisServer;
use crate::steps::{insert, key, load, swap};

/// An authority for a test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate"))
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// A certificate for `name`, and its key.
    fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &self.0).expect("a certificate").pem(), key.serialize_pem())
    }

    fn identity(&self) -> (Vec<u8>, Secret) {
        let (certificate, key) = self.certify("countersign");
        (certificate.into_bytes(), Secret::new(key))
    }

    /// A Redis with a certificate for `name`, that asks for one of this authority.
    fn server(&self, name: &str) -> (RedisServer, TempDir) {
        let files = TempDir::new().expect("a folder");
        let (certificate, key) = self.certify(name);
        let contents =
            [("ca", String::from_utf8(self.pem()).expect("PEM")), ("certificate", certificate), ("key", key)];
        for (file, content) in contents {
            fs::write(files.path().join(file), content).expect("it can be written");
        }
        let file = |name: &str| files.path().join(name).to_str().expect("UTF-8").to_owned();
        let [ca, certificate, key] = [file("ca"), file("certificate"), file("key")];
        let arguments = ["--tls-ca-cert-file", &ca, "--tls-cert-file", &certificate, "--tls-key-file", &key];
        let kept = ["--tls-auth-clients", "yes", "--appendonly", "yes", "--appendfsync", "everysec"];
        (RedisServer::over_tls(&[arguments, kept].concat()), files)
    }
}

fn to(server: &RedisServer, tls: Option<Tls>) -> Place {
    let addresses = vec![("localhost".to_owned(), server.port)];
    Place { tls, addresses, ..place(Topology::Standalone, &[]) }
}

#[tokio::test]
async fn redis_is_used_over_tls_with_a_certificate_on_both_sides() {
    let authority = Authority::new("ours");
    let (mut server, _files) = authority.server("localhost");
    let tls = Tls {
        trust: [Authority::new("another").pem(), authority.pem()].concat(),
        identity: Some(authority.identity()),
    };
    let backend = at(to(&server, Some(tls))).await;
    assert_eq!(backend.trouble(), None);
    assert_eq!(insert(&backend, &key(1), kept(b"one")).await, Ok(true));
    assert_eq!(swap(&backend, &key(1), b"one", kept(b"two")).await, Ok(true));
    server.stop();
    server.start_again();
    assert_eq!(answered(async || load(&backend, &key(1)).await).await, Some(b"two".to_vec()));
}

#[tokio::test]
async fn a_redis_or_a_client_that_is_somebody_else_gets_no_connection() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let (server, _files) = authority.server("localhost");
    let (misnamed, _more) = authority.server("redis.example");
    let [ours, theirs] = [authority.pem(), other.pem()];
    let cases = [
        ("UnknownIssuer", &server, Some((theirs, Some(authority.identity())))),
        ("CertificateRequired", &server, Some((ours.clone(), None))),
        ("UnknownCA", &server, Some((ours.clone(), Some(other.identity())))),
        ("certificate not valid for name", &misnamed, Some((ours.clone(), Some(authority.identity())))),
        ("Redis cannot be used", &server, None),
    ];
    for (words, server, tls) in cases {
        let tls = tls.map(|(trust, identity)| Tls { trust, identity });
        let backend = at(to(server, tls)).await;
        let found = backend.trouble().expect("it is known at once").to_string();
        assert!(found.contains(words), "{words}: {found}");
        assert_eq!(unavailable(insert(&backend, &key(1), kept(b"x")).await), "there is no connection to Redis");
    }
    let backend = at(to(&server, Some(Tls { trust: ours, identity: Some(authority.identity()) }))).await;
    assert_eq!(load(&backend, &key(1)).await, Ok(None), "nothing of all that is there");
}
