//! `conformance configs`: what it writes is what the suite and the server want, and what it cannot write it says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// What every call says.
const SERVER: [&str; 10] = [
    "--issuer",
    "https://ciba.bank.example/",
    "--resource-url",
    "https://api.bank.example/accounts",
    "--open-banking-url",
    "https://api.bank.example/open-banking",
    "--user",
    "customer-1",
    "--acr",
    "urn:bank:acr:pin",
];

fn conformance(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_conformance")).args(arguments).output().expect("it runs")
}

fn configs(out: &Path, more: &[&str]) -> Output {
    let out = out.to_str().expect("UTF-8");
    conformance(&[&["configs", "--out", out], &SERVER[..], more].concat())
}

fn written(folder: &TempDir, plan: &str) -> Value {
    let text = fs::read_to_string(folder.path().join(format!("{plan}.json"))).expect("it was written");
    serde_json::from_str(&text).expect("JSON")
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[test]
fn every_plan_gets_a_configuration_and_each_is_named_on_standard_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = configs(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let named = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(named.lines().count(), 16 + 2, "{named}");
    assert!(named.lines().all(|line| Path::new(line).exists()), "{named}");
    assert!(named.contains("registration-plain.toml\n") && named.contains("registration-uk.toml\n"), "{named}");
}

#[test]
fn a_static_configuration_has_both_clients_with_keys_and_certificates_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = configs(
        folder.path(),
        &["--plan", "plain-poll-mtls-static", "--approval-url", "https://x.example/{auth_req_id}/{action}"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let it = written(&folder, "plain-poll-mtls-static");
    assert_eq!(it["server"]["discoveryUrl"], "https://ciba.bank.example/.well-known/openid-configuration");
    assert_eq!(it["automated_ciba_approval_url"], "https://x.example/{auth_req_id}/{action}");
    assert_eq!(it["resource"]["resourceUrl"], "https://api.bank.example/accounts");
    assert_eq!(it["client"]["hint_type"], "login_hint");
    assert_eq!(it["client"]["hint_value"], "customer-1");
    assert_eq!(it["client2"]["acr_value"], "urn:bank:acr:pin");
    let (one, two) = (&it["client"]["jwks"]["keys"][0], &it["client2"]["jwks"]["keys"][0]);
    for key in [one, two] {
        assert_eq!((&key["kty"], &key["alg"], &key["use"]), (&"RSA".into(), &"PS256".into(), &"sig".into()));
        assert!(key["d"].is_string() && key["kid"].is_string(), "the suite signs with it");
    }
    assert_ne!(one["n"], two["n"]);
    assert_ne!(it["client"]["client_id"], it["client2"]["client_id"]);
    assert_ne!(it["mtls"]["cert"], it["mtls2"]["cert"]);
    assert!(it["mtls"]["key"].as_str().expect("a key").contains("PRIVATE KEY"));
    assert!(it.get("alias").is_none(), "nobody calls a client that polls");
}

#[test]
fn what_has_a_private_key_in_it_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(configs(folder.path(), &["--plan", "plain-poll-mtls-static"]).status.code(), Some(0));
    let mut seen = 0;
    for entry in
        fs::read_dir(folder.path()).expect("there").chain(fs::read_dir(folder.path().join("clients")).expect("there"))
    {
        let path = entry.expect("readable").path();
        if !path.is_file() {
            continue;
        }
        let text = fs::read_to_string(&path).expect("UTF-8");
        let private = text.contains("PRIVATE KEY") || text.contains("\"d\":");
        let mode = path.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, if private { 0o600 } else { 0o644 }, "{}", path.display());
        seen += usize::from(private);
    }
    assert_eq!(seen, 1 + 2 * 2 + 1, "the configuration, two of each client, and one of their authority");
}

#[test]
fn a_dynamic_configuration_has_no_clients_and_the_token_that_registration_asks_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, "a token of the registrar\n").expect("written");
    let token = token.to_str().expect("UTF-8");
    let output = configs(folder.path(), &["--plan", "uk-ping-pkj-dynamic", "--initial-access-token", token]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let it = written(&folder, "uk-ping-pkj-dynamic");
    for client in ["client", "client2"] {
        assert_eq!(it[client]["initial_access_token"], "a token of the registrar");
        assert_eq!(it[client]["scope"], "openid accounts");
        assert!(it[client].get("client_id").is_none() && it[client].get("jwks").is_none());
    }
    assert!(it.get("mtls").is_none() && it.get("alias").is_none());
    assert_eq!(it["resource"]["resourceUrl"], "https://api.bank.example/open-banking/", "a base, for the UK plans");
    assert!(it.get("automated_ciba_approval_url").is_none(), "nobody named one");
    assert!(!folder.path().join("registration-uk.toml").exists(), "there is nobody to register");
}

