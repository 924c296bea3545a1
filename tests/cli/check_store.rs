//! `countersign check` on where everything is kept: memory, or Redis in one of three topologies.

use std::fs;

use crate::deployment::{Deployment, IN_PRODUCTION, err, out, shipped};

const STANDALONE: &str = r#"kind = "redis"
topology = "standalone"
addresses = ["redis.bank.example:6379"]
prefix = "countersign"
"#;
const SENTINEL: &str = r#"kind = "redis"
topology = "sentinel"
addresses = ["10.0.0.7:26379", "10.0.0.8:26379", "[2001:db8::9]:26379"]
primary = "countersign"
prefix = "countersign"
"#;
const CLUSTER: &str = r#"kind = "redis"
topology = "cluster"
addresses = ["10.0.0.7:6379", "10.0.0.8:6379"]
prefix = "Counter-sign_2"
"#;
const LOGIN: &str = "user = \"countersign\"\npassword = \"../certs/dev/redis.password\"\n";
const TRUST: &str = "trust = \"../certs/dev/ca.pem\"\n";
const IDENTITY: &str = "certificate = \"../certs/dev/countersign.pem\"\nkey = \"../certs/dev/countersign.key\"\n";

/// What is in the file of the password, which nothing may print.
const PASSWORD: &str = "correct-horse-battery-staple";

/// The configuration that ships, with a password file, and with `lines` as its store.
fn stored<'a>(deployment: &'a Deployment, lines: &str) -> &'a Deployment {
    deployment.again().redis(lines);
    password(deployment, &format!("{PASSWORD}\n"), 0o600);
    deployment
}

fn password(deployment: &Deployment, content: &str, mode: u32) {
    deployment.write("redis.password", content);
    deployment.expose("redis.password", mode);
}

fn in_production(deployment: &Deployment) -> &Deployment {
    deployment.edit("mode = \"development\"", IN_PRODUCTION);
    deployment
}

#[track_caller]
fn is_fine(deployment: &Deployment) {
    let checked = deployment.check();
    assert_eq!((checked.status.code(), err(&checked).as_str()), (Some(0), ""), "{}", out(&checked));
    assert!(out(&checked).contains(": ok (") && !out(&checked).contains(PASSWORD), "{}", out(&checked));
}

/// The same faults whatever the topology is.
#[track_caller]
fn faulty_in_each(edit: (&str, &str), more: &str, faults: &[(&str, &str)]) {
    let deployment = Deployment::new();
    for topology in [STANDALONE, SENTINEL, CLUSTER] {
        assert!(topology.contains(edit.0), "{}", edit.0);
        stored(&deployment, &format!("{}{more}", topology.replace(edit.0, edit.1))).has_faults(faults);
        assert!(!err(&deployment.check()).contains(PASSWORD), "the password is out");
    }
}

#[test]
fn a_redis_of_each_topology_is_fine_with_and_without_a_user_and_tls() {
    let deployment = Deployment::new();
    for topology in [STANDALONE, SENTINEL, CLUSTER] {
        for more in [
            String::new(),
            LOGIN.to_owned(),
            TRUST.to_owned(),
            format!("{TRUST}{IDENTITY}"),
            format!("{LOGIN}{TRUST}{IDENTITY}"),
        ] {
            is_fine(stored(&deployment, &format!("{topology}{more}")));
        }
        is_fine(in_production(stored(&deployment, &format!("{topology}{LOGIN}"))));
        is_fine(in_production(stored(&deployment, &format!("{topology}{LOGIN}{TRUST}"))));
    }
    let of_sentinels = LOGIN.replace("user", "sentinel_user").replace("password =", "sentinel_password =");
    is_fine(stored(&deployment, &format!("{SENTINEL}{of_sentinels}")));
    is_fine(in_production(stored(&deployment, &format!("{SENTINEL}{LOGIN}{of_sentinels}{TRUST}"))));
}

