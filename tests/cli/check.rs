//! `countersign check`: every fault of a configuration at once, each with its key and what to do.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::deployment::{Deployment, check, err, out, shipped};

#[test]
fn every_profile_has_an_example_that_holds() {
    for profile in fs::read_dir(shipped("profiles")).expect("there") {
        let name = profile.expect("readable").path().file_stem().expect("a name").to_str().expect("UTF-8").to_owned();
        let says = format!("\nprofile = \"{name}\"\n");
        let of_it = |path: &Path| fs::read_to_string(path).is_ok_and(|text| text.contains(&says));
        let examples = fs::read_dir(shipped("deploy")).expect("there").map(|entry| entry.expect("readable").path());
        let example = examples.into_iter().find(|path| of_it(path)).unwrap_or_else(|| panic!("{name} has no example"));
        let deployment = Deployment::new();
        fs::copy(example, deployment.config()).expect("copied");
        let checked = deployment.check();
        assert!(checked.status.success(), "{name}: {}", err(&checked));
    }
}

#[test]
fn how_tokens_are_bound_is_said() {
    let deployment = Deployment::new();
    let says = |words: &str| {
        let said = out(&deployment.check());
        assert!(said.ends_with(&format!(", {words})\n")), "{said}");
    };
    says("2 registered: 1 bound by certificate, 1 for introspection");
    deployment.edit("# dpop_bound_access_tokens = true", "dpop_bound_access_tokens = true");
    says("2 registered: 1 bound by DPoP, 1 for introspection");
    for entry in ["client_id = \"till-7\"", "client_id = \"accounts-api\""] {
        deployment.edit(entry, &format!("{entry}\ndisabled = true"));
    }
    says("0 registered");
}

#[test]
fn the_configuration_is_deploy_server_toml_unless_another_is_named() {
    let deployment = Deployment::new();
    let root = deployment.config().parent().and_then(Path::parent).expect("above deploy").to_owned();
    let run = |command: &str| {
        let mut binary = Command::new(env!("CARGO_BIN_EXE_countersign"));
        binary.arg(command).current_dir(&root).output().expect("it runs")
    };
    let checked = run("check");
    assert!(out(&checked).starts_with("deploy/server.toml: ok ("), "{}", err(&checked));
    deployment.edit("kind = \"memory\"", "kind = \"paper\"");
    for command in ["check", "serve"] {
        let refused = run(command);
        assert_eq!(refused.status.code(), Some(2));
        assert!(err(&refused).ends_with("deploy/server.toml: 1 fault\n"), "{}", err(&refused));
    }
}

#[test]
fn many_faults_are_found_in_one_run() {
    let deployment = Deployment::new();
    deployment.edit("mode = \"development\"", "mode = \"production\"");
    deployment.edit("issuer = \"https:", "issuer = \"http:");
    deployment.edit("listen = \"127.0.0.1:9443\"", "listen = 9443");
    deployment.edit("server-rsa.key", "till.key");
    deployment.edit("connections = 4096", "connections = 0\nleave_seconds = 301");
    deployment.edit("[keys]\n", "[keys]\ncolour = \"red\"\n");
    deployment.edit("trust = \"../certs/dev/ca.pem\"", "trust = \"../certs/dev/nowhere.pem\"");
    deployment.expose("countersign.key", 0o640);
    deployment.edit("capacity = 200000\n", "");
    deployment.edit("level = \"info\"", "level = \"loud\"");
    deployment.write("till.jwks.json", &only_key(&deployment.read("till.jwks.json"), "EC"));
    deployment.edit("client_id = \"accounts-api\"", "client_id = \"till-7\"");
    deployment.append("\n[surprise]\n");
    deployment.has_faults(&[
        ("server.issuer", "has to start with https://"),
        ("server.listen", "has to be a string"),
        ("tls.rsa_key", "the key does not fit the certificate"),
        ("limits.connections", "has to be a whole number from 1"),
        ("limits.leave_seconds", "has to be a whole number from 0 to 300"),
        ("keys.colour", "is not known here"),
        ("bank.trust", "cannot be read"),
        ("bank.key", "run: chmod 600"),
        ("store.kind", "production refuses it"),
        ("store.capacity", "is missing"),
        ("audit", "is missing"),
        ("log.level", "has to be one of: error, warn, info, debug"),
        ("surprise", "is not known here"),
        ("clients[0].jwks", "has no key for PS256"),
        ("resource_servers[0].client_id", "is taken by another entry"),
    ]);
}