#[test]
fn a_static_client_that_is_pinged_has_an_address_that_is_known_beforehand() {
    let folder = tempfile::tempdir().expect("a folder");
    let more = ["--plan", "plain-ping-pkj-static", "--alias", "mybank", "--suite", "https://suite.example/"];
    let output = configs(folder.path(), &more);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(written(&folder, "plain-ping-pkj-static")["alias"], "mybank-plain-ping-pkj-static");
    let entries = fs::read_to_string(folder.path().join("registration-plain.toml")).expect("written");
    let endpoint = "https://suite.example/test/a/mybank-plain-ping-pkj-static/ciba-notification-endpoint";
    assert_eq!(entries.matches(endpoint).count(), 2, "{entries}");
}

#[test]
fn a_second_call_uses_the_clients_of_the_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = ["--plan", "plain-poll-pkj-static"];
    assert_eq!(configs(folder.path(), &plan).status.code(), Some(0));
    let first = written(&folder, "plain-poll-pkj-static");
    assert_eq!(configs(folder.path(), &plan).status.code(), Some(0));
    assert_eq!(written(&folder, "plain-poll-pkj-static"), first);
    // Another plan gets clients of its own, of the same authority.
    let authority = || fs::read(folder.path().join("clients/client-authorities.pem")).expect("written");
    let before = authority();
    let other = configs(folder.path(), &["--plan", "plain-poll-pkj-static", "plain-poll-mtls-static"]);
    assert_eq!(other.status.code(), Some(0), "{}", said(&other));
    assert_eq!((written(&folder, "plain-poll-pkj-static"), authority()), (first, before));
    assert_eq!(configs(folder.path(), &["--plan", "plain-poll-mtls-static"]).status.code(), Some(0));
    let entries = fs::read_to_string(folder.path().join("registration-plain.toml")).expect("written");
    assert_eq!(entries.matches("[[clients]]").count(), 4, "those of before are there still: {entries}");
    fs::remove_file(folder.path().join("clients/client-authorities.key")).expect("it was made");
    let third = configs(folder.path(), &["--plan", "uk-poll-mtls-static"]);
    assert_eq!(third.status.code(), Some(1));
    assert!(
        said(&third).contains("client-authorities.key") && said(&third).contains("another folder"),
        "{}",
        said(&third)
    );
}