#[test]
fn a_store_says_what_it_is() {
    let deployment = Deployment::new();
    for (kind, says) in [("", "is missing"), ("kind = 7\n", "has to be one of: memory, redis")] {
        let all = format!("{}{LOGIN}{TRUST}{IDENTITY}capacity = 1\n", SENTINEL.replace("kind = \"redis\"\n", kind));
        stored(&deployment, &all).has_faults(&[("store.kind", says)]);
    }
    for (topology, says) in
        [("", "is missing; give one of: standalone, sentinel, cluster"), ("topology = \"ring\"\n", "has to be one of")]
    {
        let all = format!("{}{LOGIN}", SENTINEL.replace("topology = \"sentinel\"\n", topology));
        stored(&deployment, &all).has_faults(&[("store.topology", says)]);
    }
}

#[test]
fn each_key_of_redis_is_missed_by_name() {
    let deployment = Deployment::new();
    for topology in [STANDALONE, SENTINEL, CLUSTER] {
        let whole = format!("{topology}{LOGIN}{TRUST}{IDENTITY}");
        for line in whole.lines().filter(|line| !line.starts_with("kind")) {
            let (key, _) = line.split_once(" = ").expect("a key");
            stored(&deployment, &whole.replace(&format!("{line}\n"), ""))
                .has_faults(&[(&format!("store.{key}"), "is missing")]);
        }
    }
}

#[test]
fn each_key_of_redis_is_of_its_type() {
    let deployment = Deployment::new();
    for topology in [STANDALONE, SENTINEL, CLUSTER] {
        let whole = format!("{topology}{LOGIN}{TRUST}{IDENTITY}");
        for line in whole.lines() {
            let (key, _) = line.split_once(" = ").expect("a key");
            for odd in ["7", "{}", "\"\"", "[7]"] {
                let lines = whole.replace(&format!("{line}\n"), &format!("{key} = {odd}\n"));
                stored(&deployment, &lines).has_faults(&[(&format!("store.{key}"), "has to be")]);
            }
        }
    }
}

#[test]
fn an_address_is_a_host_and_a_port() {
    let deployment = Deployment::new();
    for odd in ["redis", "redis:0", "redis:65536", ":6379", "redis://redis:6379", "u@redis:6379", "::1:6379", "a b:1"] {
        stored(&deployment, &STANDALONE.replace("redis.bank.example:6379", odd))
            .has_faults(&[("store.addresses", "each has to be host:port")]);
        for several in [SENTINEL.replace("10.0.0.8:26379", odd), CLUSTER.replace("10.0.0.8:6379", odd)] {
            stored(&deployment, &several).has_faults(&[("store.addresses", "each has to be host:port")]);
        }
    }
    let two = STANDALONE.replace("\"redis.bank.example:6379\"", "\"a:1\", \"b:1\"");
    stored(&deployment, &two).has_faults(&[("store.addresses", "a standalone Redis has one")]);
}

#[test]
fn a_prefix_is_short_and_plain() {
    let deployment = Deployment::new();
    let with = |prefix: &str| stored(&deployment, &STANDALONE.replace("\"countersign\"", &format!("\"{prefix}\"")));
    is_fine(with(&"p".repeat(32)));
    for odd in [&"p".repeat(33), "counter:sign", "counter sign", "{tag}", "*", "prä", "a\\nb"] {
        with(odd).has_faults(&[("store.prefix", "has to be at most 32 letters, digits, - and _")]);
    }
}

