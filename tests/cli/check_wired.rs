//! `countersign check` on what is off until it is switched on: registration, URLs of clients, hint issuers, retired keys, pseudonyms, codes.

use std::fs;

use crate::deployment::{Deployment, err, out};

const TILL: &str = "client_id = \"till-7\"";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const CALLS: &str = "\n[client_endpoints]\ntrust = \"../certs/dev/ca.pem\"\n";

/// The configuration that ships, with `section` at its end.
fn with<'a>(deployment: &'a Deployment, section: &str) -> &'a Deployment {
    deployment.again().append(&format!("\n{section}\n"));
    deployment
}

/// The configuration that ships, with `line` under `[server]`.
fn served<'a>(deployment: &'a Deployment, line: &str) -> &'a Deployment {
    deployment.again().edit("[server]\n", &format!("[server]\n{line}\n"));
    deployment
}

/// A file of secrets that nobody else may read.
fn secrets(deployment: &Deployment, content: &str) {
    deployment.write("secrets", content);
    deployment.expose("secrets", 0o600);
}

#[track_caller]
fn is_fine(deployment: &Deployment) {
    let checked = deployment.check();
    assert_eq!((checked.status.code(), err(&checked).as_str()), (Some(0), ""), "{}", out(&checked));
}

/// In production, beside what production always has against the memory store.
fn in_production(deployment: &Deployment, faults: &[(&str, &str)]) {
    deployment.edit("mode = \"development\"", "mode = \"production\"");
    deployment.has_faults(&[faults, &[("store.kind", "production refuses it"), ("audit", "is missing")]].concat());
}

#[test]
fn client_endpoints_say_whom_to_trust() {
    let deployment = Deployment::new();
    let with = |section: &str| with(&deployment, section);
    is_fine(with(CALLS));
    is_fine(with("[client_endpoints]\ntrust = \"system\"\nloopback = true"));
    with("[client_endpoints]").has_faults(&[("client_endpoints.trust", "is missing")]);
    with("[client_endpoints]\ntrust = \"System\"").has_faults(&[("client_endpoints.trust", "System cannot be read")]);
    with("[client_endpoints]\ntrust = \"../certs/dev/gone.pem\"\nloopback = \"yes\"\nstray = 1").has_faults(&[
        ("client_endpoints.trust", "gone.pem cannot be read"),
        ("client_endpoints.loopback", "has to be true or false"),
        ("client_endpoints.stray", "is not known here"),
    ]);
    deployment.again().edit("mode = ", "client_endpoints = 1\nmode = ");
    deployment.has_faults(&[("client_endpoints", "has to be a section")]);
}

#[test]
fn client_endpoints_have_a_certificate_with_its_key_or_neither() {
    let deployment = Deployment::new();
    let with = |section: &str| with(&deployment, section);
    let having = |lines: &str| with(&format!("{CALLS}{lines}"));
    let (certificate, key) =
        ("certificate = \"../certs/dev/countersign.pem\"\n", "key = \"../certs/dev/countersign.key\"\n");
    is_fine(having(&format!("{certificate}{key}")));
    having(certificate).has_faults(&[("client_endpoints.key", "is missing")]);
    having(key).has_faults(&[("client_endpoints.certificate", "is missing")]);
    having("certificate = \"../certs/dev/bank.pem\"\nkey = \"../certs/dev/countersign.key\"")
        .has_faults(&[("client_endpoints.certificate", "the key does not fit the certificate")]);
    let exposed = having(&format!("certificate = \"../certs/dev/bank.pem\"\n{}", key.replace("countersign", "bank")));
    exposed.expose("bank.key", 0o640);
    exposed.has_faults(&[("client_endpoints.key", "bank.key can be read by others; run: chmod 600")]);
}

#[test]
fn production_does_not_let_clients_point_the_server_at_itself() {
    let deployment = Deployment::new();
    let with = |section: &str| with(&deployment, section);
    in_production(
        with("[client_endpoints]\ntrust = \"system\"\nloopback = true"),
        &[("client_endpoints.loopback", "production refuses it")],
    );
    in_production(with("[client_endpoints]\ntrust = \"system\"\nloopback = false"), &[]);
}

