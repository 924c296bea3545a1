//! `countersign certs dev`: everything the shipped configuration needs, and nothing overwritten.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;

use crate::deployment::{Deployment, countersign, err, files, out};

#[test]
fn certs_dev_makes_what_the_shipped_configuration_needs() {
    let deployment = Deployment::new();
    let checked = deployment.check();
    assert_eq!(checked.status.code(), Some(0), "{}", err(&checked));
    assert!(
        out(&checked).contains(": ok (https://localhost:9443, profile fapi-ciba-id1, 2 registered: "),
        "{}",
        out(&checked)
    );
    assert_eq!(err(&checked), "");
}

#[test]
fn certs_dev_keeps_what_is_there_and_fails() {
    let deployment = Deployment::new();
    let before = files(&deployment.certs());
    assert!(before.len() > 12, "{before:#?}");
    let again = countersign(&["certs", "dev", "--out", deployment.certs().to_str().expect("UTF-8")]);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("there is something in it already"), "{}", err(&again));
    assert!(files(&deployment.certs()) == before, "it changed something");

    fs::remove_file(deployment.certs().join("ca.pem")).expect("removed");
    let halfway = countersign(&["certs", "dev", "--out", deployment.certs().to_str().expect("UTF-8")]);
    assert_eq!(halfway.status.code(), Some(1));
    let rest: Vec<_> = before.into_iter().filter(|(path, _)| !path.ends_with("ca.pem")).collect();
    assert!(files(&deployment.certs()) == rest, "half of a set is worse than none");
    for host in ["127.0.0.1", "bad host", "https://x.example", ""] {
        let elsewhere = deployment.certs().join("elsewhere");
        let refused = countersign(&["certs", "dev", "--host", host, "--out", elsewhere.to_str().expect("UTF-8")]);
        assert_eq!(refused.status.code(), Some(1), "{host}");
        assert!(err(&refused).contains("is not a host name") && !elsewhere.exists(), "{host}");
    }
}

#[test]
fn private_keys_are_for_their_owner_alone() {
    let deployment = Deployment::new();
    let mut private = 0;
    for (path, content) in files(&deployment.certs()) {
        let mode = fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        if String::from_utf8_lossy(&content).contains("PRIVATE KEY") {
            assert_eq!(mode, 0o600, "{}", path.display());
            private += 1;
        } else {
            assert_eq!(mode & 0o022, 0, "{}", path.display());
        }
    }
    assert_eq!(private, 11);
}

#[test]
fn certs_dev_names_the_host_it_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let made = countersign(&["certs", "dev", "--out", path, "--host", "ciba.bank.example"]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    let certificate = CertificateDer::from_pem_file(folder.path().join("server-p256.pem")).expect("PEM");
    let names = |name: &str| certificate.windows(name.len()).any(|window| window == name.as_bytes());
    assert!(names("ciba.bank.example") && !names("localhost"));
}

#[test]
fn the_certificate_of_redis_is_for_its_name_among_containers_and_for_this_machine() {
    let deployment = Deployment::new();
    let certificate = CertificateDer::from_pem_file(deployment.certs().join("redis.pem")).expect("PEM");
    let certificate = ParsedCertificate::try_from(&certificate).expect("a certificate");
    let holds = |name: &&str| verify_server_name(&certificate, &ServerName::try_from(*name).expect("a name")).is_ok();
    let names = ["redis", "localhost", "127.0.0.1", "redis.example", "127.0.0.2"];
    assert_eq!(names.iter().filter(|name| holds(name)).collect::<Vec<_>>(), [&"redis", &"localhost", &"127.0.0.1"]);
}