#[test]
fn a_certificate_is_for_tls_and_tls_needs_authorities() {
    let none = ("kind = \"redis\"", "kind = \"redis\"");
    let certificate = "certificate = \"../certs/dev/countersign.pem\"\n";
    let key = "key = \"../certs/dev/countersign.key\"\n";
    for more in [IDENTITY, certificate, key] {
        faulty_in_each(none, more, &[("store.trust", "is missing: a certificate is for TLS")]);
    }
    faulty_in_each(none, &format!("{TRUST}{certificate}"), &[("store.key", "is missing")]);
    faulty_in_each(none, &format!("{TRUST}{key}"), &[("store.certificate", "is missing")]);
    for (file, says) in [
        ("gone.pem", "gone.pem cannot be read"),
        ("ca.key", "cannot be read"),
        ("bank.key", "has no certificate in PEM"),
    ] {
        faulty_in_each(none, &TRUST.replace("ca.pem", file), &[("store.trust", says)]);
    }
    let foreign = IDENTITY.replace("countersign.key", "till.key");
    faulty_in_each(
        none,
        &format!("{TRUST}{foreign}"),
        &[("store.certificate", "the key does not fit the certificate")],
    );
}

#[test]
fn a_key_that_others_can_read_is_complained_of_once() {
    let deployment = Deployment::new();
    stored(&deployment, &format!("{STANDALONE}{TRUST}{IDENTITY}"));
    deployment.expose("countersign.key", 0o640);
    deployment.has_faults(&[("store.key", "run: chmod 600"), ("bank.key", "run: chmod 600")]);
}

#[test]
fn a_user_has_a_password_in_a_file_of_one_line_that_nobody_else_reads() {
    let deployment = Deployment::new();
    for (user, key) in [("user", "password"), ("sentinel_user", "sentinel_password")] {
        let named = LOGIN.replace("password =", "word =").replace("user", user).replace("word =", &format!("{key} ="));
        let lines = format!("{SENTINEL}{named}");
        let fault = format!("store.{key}");
        is_fine(stored(&deployment, &lines));
        for mode in [0o640, 0o604, 0o620] {
            password(stored(&deployment, &lines), PASSWORD, mode);
            deployment.has_faults(&[(&fault, "redis.password can be read by others; run: chmod 600")]);
        }
        for content in ["", "\n", "a\tb\n", "a\r\n", "a\nb\n", "a\n\n", "a\u{0}"] {
            password(stored(&deployment, &lines), content, 0o600);
            deployment.has_faults(&[(&fault, "has to have one line, and something in it")]);
        }
        for content in ["a", "a\n", " with blanks ", "ä\n"] {
            password(stored(&deployment, &lines), content, 0o600);
            is_fine(&deployment);
        }
        stored(&deployment, &lines.replace("redis.password", "gone")).has_faults(&[(&fault, "gone cannot be read")]);
        let (of_user, of_password) = named.split_once('\n').expect("two lines");
        stored(&deployment, &format!("{SENTINEL}{of_user}\n")).has_faults(&[(&fault, "is missing")]);
        stored(&deployment, &format!("{SENTINEL}{of_password}"))
            .has_faults(&[(&format!("store.{user}"), "is missing")]);
    }
}

#[test]
fn production_has_a_user_for_this_server_alone() {
    let deployment = Deployment::new();
    for topology in [STANDALONE, SENTINEL, CLUSTER] {
        in_production(stored(&deployment, &format!("{topology}{TRUST}")))
            .has_faults(&[("store.user", "is missing: in production Redis has a user for this server alone")]);
    }
}

#[test]
fn a_store_has_no_key_that_it_does_not_know() {
    let none = ("kind = \"redis\"", "kind = \"redis\"");
    for stray in ["capacity = 200000\n", "database = 1\n", "url = \"redis://redis:6379\"\n", "Prefix = \"p\"\n"] {
        let key = stray.split(' ').next().expect("a key");
        faulty_in_each(none, stray, &[(&format!("store.{key}"), "is not known here")]);
    }
    let deployment = Deployment::new();
    for topology in [STANDALONE, CLUSTER] {
        for (key, value) in [("primary", "\"p\""), ("sentinel_user", "\"u\""), ("sentinel_password", "\"p\"")] {
            stored(&deployment, &format!("{topology}{key} = {value}\n"))
                .has_faults(&[(&format!("store.{key}"), "is not known here")]);
        }
    }
    let whole = format!("{SENTINEL}{LOGIN}{TRUST}{IDENTITY}");
    for line in whole.lines().filter(|line| !line.starts_with("kind")) {
        let key = line.split(' ').next().expect("a key");
        deployment.again().edit("kind = \"memory\"", &format!("kind = \"memory\"\n{line}"));
        deployment.has_faults(&[(&format!("store.{key}"), "is not known here")]);
    }
}