#[test]
fn each_key_is_missed_by_name() {
    const OPTIONAL: [&str; 3] = ["acr_values_supported", "connections", "connections_per_address"];
    let deployment = Deployment::new();
    let text = fs::read_to_string(deployment.config()).expect("there");
    let lines: Vec<&str> = text.lines().collect();
    let mut section = String::new();
    for (at, line) in lines.iter().enumerate() {
        if line.starts_with('[') {
            let list = if line.starts_with("[[") { "[0]." } else { "." };
            section = line.trim_matches(['[', ']']).to_owned() + list;
        }
        let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else { continue };
        let said = |instead: &str| {
            fs::write(deployment.config(), [&lines[..at], &[instead], &lines[at + 1..]].concat().join("\n"))
                .expect("written");
            err(&deployment.check())
        };
        let without = said("");
        let missed = without.contains(&format!("{section}{key}: is missing"));
        assert_eq!(missed, !OPTIONAL.contains(&key), "{section}{key}:\n{without}");
        let mistaken = said(&format!("{key} = {{}}\n{key}s = 1"));
        for fault in [format!("{section}{key}: has to be"), format!("{section}{key}s: is not known here")] {
            assert!(mistaken.contains(&fault), "{fault}:\n{mistaken}");
        }
    }
    fs::write(deployment.config(), "").expect("written");
    deployment
        .has_faults(&["mode", "server", "tls", "keys", "bank", "store", "log"].map(|section| (section, "is missing")));
}

#[test]
fn an_issuer_is_a_bare_https_origin() {
    let deployment = Deployment::new();
    let fine = fs::read_to_string(deployment.config()).expect("there");
    for (issuer, says) in [
        ("http://localhost:9443", "has to start with https://"),
        ("https://127.0.0.1:9443", "has to name a host, not an address"),
        ("https://[::1]:9443", "has to name a host, not an address"),
        ("https://localhost:9443/", "without a slash"),
        ("https://localhost:9443/realm", "has to end after the host and port"),
        ("https://LOCALHOST:9443", "has to be written plainly"),
        ("localhost", "is not a URL"),
    ] {
        fs::write(deployment.config(), fine.replace("https://localhost:9443", issuer)).expect("written");
        deployment.has_faults(&[("server.issuer", says)]);
    }
}

#[test]
fn balancers_are_addresses_and_networks_and_never_everybody() {
    let deployment = Deployment::new();
    let fine = fs::read_to_string(deployment.config()).expect("there");
    let listing = |list: &str| {
        fs::write(deployment.config(), format!("{fine}\n[proxy_protocol]\nfrom = {list}\n")).expect("written");
        &deployment
    };
    let good = listing("[\"192.0.2.7\", \"10.0.0.0/8\", \"192.0.2.8/32\", \"2001:db8::7\", \"2001:db8::/32\"]").check();
    assert_eq!(good.status.code(), Some(0), "{}", err(&good));
    for (entry, says) in [
        ("balancer.example", "\"balancer.example\" is neither an address nor a network"),
        ("192.0.2.7:9443", "is neither an address nor a network"),
        ("10.0.0.0/33", "is neither an address nor a network"),
        ("10.0.0/8", "is neither an address nor a network"),
        ("10.0.0.7/8", "give the one or the other, 10.0.0.7 or 10.0.0.0/8"),
        ("2001:db8::7/32", "give the one or the other, 2001:db8::7 or 2001:db8::/32"),
        ("0.0.0.0/0", "is everybody"),
        ("::/0", "is everybody"),
    ] {
        listing(&format!("[\"192.0.2.7\", \"{entry}\"]")).has_faults(&[("proxy_protocol.from", says)]);
    }
    for list in ["[]", "\"10.0.0.0/8\"", "[7]", "[\"\"]"] {
        listing(list).has_faults(&[("proxy_protocol.from", "has to be a list of strings, at least one")]);
    }
    listing("[\"192.0.2.7\"]\nto = 1").has_faults(&[("proxy_protocol.to", "is not known here")]);
    fs::write(deployment.config(), format!("{fine}\n[proxy_protocol]\n")).expect("written");
    deployment.has_faults(&[("proxy_protocol.from", "is missing; give a list of strings")]);
}

