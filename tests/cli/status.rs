//! `countersign status`: how the place is, and 1 if something wants looking after.

use std::fs;

use countersign::clock::{Clock, System};
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

use crate::deployment::{countersign, err, out};
use crate::keys::Keys;

fn status(keys: &Keys, more: &[&str]) -> (Option<i32>, String) {
    let config = keys.0.config();
    let said = countersign(&[&["status", "--config", config.to_str().expect("UTF-8")], more].concat());
    assert_eq!(err(&said), "");
    (said.status.code(), out(&said))
}

#[test]
fn a_place_that_is_well_says_what_becomes_of_keys_and_certificates() {
    let keys = Keys::new();
    keys.done(&["rotate"]);
    let (code, said) = status(&keys, &[]);
    assert_eq!(code, Some(0), "{said}");
    for (alg, state, says) in [
        ("ES256", "active", "until 20"),
        ("ES256", "next", "signs from 20"),
        ("PS256", "active", "nobody knows since when"),
    ] {
        let kid = keys.one(alg, state);
        let line = said.lines().find(|line| line.contains(&kid)).unwrap_or_else(|| panic!("{kid}: {said}"));
        assert!(line.starts_with(&format!("  key {alg} {kid}: {state}")) && line.contains(says), "{line}");
    }
    assert!(said.contains("  certificate ../certs/dev/server-p256.pem: 36"), "{said}");
    assert_eq!(said.matches("certificate ../certs/dev/ca.pem").count(), 1, "{said}");
    assert!(said.contains("  store memory of this process") && said.ends_with(": well\n"), "{said}");
    let json: Value = serde_json::from_str(&status(&keys, &["--json"]).1).expect("JSON");
    assert_eq!(json["wants_looking_after"], false);
    assert_eq!(json["lines"].as_array().expect("a list").len(), said.lines().count());
}

#[test]
fn a_certificate_that_ends_soon_a_key_that_is_not_used_and_a_redis_that_is_not_there_want_looking_after() {
    let keys = Keys::new();
    keys.done(&["rotate"]);
    fs::write(keys.0.certs().join("keys/another.pem"), keys.0.read("till-es256.key")).expect("written");
    let pair = KeyPair::from_pem(&keys.0.read("bank.key")).expect("a key");
    let mut params = CertificateParams::default();
    params.not_after =
        time::OffsetDateTime::from_unix_timestamp(System.now().seconds() + (9 * 24 + 12) * 3600).expect("a time");
    keys.0.write("bank.pem", &params.self_signed(&pair).expect("signed").pem());
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    keys.0.redis(&format!(
        "kind = \"redis\"\ntopology = \"standalone\"\naddresses = [\"127.0.0.1:{port}\"]\nprefix = \"countersign\""
    ));
    let (code, said) = status(&keys, &[]);
    assert_eq!(code, Some(1), "{said}");
    let wants: Vec<&str> = said.lines().filter(|line| line.starts_with("! ")).collect();
    assert_eq!(wants.len(), 3, "{said}");
    assert!(wants.iter().any(|line| line.contains("another.pem lies there too and is not used")), "{said}");
    assert!(wants.iter().any(|line| line.contains("bank.pem: 9 days left")), "{said}");
    assert!(wants.iter().any(|line| line.starts_with("! store ")), "{said}");
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_as_check_does() {
    let keys = Keys::new();
    keys.0.edit("kind = \"memory\"", "kind = \"paper\"");
    let config = keys.0.config();
    let said = countersign(&["status", "--config", config.to_str().expect("UTF-8")]);
    assert_eq!(said.status.code(), Some(2));
    assert_eq!(err(&said), err(&keys.0.check()));
}