#[test]
fn registration_has_one_of_three_modes_and_what_goes_with_it() {
    let deployment = Deployment::new();
    let with = |section: &str| with(&deployment, section);
    is_fine(with("[registration]\nmode = \"open\""));
    let modes = "open, initial_access_token, software_statement";
    with("[registration]").has_faults(&[("registration.mode", &format!("is missing; give one of: {modes}"))]);
    for mode in ["\"closed\"", "\"Open\"", "true", "[\"open\"]"] {
        with(&format!("[registration]\nmode = {mode}"))
            .has_faults(&[("registration.mode", &format!("has to be one of: {modes}"))]);
    }
    let tokens = "initial_access_tokens = \"../certs/dev/secrets\"";
    let issuer = "[[registration.software_statement_issuers]]\niss = \"x\"\njwks = \"../certs/dev/till.jwks.json\"";
    for (mode, other, key) in [
        ("open", tokens, "registration.initial_access_tokens"),
        ("open", issuer, "registration.software_statement_issuers"),
    ] {
        with(&format!("[registration]\nmode = \"{mode}\"\n{other}")).has_faults(&[(key, "is not known here")]);
    }
    // What belongs to a mode is no fault of its own where the mode is what is wrong.
    with(&format!("[registration]\nmode = \"closed\"\n{tokens}\n{issuer}"))
        .has_faults(&[("registration.mode", "has to be one of")]);
    let both = with(&format!("[registration]\nmode = \"initial_access_token\"\n{tokens}\n{issuer}"));
    secrets(both, SECRET);
    both.has_faults(&[("registration.software_statement_issuers", "is not known here")]);
}

#[test]
fn production_does_not_let_anybody_register() {
    let deployment = Deployment::new();
    let with = |section: &str| with(&deployment, section);
    in_production(with("[registration]\nmode = \"open\""), &[("registration.mode", "production refuses it")]);
    let closed =
        with("[registration]\nmode = \"initial_access_token\"\ninitial_access_tokens = \"../certs/dev/secrets\"");
    secrets(closed, SECRET);
    in_production(closed, &[]);
}

#[test]
fn a_file_of_secrets_is_its_owners_and_has_long_lines() {
    let deployment = Deployment::new();
    let with = |section: &str| with(&deployment, section);
    let by_token = "[registration]\nmode = \"initial_access_token\"\ninitial_access_tokens = \"../certs/dev/secrets\"";
    with("[registration]\nmode = \"initial_access_token\"")
        .has_faults(&[("registration.initial_access_tokens", "is missing")]);
    let pairwise = "pairwise_key = \"../certs/dev/secrets\"";
    for key in ["registration.initial_access_tokens", "server.pairwise_key"] {
        let deployment = if key == "server.pairwise_key" { served(&deployment, pairwise) } else { with(by_token) };
        fs::remove_file(deployment.certs().join("secrets")).ok();
        deployment.has_faults(&[(key, "secrets cannot be read: there is no such file")]);
        secrets(deployment, SECRET);
        is_fine(deployment);
        secrets(deployment, &format!("\n{SECRET}\r\n\n  {SECRET}1  \n"));
        if key == "server.pairwise_key" {
            deployment.has_faults(&[(key, "there is one key")]);
        } else {
            is_fine(deployment);
        }
        secrets(deployment, SECRET);
        for mode in [0o640, 0o604, 0o602, 0o620, 0o601] {
            deployment.expose("secrets", mode);
            deployment.has_faults(&[(key, "secrets can be read by others; run: chmod 600")]);
        }
        for bad in [String::new(), "\n \n".into(), SECRET[1..].into(), format!(" {} ", &SECRET[1..])] {
            secrets(deployment, &bad);
            deployment.has_faults(&[(key, "has to have lines of at least 32 characters each")]);
        }
        secrets(deployment, &SECRET[1..]);
        let said = err(&deployment.check());
        assert!(!said.contains(&SECRET[1..]), "what is secret is not printed: {said}");
    }
    let deployment = with(by_token);
    for bad in ["thirty-two characters and a space", &"a".repeat(1_025), "thirty-two:characters:and:colons:"] {
        secrets(deployment, bad);
        deployment.has_faults(&[("registration.initial_access_tokens", "no bearer could send")]);
    }
    secrets(deployment, &"a".repeat(1_024));
    is_fine(deployment);
}