#[test]
fn what_the_suite_or_the_server_would_not_take_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    for (option, value, says) in [
        ("--issuer", "ciba.bank.example", "https address"),
        ("--issuer", "http://ciba.bank.example", "https address"),
        ("--issuer", "https://ciba.bank.example/?a=b", "https address"),
        ("--suite", "https://suite.example/#a", "https address"),
        ("--issuer", "https://ciba.bank.example/.well-known/openid-configuration", "the issuer itself"),
        ("--approval-url", "https://x.example/approve", "{auth_req_id} and {action}"),
        ("--approval-url", "https://x.example/{auth_req_id}?do={acton}", "{auth_req_id} and {action}"),
        ("--approval-url", "nonsense {auth_req_id} {action}", "has to be an address"),
        ("--alias", "my bank", "letters, digits, - and _"),
        ("--alias", "", "letters, digits, - and _"),
    ] {
        let out = folder.path().to_str().expect("UTF-8");
        let server = if option == "--issuer" { &SERVER[2..] } else { &SERVER[..] };
        let output = conformance(&[&["configs", "--out", out], server, &[option, value]].concat());
        assert_eq!(output.status.code(), Some(2), "{option} {value}");
        assert!(said(&output).contains(says) && said(&output).contains(option), "{}", said(&output));
    }
    for (gone, plan) in [("--resource-url", "plain-poll-pkj-static"), ("--open-banking-url", "uk-poll-pkj-static")] {
        let at = SERVER.iter().position(|word| *word == gone).expect("it is there");
        let rest = [&SERVER[..at], &SERVER[at + 2..]].concat();
        let out = folder.path().to_str().expect("UTF-8");
        let output = conformance(&[&["configs", "--out", out, "--plan", plan], &rest[..]].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(&format!("{plan} needs {gone} URL")), "{}", said(&output));
        let others = if plan.starts_with("uk") { "plain-poll-pkj-dynamic" } else { "uk-poll-pkj-dynamic" };
        let output = conformance(&[&["configs", "--out", out, "--plan", others], &rest[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    let missing = configs(folder.path(), &["--plan", "plain-poll-pkj-dynamic", "--initial-access-token", "/nowhere"]);
    assert!(missing.status.code() == Some(1) && said(&missing).contains("/nowhere: "), "{}", said(&missing));
}

#[test]
fn a_file_that_others_could_read_is_made_its_owners_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plain-poll-pkj-dynamic.json");
    fs::write(&path, "{}").expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
    assert_eq!(configs(folder.path(), &["--plan", "plain-poll-pkj-dynamic"]).status.code(), Some(0));
    assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn clients_of_ones_own_are_taken_from_their_list_and_nothing_is_made() {
    let (made, folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    assert_eq!(configs(made.path(), &["--plan", "plain-poll-pkj-static"]).status.code(), Some(0));
    let list = made.path().join("clients/clients.toml");
    let text = fs::read_to_string(&list).expect("written").replace("plain-poll-pkj-static-one\"", "till-one\"");
    fs::write(&list, &text).expect("written");
    let list = list.to_str().expect("UTF-8");
    let output = configs(folder.path(), &["--plan", "plain-poll-pkj-static", "--clients", list]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(written(&folder, "plain-poll-pkj-static")["client"]["client_id"], "till-one");
    assert!(!folder.path().join("clients").exists() && !folder.path().join("registration-plain.toml").exists());
    let other = configs(folder.path(), &["--plan", "plain-ping-pkj-static", "--clients", list]);
    assert_eq!(other.status.code(), Some(1));
    assert!(said(&other).contains("there are no clients for plain-ping-pkj-static"), "{}", said(&other));
    for (bad, says) in [
        (text.replace("client_id", "clientid"), "unknown field `clientid`"),
        (text.replace("[plain-poll-pkj-static.", "[plain-push-pkj-static."), "there is no such plan"),
        (text.replace("-one.pem", "-three.pem"), "plain-poll-pkj-static-three.pem"),
    ] {
        fs::write(list, bad).expect("written");
        let output = configs(folder.path(), &["--plan", "plain-poll-pkj-static", "--clients", list]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(says), "{}", said(&output));
    }
}

#[test]
fn a_plan_that_there_is_not_is_said_with_how_they_are_called() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = configs(folder.path(), &["--plan", "plain-push-pkj-static"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("plain-push-pkj-static") && said(&output).contains("{poll|ping}"),
        "{}",
        said(&output)
    );
}

/// The server's own reader is the judge: the shipped configuration, with everything the entries need.
#[test]
fn the_server_takes_what_is_to_be_registered() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(configs(folder.path(), &[]).status.code(), Some(0));
    let certs = folder.path().join("certs");
    let made = conformance(&["countersign", "certs", "dev", "--out", certs.to_str().expect("UTF-8")]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/server.toml");
    let shipped = fs::read_to_string(shipped).expect("it ships").replace("../certs/dev/", "certs/");
    let plain = "profile = \"fapi-ciba-id1\"";
    assert!(shipped.contains(plain));
    let uk = shipped.replace(plain, "profile = \"open-banking-uk\"");
    let needed = "\n[client_certificates]\nauthorities = \"clients/client-authorities.pem\"\n[client_endpoints]\ntrust = \"certs/ca.pem\"\nloopback = true\n";
    let entries = |name: &str| fs::read_to_string(folder.path().join(name)).expect("written");
    let config = folder.path().join("server.toml");
    let check = || conformance(&["countersign", "check", "--config", config.to_str().expect("UTF-8")]);
    for (server, name) in [(&shipped, "registration-plain.toml"), (&uk, "registration-uk.toml")] {
        fs::write(&config, format!("{server}{needed}{}", entries(name))).expect("written");
        let checked = check();
        assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
        fs::write(&config, format!("{server}{}", entries(name))).expect("written");
        assert_eq!(check().status.code(), Some(2), "tls_client_auth needs [client_certificates]");
    }
    fs::write(&config, format!("{shipped}{needed}{}", entries("registration-uk.toml"))).expect("written");
    assert_eq!(check().status.code(), Some(2), "its clients ask for a grant of another profile");
}