#[test]
fn files_have_to_be_there_and_be_what_they_are_said_to_be() {
    let deployment = Deployment::new();
    deployment.edit("server-p256.pem", "gone.pem");
    deployment.has_faults(&[("tls.p256_certificate", "gone.pem cannot be read")]);

    let deployment = Deployment::new();
    deployment.edit("server-p256.pem", "server-p256.key");
    deployment.edit("server-rsa.key", "server-rsa.pem");
    deployment.expose("server-rsa.pem", 0o600);
    deployment.has_faults(&[
        ("tls.p256_certificate", "has no certificate in PEM"),
        ("tls.rsa_key", "has no private key in PEM"),
    ]);

    let deployment = Deployment::new();
    fs::remove_file(deployment.certs().join("keys/es256.pem")).expect("removed");
    fs::remove_file(deployment.certs().join("keys/ps256.pem")).expect("removed");
    deployment.has_faults(&[("keys.folder", "has no .pem file")]);
}

#[test]
fn a_fault_in_a_file_hides_no_other_in_its_section() {
    let deployment = Deployment::new();
    deployment.edit("server-p256.pem", "gone.pem");
    deployment.edit("[tls]\n", "[tls]\nstray = 1\n");
    deployment.has_faults(&[("tls.p256_certificate", "cannot be read"), ("tls.stray", "is not known here")]);
}

#[test]
fn a_private_key_that_others_can_read_is_refused() {
    let keys = ["server-p256.key", "server-rsa.key", "countersign.key", "keys/es256.pem", "keys/ps256.pem"];
    for mode in [0o640, 0o604, 0o660, 0o644] {
        let deployment = Deployment::new();
        for key in keys {
            deployment.expose(key, mode);
        }
        deployment.has_faults(&[
            ("tls.p256_key", "server-p256.key can be read by others; run: chmod 600 "),
            ("tls.rsa_key", "server-rsa.key can be read by others"),
            ("bank.key", "countersign.key can be read by others"),
            ("keys.folder", "es256.pem can be read by others"),
            ("keys.folder", "ps256.pem can be read by others"),
        ]);
    }
}

#[test]
fn the_two_server_certificates_are_not_mixed_up() {
    let deployment = Deployment::new();
    for (p256, rsa) in [("pem", "pem"), ("key", "key")] {
        deployment.edit(&format!("server-p256.{p256}"), &format!("swapped.{p256}"));
        deployment.edit(&format!("server-rsa.{rsa}"), &format!("server-p256.{rsa}"));
        deployment.edit(&format!("swapped.{p256}"), &format!("server-rsa.{p256}"));
    }
    deployment
        .has_faults(&[("tls.p256_key", "the key is not a P-256 key"), ("tls.rsa_key", "the key is not an RSA key")]);

    let deployment = Deployment::new();
    deployment.edit("server-rsa.pem", "server-p256.pem");
    deployment.edit("server-rsa.key", "server-p256.key");
    deployment.has_faults(&[("tls.rsa_key", "the key is not an RSA key")]);
}

#[test]
fn a_key_has_to_fit_its_certificate() {
    let deployment = Deployment::new();
    deployment.edit("server-p256.key", "bank.key");
    deployment.has_faults(&[("tls.p256_key", "the key does not fit the certificate")]);

    let deployment = Deployment::new();
    deployment.edit("countersign.key", "bank.key");
    deployment.has_faults(&[("bank.certificate", "the key does not fit the certificate")]);
}