#[test]
fn whose_word_counts_has_a_name_and_keys() {
    let deployment = Deployment::new();
    let with = |section: &str| with(&deployment, section);
    let statement = "[registration]\nmode = \"software_statement\"\n";
    with(statement).has_faults(&[("registration.software_statement_issuers", "give at least one, with iss and jwks")]);
    for (before, list) in [(statement, "registration.software_statement_issuers"), ("", "login_hint_token_issuers")] {
        let entry = |lines: &str| with(&format!("{before}[[{list}]]\n{lines}"));
        let key = |name: &str| format!("{list}[0].{name}");
        let iss = "iss = \"https://directory.example\"\n";
        is_fine(entry(&format!("{iss}jwks = \"../certs/dev/till.jwks.json\"")));
        entry("").has_faults(&[(&key("iss"), "is missing"), (&key("jwks"), "is missing")]);
        entry(&format!("{iss}jwks = \"../certs/dev/gone.json\"\nstray = 1"))
            .has_faults(&[(&key("jwks"), "gone.json cannot be read"), (&key("stray"), "is not known here")]);
        entry("iss = \"\"\njwks = \"../certs/dev/ca.pem\"")
            .has_faults(&[(&key("iss"), "has to be a string"), (&key("jwks"), "not strict JSON")]);
        let private = entry(&format!("{iss}jwks = \"../certs/dev/private.json\""));
        private.write("private.json", r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#);
        private.has_faults(&[(&key("jwks"), "register public keys only")]);
        let whole = format!("{iss}jwks = \"../certs/dev/till.jwks.json\"\n");
        entry(&format!("{whole}[[{list}]]\n{whole}"))
            .has_faults(&[(&format!("{list}[1].iss"), "is taken by another entry")]);
    }
    deployment.again().edit("mode = ", "login_hint_token_issuers = \"x\"\nmode = ");
    deployment.has_faults(&[("login_hint_token_issuers", "has to be a list of sections")]);
}

#[test]
fn retired_keys_are_public_ones() {
    let deployment = Deployment::new();
    let retired = |content: &str| {
        deployment.again().edit("[keys]\n", "[keys]\nretired = \"../certs/dev/retired.json\"\n");
        deployment.write("retired.json", content);
        &deployment
    };
    let public = deployment.read("till.jwks.json");
    is_fine(retired(&public));
    retired(&public.replacen("\"kty\"", "\"d\":\"AQAB\",\"kty\"", 1))
        .has_faults(&[("keys.retired", "register public keys only")]);
    retired(r#"{"keys":[]}"#).has_faults(&[("keys.retired", "no signature key")]);
    let gone = retired("");
    fs::remove_file(gone.certs().join("retired.json")).expect("removed");
    gone.has_faults(&[("keys.retired", "retired.json cannot be read")]);
    deployment.again().edit("[keys]\n", "[keys]\nretired = []\n");
    deployment.has_faults(&[("keys.retired", "has to be a string")]);
}

#[test]
fn the_origin_for_certificates_is_a_bare_one() {
    let deployment = Deployment::new();
    let at = |origin: &str| served(&deployment, &format!("mtls_origin = {origin}"));
    is_fine(at("\"https://mtls.ciba.bank.example\""));
    is_fine(at("\"https://localhost:9443\""));
    for (origin, says) in [
        ("\"http://mtls.bank.example\"", "has to start with https://"),
        ("\"https://127.0.0.1\"", "has to name a host, not an address"),
        ("\"https://mtls.bank.example/\"", "without a slash"),
        ("\"https://mtls.bank.example/x\"", "has to end after the host and port"),
        ("\"mtls.bank.example\"", "is not a URL"),
        ("\"\"", "has to be a string"),
        ("1", "has to be a string"),
    ] {
        at(origin).has_faults(&[("server.mtls_origin", says)]);
    }
}

#[test]
fn user_codes_are_a_switch_of_the_server_and_of_a_client() {
    let deployment = Deployment::new();
    let offered = |value: &str, wanted: &str| {
        let deployment = served(&deployment, &format!("user_code = {value}"));
        deployment.edit(TILL, &format!("{TILL}\nbackchannel_user_code_parameter = {wanted}"));
        deployment
    };
    is_fine(offered("true", "true"));
    is_fine(offered("false", "false"));
    let member = "clients[0].backchannel_user_code_parameter";
    offered("false", "true").has_faults(&[(member, "user codes are not offered here")]);
    offered("\"yes\"", "true")
        .has_faults(&[("server.user_code", "has to be true or false"), (member, "user codes are not offered here")]);
    offered("true", "\"yes\"").has_faults(&[(member, "has to be true or false")]);
}