/// What stands in comments can be taken out of them.
#[test]
fn the_redis_that_ships_in_comments_is_fine_in_each_topology() {
    let deployment = Deployment::new();
    let text = fs::read_to_string(shipped("deploy/server.toml")).expect("it ships");
    let section =
        text.split("# [store]\n").nth(1).and_then(|rest| rest.split("\n# [audit]").next()).expect("it is there");
    let settings =
        |line: &str| line.strip_prefix("# ").filter(|line| line.split(' ').nth(1) == Some("=")).map(str::to_owned);
    let lines: Vec<String> = section.lines().filter_map(settings).collect();
    assert_eq!(lines.len(), 13, "{lines:#?}");
    for (topology, without) in
        [("standalone", "primary sentinel_"), ("sentinel", "none"), ("cluster", "primary sentinel_")]
    {
        let kept = lines.iter().filter(|line| !without.split(' ').any(|start| line.starts_with(start)));
        let all: String = kept.flat_map(|line| [line.as_str(), "\n"]).collect();
        deployment.again().store(&all.replace("\"standalone\"", &format!("\"{topology}\"")));
        password(&deployment, &format!("{PASSWORD}\n"), 0o600);
        deployment.write("sealing.key", &"0123456789abcdef".repeat(4));
        deployment.expose("sealing.key", 0o600);
        for (from, to) in [
            ("\"sealing.key\"", "\"../certs/dev/sealing.key\""),
            ("\"sentinel.password\"", "\"redis.password\""),
            ("\"redis-ca.pem\"", "\"ca.pem\""),
            ("\"redis.password\"", "\"../certs/dev/redis.password\""),
            ("\"ca.pem\"", "\"../certs/dev/ca.pem\""),
            ("\ncertificate = \"countersign.pem\"", "\ncertificate = \"../certs/dev/countersign.pem\""),
            ("\nkey = \"countersign.key\"", "\nkey = \"../certs/dev/countersign.key\""),
        ] {
            let text = fs::read_to_string(deployment.config()).expect("there");
            fs::write(deployment.config(), text.replace(from, to)).expect("written");
        }
        is_fine(in_production(&deployment));
    }
}

/// RFC 9449 §8: every server has to know the nonces of the others, whether a proof has to have one or may.
#[test]
fn nonces_take_a_secret_that_all_servers_share() {
    let deployment = Deployment::new();
    let profile = fs::read_to_string(shipped("profiles/fapi-ciba-id1.toml")).expect("it ships");
    let required = "dpop_nonce = \"required\"";
    let named = ("profile = \"fapi-ciba-id1\"", "profile = \"../certs/dev/own.toml\"");
    assert!(profile.contains(required));
    let by_certificate = profile.replace("[\"certificate\", \"dpop\"]", "[\"certificate\"]");
    let nonces = |how: &str| profile.replace(required, &format!("dpop_nonce = \"{how}\""));
    for (profile, needs) in
        [(nonces("required"), true), (nonces("lenient"), true), (nonces("off"), false), (by_certificate, false)]
    {
        deployment.write("own.toml", &profile);
        let lines = format!("{STANDALONE}{LOGIN}");
        stored(&deployment, &lines).edit(named.0, named.1);
        is_fine(&deployment);
        deployment.edit("sealing_key = \"../certs/dev/sealing.key\"\n", "");
        if needs {
            deployment.has_faults(&[("store.sealing_key", "the profile binds tokens by DPoP, with nonces")]);
        } else {
            is_fine(&deployment);
        }
    }
    deployment.again().edit(named.0, named.1);
    is_fine(&deployment);
}
