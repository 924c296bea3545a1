//! `countersign check` on how a client is told, what it may have, where its keys are, and whether it is in service.

use std::fs;

use crate::deployment::{Deployment, err, out};

const TILL: &str = "client_id = \"till-7\"";
const POLL: &str = "backchannel_token_delivery_mode = \"poll\"";
const PING: &str = "backchannel_token_delivery_mode = \"ping\"";
const ENDPOINT: &str = "backchannel_client_notification_endpoint = \"https://till.example/ping\"";
const CIBA: &str = "urn:openid:params:grant-type:ciba";
const JWKS: &str = "jwks = \"../certs/dev/till.jwks.json\"";
const JWKS_URI: &str = "jwks_uri = \"https://till.example/jwks.json\"";

/// The configuration that ships, where clients are called, and in which `to` stands for `from`.
fn calling<'a>(deployment: &'a Deployment, from: &str, to: &str) -> &'a Deployment {
    deployment.again().edit(from, to);
    deployment.append("\n[client_endpoints]\ntrust = \"system\"\n");
    deployment
}

#[track_caller]
fn is_fine(deployment: &Deployment) {
    let checked = deployment.check();
    assert_eq!((checked.status.code(), err(&checked).as_str()), (Some(0), ""), "{}", out(&checked));
}

#[test]
fn ciba_4r_2_a_ping_client_has_an_endpoint_that_this_server_calls_and_a_poll_client_has_none() {
    let deployment = Deployment::new();
    let calling = |from: &str, to: &str| calling(&deployment, from, to);
    let both = format!("{PING}\n{ENDPOINT}");
    is_fine(calling(POLL, &both));
    let (mode, endpoint) =
        ("clients[0].backchannel_token_delivery_mode", "clients[0].backchannel_client_notification_endpoint");
    calling(POLL, PING).has_faults(&[(endpoint, "is missing")]);
    calling(POLL, &format!("{POLL}\n{ENDPOINT}")).has_faults(&[(endpoint, "a poll client is never called")]);
    for bad in
        ["http://till.example/ping", "https://127.0.0.1/ping", "https://u@till.example/", "https://till.example/#x"]
    {
        calling(POLL, &both.replace("https://till.example/ping", bad)).has_faults(&[(endpoint, "has")]);
    }
    deployment.again().edit(POLL, &both);
    deployment.has_faults(&[(mode, "needs a [client_endpoints] section")]);
}

#[test]
fn dcr_7591_5_keys_are_in_a_file_or_at_a_url() {
    let deployment = Deployment::new();
    let calling = |from: &str, to: &str| calling(&deployment, from, to);
    is_fine(calling(JWKS, JWKS_URI));
    calling(JWKS, &format!("{JWKS}\n{JWKS_URI}")).has_faults(&[("clients[0].jwks", "stands beside jwks_uri")]);
    calling(JWKS, "").has_faults(&[("clients[0].jwks", "is missing; give it, or jwks_uri")]);
    calling(JWKS, "jwks_uri = \"http://till.example/\"")
        .has_faults(&[("clients[0].jwks_uri", "has to start with https://")]);
    deployment.again().edit(JWKS, JWKS_URI);
    deployment.has_faults(&[("clients[0].jwks_uri", "needs a [client_endpoints] section")]);
    deployment.again().edit("jwks = \"../certs/dev/accounts-api.jwks.json\"", JWKS_URI);
    deployment.has_faults(&[("resource_servers[0].jwks_uri", "needs a [client_endpoints] section")]);
}

#[test]
fn ciba_4r_10_a_pairwise_client_has_its_keys_at_a_url_and_the_server_has_a_key() {
    let deployment = Deployment::new();
    let calling = |from: &str, to: &str| calling(&deployment, from, to);
    let pairwise = |keys: &str| {
        let deployment = calling(JWKS, keys);
        deployment.edit(TILL, &format!("{TILL}\nsubject_type = \"pairwise\""));
        deployment
    };
    let keyed = |keys: &str| {
        let deployment = pairwise(keys);
        deployment.edit("[server]\n", "[server]\npairwise_key = \"../certs/dev/pairwise.key\"\n");
        deployment.write("pairwise.key", &"k".repeat(32));
        deployment.expose("pairwise.key", 0o600);
        deployment
    };
    is_fine(keyed(JWKS_URI));
    pairwise(JWKS_URI).has_faults(&[("clients[0].subject_type", "pairwise is not offered here")]);
    keyed(JWKS).has_faults(&[("clients[0].jwks_uri", "a pairwise client has its keys there")]);
    let sector = "sector_identifier_uri = \"https://till.example/sector.json\"";
    is_fine(keyed(&format!("{JWKS_URI}\n{sector}")));
    calling(JWKS, &format!("{JWKS}\n{sector}"))
        .has_faults(&[("clients[0].sector_identifier_uri", "is for clients of subject_type pairwise")]);
}

#[test]
fn ciba_4r_8_the_grants_are_ciba_unless_said_otherwise_and_perhaps_refresh() {
    let deployment = Deployment::new();
    let granted = |grants: &str| {
        deployment.again().edit(TILL, &format!("{TILL}\ngrant_types = {grants}"));
        &deployment
    };
    is_fine(granted(&format!("[\"{CIBA}\"]")));
    is_fine(granted(&format!("[\"refresh_token\", \"{CIBA}\"]")));
    for bad in [
        "[]".to_owned(),
        "[\"refresh_token\"]".to_owned(),
        format!("[\"{CIBA}\", \"authorization_code\"]"),
        format!("\"{CIBA}\""),
        format!("[\"{CIBA}\", 1]"),
    ] {
        granted(&bad)
            .has_faults(&[("clients[0].grant_types", "has to be a list with urn:openid:params:grant-type:ciba")]);
    }
    deployment
        .again()
        .edit("client_id = \"accounts-api\"", &format!("client_id = \"accounts-api\"\ngrant_types = [\"{CIBA}\"]"));
    deployment.has_faults(&[("resource_servers[0].grant_types", "is not known here")]);
}

#[test]
fn an_entry_that_is_out_of_service_is_checked_all_the_same() {
    let deployment = Deployment::new();
    let disabled = |value: &str| {
        deployment.again().edit(TILL, &format!("{TILL}\ndisabled = {value}"));
        &deployment
    };
    for (value, registered) in [("true", "1 registered"), ("false", "2 registered")] {
        let deployment = disabled(value);
        is_fine(deployment);
        assert!(out(&deployment.check()).contains(registered), "{value}: {}", out(&deployment.check()));
    }
    disabled("\"yes\"").has_faults(&[("clients[0].disabled", "has to be true or false")]);
    let deployment = disabled("true");
    deployment.edit(POLL, "backchannel_token_delivery_mode = \"push\"");
    deployment.has_faults(&[("clients[0].backchannel_token_delivery_mode", "has to be one of: poll, ping")]);
    let deployment = disabled("true");
    let text = fs::read_to_string(deployment.config()).expect("there");
    let entry = text.split("[[clients]]").nth(1).and_then(|rest| rest.split("\n#").next()).expect("an entry");
    deployment.append(&format!("\n[[clients]]{}", entry.replace("disabled = true", "")));
    let said = err(&deployment.check());
    assert!(said.contains("clients[1].client_id: is taken by another entry"), "its name stays taken: {said}");
}