#[test]
fn a_profile_that_undercuts_the_floor_is_refused_by_clause() {
    let profile = fs::read_to_string(shipped("profiles/fapi-ciba-id1.toml")).expect("it ships");
    let deployment = Deployment::new();
    deployment.edit("profile = \"fapi-ciba-id1\"", "profile = \"loose.toml\"");
    let path = deployment.config().with_file_name("loose.toml");
    deployment.has_faults(&[("server.profile", "loose.toml cannot be read")]);
    fs::write(&path, &profile).expect("written");
    assert_eq!(deployment.check().status.code(), Some(0), "{}", err(&deployment.check()));

    let loose = profile
        .replace("[\"PS256\", \"ES256\"]", "[\"PS256\", \"RS256\"]")
        .replace("binding_message_required = true", "binding_message_required = false")
        .replace("delivery_modes = [\"poll\", \"ping\"]", "delivery_modes = [\"poll\", \"push\"]");
    fs::write(&path, loose).expect("written");
    deployment.has_faults(&[
        ("server.profile", "(FAPI1A-8.6)"),
        ("server.profile", "(FAPICIBA-5.2.2-2)"),
        ("server.profile", "push is forbidden (FAPICIBA-5.2.2-3)"),
    ]);
    fs::write(&path, "name = \"x\"").expect("written");
    assert!(err(&deployment.check()).contains("server.profile: the file is not a profile"));
}

#[test]
fn production_refuses_a_store_that_forgets_and_wants_a_record() {
    let deployment = Deployment::new();
    deployment.edit("mode = \"development\"", "mode = \"production\"");
    deployment.has_faults(&[("store.kind", "memory forgets everything"), ("audit", "give [audit] file")]);
}

#[test]
fn the_audit_file_is_one_that_can_be_written() {
    for (file, says) in
        [("nowhere/audit.jsonl", "is a folder, or in one that is not there"), (".", "is a folder"), ("", "a string")]
    {
        let deployment = Deployment::new();
        deployment.append(&format!("\n[audit]\nfile = \"{file}\"\n"));
        deployment.has_faults(&[("audit.file", says)]);
    }
    let deployment = Deployment::new();
    deployment.append("\n[audit]\nfile = \"audit.jsonl\"\nsize = 3\n");
    deployment.has_faults(&[("audit.size", "is not known here")]);
}

#[test]
fn the_bank_is_a_host_under_https() {
    for url in
        ["http://localhost:9445", "https://127.0.0.1:9445", "https://localhost:9445/", "https://localhost?x", "bank"]
    {
        let deployment = Deployment::new();
        deployment.edit("url = \"https://localhost:9445\"", &format!("url = \"{url}\""));
        deployment.has_faults(&[("bank.url", "has to be https://")]);
    }
}

#[test]
fn what_is_not_there_or_not_toml_is_one_fault() {
    let deployment = Deployment::new();
    let gone = deployment.config().with_file_name("gone.toml");
    let checked = check(&gone);
    assert_eq!((checked.status.code(), out(&checked)), (Some(2), String::new()));
    assert!(err(&checked).starts_with(&format!("{}: cannot be read: ", gone.display())), "{}", err(&checked));
    for text in ["mode = ", "{\"mode\": \"development\"}", "mode = \"a\"\nmode = \"b\"\n", "\u{feff}\u{feff}"] {
        fs::write(deployment.config(), text).expect("written");
        let checked = deployment.check();
        assert_eq!((checked.status.code(), out(&checked)), (Some(2), String::new()));
        assert!(err(&checked).contains("server.toml: is not TOML: "), "{}", err(&checked));
    }
    fs::write(deployment.config(), [0xFF, 0xFE]).expect("written");
    assert_eq!(deployment.check().status.code(), Some(2));
}

/// The set with its keys of one type alone.
pub(crate) fn only_key(set: &str, kty: &str) -> String {
    let mut set: serde_json::Value = serde_json::from_str(set).expect("JSON");
    set["keys"].as_array_mut().expect("keys").retain(|key| key["kty"] == kty);
    set.to_string()
}
