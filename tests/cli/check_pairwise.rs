//! `countersign check` on what pairwise clients need (CIBA §4), and on the other name for clients with a certificate (RFC 8705 §5).

use crate::deployment::Deployment;

const KEYS: &str = "jwks = \"../certs/dev/till.jwks.json\"";
const PROFILE: &str = "profile = \"fapi-ciba-id1\"";
const PAIRWISE: &str = "jwks_uri = \"https://till.example/jwks\"\nsubject_type = \"pairwise\"";

/// Till 7 has these keys and this kind of names, and the server calls its clients.
fn with(keys: &str) -> Deployment {
    let deployment = Deployment::new();
    deployment.edit(KEYS, keys);
    deployment.append("\n[client_endpoints]\ntrust = \"../certs/dev/ca.pem\"\n");
    deployment
}

/// And there are pairwise names.
fn keyed(keys: &str) -> Deployment {
    let deployment = with(keys);
    deployment.write("pairwise.key", &"k".repeat(48));
    deployment.expose("pairwise.key", 0o600);
    deployment.edit(PROFILE, &format!("{PROFILE}\npairwise_key = \"../certs/dev/pairwise.key\""));
    deployment
}

#[test]
fn ciba_4r_10_without_a_pairwise_key_there_is_no_pairwise_client() {
    with(PAIRWISE).has_faults(&[("clients[0].subject_type", "pairwise is not offered here")]);
    assert_eq!(keyed(PAIRWISE).check().status.code(), Some(0));
    // A public one needs none.
    assert_eq!(with(&PAIRWISE.replace("pairwise", "public")).check().status.code(), Some(0));
}

#[test]
fn ciba_4r_10_a_pairwise_client_publishes_its_keys() {
    keyed(&format!("{KEYS}\nsubject_type = \"pairwise\"")).has_faults(&[("clients[0].jwks_uri", "is missing")]);
    keyed(&format!("{KEYS}\n{PAIRWISE}")).has_faults(&[("clients[0].jwks", "stands beside jwks_uri")]);
}

#[test]
fn oidc_8_1_a_sector_is_a_host_and_for_pairwise_clients_alone() {
    let sector = |uri: &str| format!("{PAIRWISE}\nsector_identifier_uri = \"{uri}\"");
    assert_eq!(keyed(&sector("https://shop.example/sector.json")).check().status.code(), Some(0));
    for (bad, says) in [
        ("http://shop.example/x", "has to start with https://"),
        ("https://127.0.0.1/x", "has to name a host"),
        ("https://shop.example/#x", "has a user or a fragment"),
        ("shop.example", "is not a URL"),
    ] {
        keyed(&sector(bad)).has_faults(&[("clients[0].sector_identifier_uri", says)]);
    }
    keyed(&sector("https://shop.example/x").replace("pairwise", "public"))
        .has_faults(&[("clients[0].sector_identifier_uri", "is for clients of subject_type pairwise")]);
    keyed(&PAIRWISE.replace("pairwise", "Pairwise"))
        .has_faults(&[("clients[0].subject_type", "has to be one of: public, pairwise")]);
}

#[test]
fn a_pairwise_key_is_a_secret_of_its_owners() {
    let deployment = keyed(PAIRWISE);
    deployment.expose("pairwise.key", 0o644);
    let checked = deployment.check();
    assert_eq!(checked.status.code(), Some(2));
    assert!(crate::err(&checked).contains("server.pairwise_key: "), "{}", crate::err(&checked));
    let deployment = keyed(PAIRWISE);
    deployment.write("pairwise.key", "short");
    let checked = deployment.check();
    assert_eq!(checked.status.code(), Some(2));
    assert!(crate::err(&checked).contains("server.pairwise_key: "), "{}", crate::err(&checked));
}

#[test]
fn rfc8705_5_the_other_name_is_a_bare_origin() {
    let named = |origin: &str| {
        let deployment = Deployment::new();
        deployment.edit(PROFILE, &format!("{PROFILE}\nmtls_origin = \"{origin}\""));
        deployment
    };
    assert_eq!(named("https://mtls.bank.example").check().status.code(), Some(0));
    for bad in
        ["http://mtls.bank.example", "https://mtls.bank.example/", "https://mtls.bank.example/x", "https://10.0.0.1"]
    {
        named(bad).has_faults(&[("server.mtls_origin", "as in https://mtls.ciba.bank.example")]);
    }
}
