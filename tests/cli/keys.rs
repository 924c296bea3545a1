//! `countersign keys`: what each command does to the folder, says, and leaves to a server that runs.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::deployment::{Deployment, countersign, err, files, out};
use crate::serving::{Serving, sooner_or_later};

/// A deployment whose keys are looked after.
pub(crate) struct Keys(pub(crate) Deployment);

impl Keys {
    pub(crate) fn new() -> Self {
        let deployment = Deployment::new();
        deployment.listen(("listen", 0), ("internal_listen", 0));
        deployment.edit("format = \"pretty\"", "format = \"json\"");
        Self(deployment)
    }

    /// Runs the command, which may be refused.
    pub(crate) fn tried(&self, arguments: &[&str]) -> Output {
        let config = self.0.config();
        countersign(&[&["keys", "--config", config.to_str().expect("UTF-8")], arguments].concat())
    }

    /// Runs the command, which works; what it prints comes back.
    #[track_caller]
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.tried(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", err(&output));
        out(&output)
    }

    /// Runs the command, which is refused with this code; why comes back.
    #[track_caller]
    fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let before = files(&self.0.certs().join("keys"));
        let output = self.tried(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", out(&output));
        assert_eq!(out(&output), "");
        let lock = |files: Vec<(std::path::PathBuf, Vec<u8>)>| {
            files.into_iter().filter(|(path, _)| !path.ends_with("keyring.lock")).collect::<Vec<_>>()
        };
        assert_eq!(lock(files(&self.0.certs().join("keys"))), lock(before), "nothing was done");
        err(&output)
    }

    /// The kids of all keys for `alg`, by their state.
    pub(crate) fn of(&self, alg: &str) -> BTreeMap<String, Vec<String>> {
        let listed: Value = serde_json::from_str(&self.done(&["list", "--json"])).expect("JSON");
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for key in listed["keys"].as_array().expect("a list").iter().filter(|key| key["alg"] == alg) {
            let text = |member: &str| key[member].as_str().expect("a text").to_owned();
            found.entry(text("state")).or_default().push(text("kid"));
        }
        found
    }

    /// The one key for `alg` in that state.
    #[track_caller]
    pub(crate) fn one(&self, alg: &str, state: &str) -> String {
        let found = self.of(alg);
        match found.get(state).map(Vec::as_slice) {
            Some([kid]) => kid.clone(),
            _ => panic!("not one {state}: {found:?}"),
        }
    }
}

/// The kids that a server publishes, in order.
pub(crate) fn published(keys: &Keys, serving: &Serving) -> Vec<String> {
    let (status, jwks) = keys.0.heard(serving.port, "/jwks").expect("an answer");
    assert_eq!(status, 200);
    let keys = jwks["keys"].as_array().expect("a list").iter();
    let mut kids: Vec<String> = keys.map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect();
    kids.sort();
    kids
}

/// What the server publishes comes to be the keys in these states.
fn agrees(keys: &Keys, serving: &Serving) {
    sooner_or_later("the server has read the keys again", || {
        let mut wanted: Vec<String> = ["ES256", "PS256"]
            .into_iter()
            .flat_map(|alg| keys.of(alg))
            .filter(|(state, _)| ["next", "active", "retiring"].contains(&state.as_str()))
            .flat_map(|(_, kids)| kids)
            .collect();
        wanted.sort();
        (published(keys, serving) == wanted).then_some(())
    });
}

#[test]
fn keys_that_nobody_has_looked_after_have_always_signed() {
    let keys = Keys::new();
    let before = files(&keys.0.certs().join("keys"));
    let table = keys.done(&["list"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("kid ") && lines[0].ends_with("verifies until"), "{table}");
    for alg in ["ES256", "PS256"] {
        let kid = keys.one(alg, "active");
        assert!(lines.iter().any(|line| line.starts_with(&format!("{kid}  {alg}  active  ever"))), "{table}");
    }
    assert_eq!(files(&keys.0.certs().join("keys")), before, "looking changes nothing");
}

#[test]
fn a_rotation_says_its_schedule_publishes_at_once_and_signs_later() {
    let keys = Keys::new();
    let serving = Serving::start(&keys.0);
    let old = keys.one("ES256", "active");
    let said = keys.done(&["rotate", "--alg", "ES256"]);
    let new = keys.one("ES256", "next");
    assert_eq!(keys.one("ES256", "active"), old);
    assert!(said.contains(&format!("ES256 {new} (new): published now; signs from 20")), "{said}");
    assert!(said.contains(&format!("ES256 {old}: signs until 20")) && said.contains("verifies until 20"), "{said}");
    assert!(!keys.of("PS256").contains_key("next"), "it was not asked for");
    agrees(&keys, &serving);
    assert!(published(&keys, &serving).contains(&new));
    let listed: Value = serde_json::from_str(&keys.done(&["list", "--json"])).expect("JSON");
    let times = |kid: &str| listed["keys"].as_array().expect("a list").iter().find(|key| key["kid"] == kid).cloned();
    let (new, old) = (times(&new).expect("listed"), times(&old).expect("listed"));
    let time = |key: &Value, member: &str| key[member].as_i64().expect("a time");
    assert_eq!(time(&new, "signs_from") - time(&new, "published"), 360, "the keys may be known by heart for 300 s");
    assert_eq!(old["signs_until"], new["signs_from"]);
    assert_eq!(time(&old, "verifies_until") - time(&old, "signs_until"), 360, "an ID token lives for 300 s");
}

#[test]
fn what_would_happen_can_be_seen_before_it_does() {
    let keys = Keys::new();
    let kid = keys.one("ES256", "active");
    let before = files(&keys.0.certs().join("keys"));
    for arguments in [&["rotate"][..], &["rotate", "--now"], &["generate", "--alg", "ES256"], &["revoke", &kid]] {
        let said = keys.done(&[arguments, &["--dry-run"]].concat());
        assert!(said.ends_with("(nothing was done)\n") && said.lines().count() > 1, "{said}");
    }
    assert_eq!(files(&keys.0.certs().join("keys")), before);
}

#[test]
fn a_rotation_that_is_under_way_is_not_begun_again_and_can_be_brought_forward() {
    let keys = Keys::new();
    keys.done(&["rotate"]);
    let (next, old) = (keys.one("PS256", "next"), keys.one("PS256", "active"));
    assert_eq!(keys.done(&["rotate"]), "nothing to do: it is under way\n");
    assert_eq!(keys.one("PS256", "next"), next);
    keys.done(&["rotate", "--now", "--alg", "PS256"]);
    assert_eq!(keys.one("PS256", "active"), next);
    assert_eq!(keys.one("PS256", "retiring"), old);
}

#[test]
fn a_key_that_was_made_before_is_what_the_next_rotation_takes() {
    let keys = Keys::new();
    let said = keys.done(&["generate", "--alg", "es256"]);
    assert!(said.contains("published now; signs when it is promoted, or at the next rotation"), "{said}");
    let made = keys.one("ES256", "next");
    keys.done(&["rotate", "--alg", "ES256", "--now"]);
    assert_eq!(keys.one("ES256", "active"), made);
}

#[test]
fn a_key_of_ones_own_is_published_and_signs_when_it_is_promoted() {
    let keys = Keys::new();
    let own = keys.0.certs().join("till-es256.key");
    let own = own.to_str().expect("UTF-8");
    keys.done(&["import", own]);
    let kid = keys.one("ES256", "next");
    assert!(keys.refused(2, &["import", own]).contains("is there already"));
    keys.done(&["promote", &kid[..8], "--now"]);
    assert_eq!(keys.one("ES256", "active"), kid);
    let config = keys.0.config();
    let said = keys.refused(2, &["import", config.to_str().expect("UTF-8")]);
    assert!(said.contains("no PKCS#8 key in PEM"), "{said}");
    assert!(keys.refused(2, &["import", "/nowhere/key.pem"]).contains("/nowhere/key.pem"));
}

#[test]
fn a_key_is_given_up_at_once_and_somebody_signs_all_the_same() {
    let keys = Keys::new();
    let serving = Serving::start(&keys.0);
    let old = keys.one("ES256", "active");
    let said = keys.refused(2, &["revoke", &old]);
    assert!(said.contains("--yes") && said.contains("--dry-run"), "{said}");
    let said = keys.done(&["revoke", &old, "--yes"]);
    assert!(
        said.contains("nothing that it signed is believed any more") && said.contains("signs from now on"),
        "{said}"
    );
    assert_eq!(keys.one("ES256", "revoked"), old);
    let new = keys.one("ES256", "active");
    agrees(&keys, &serving);
    assert!(published(&keys, &serving).contains(&new) && !published(&keys, &serving).contains(&old));
    let names: Vec<String> =
        files(&keys.0.certs().join("keys")).iter().map(|(path, _)| path.display().to_string()).collect();
    assert!(
        !names.iter().any(|name| name.ends_with("es256.pem") && !name.contains(&new)),
        "its private part is gone: {names:?}"
    );
    assert!(keys.refused(2, &["revoke", &old, "--yes"]).contains("is revoked already"));
}

#[test]
fn a_key_can_be_retired_once_another_one_signs() {
    let keys = Keys::new();
    let old = keys.one("ES256", "active");
    assert!(keys.refused(2, &["retire", &old, "--yes"]).contains("rotate --now"));
    keys.done(&["generate", "--alg", "ES256"]);
    let next = keys.one("ES256", "next");
    assert!(keys.refused(2, &["retire", &next]).contains("--yes"));
    keys.done(&["retire", &next, "--yes"]);
    assert_eq!(keys.one("ES256", "retired"), next, "it never signed");
    keys.done(&["rotate", "--now", "--alg", "ES256"]);
    assert!(keys.refused(2, &["retire", &old, "--yes"]).contains("is retiring already"));
}

#[test]
fn keys_are_named_by_as_much_of_their_id_as_tells_them_apart() {
    let keys = Keys::new();
    for command in ["show", "promote", "retire", "revoke"] {
        let said = keys.refused(2, &[command, "nobody"]);
        assert!(said.contains("there is no key nobody") && said.contains("keys list"), "{said}");
        assert!(keys.refused(2, &[command, ""]).contains("more than one key"));
    }
    // A kid may begin with a hyphen (RFC 7638 §3.1, RFC 4648 §5).
    for command in [["show", "-2"], ["show", "--x"], ["revoke", "-h0Qz"]] {
        assert!(keys.refused(2, &command).contains(&format!("there is no key {}", command[1])));
    }
    let kid = keys.one("ES256", "active");
    assert!(keys.refused(2, &["promote", &kid]).contains("is active; only a key that is next"));
    assert!(keys.done(&["show", &kid[..10]]).contains(&kid));
}

#[test]
fn what_was_done_and_by_whom_can_be_read() {
    let keys = Keys::new();
    keys.0.append("[audit]\nfile = \"audit.jsonl\"\n");
    let kid = keys.one("ES256", "active");
    keys.done(&["revoke", &kid, "--yes"]);
    let new = keys.one("ES256", "active");
    let shown: Value = serde_json::from_str(&keys.done(&["show", &kid, "--json"])).expect("JSON");
    let [deed] = &shown["history"].as_array().expect("a list")[..] else { panic!("{shown}") };
    assert_eq!((&deed["did"], &deed["kid"]), (&json!("revoke"), &json!(kid)));
    let by = Command::new("id").arg("-un").output().expect("id is there");
    assert_eq!(deed["by"], String::from_utf8(by.stdout).expect("UTF-8").trim());
    assert!(shown["public"]["x"].is_string() && shown["public"].get("d").is_none());
    assert!(keys.done(&["show", &kid]).contains(&format!("revoke  by {}", deed["by"].as_str().expect("a name"))));
    let audit = fs::read_to_string(keys.0.config().with_file_name("audit.jsonl")).expect("it is there");
    let lines: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(!lines.is_empty());
    for line in &lines {
        assert_eq!(
            (&line["event"], &line["did"], &line["by"]),
            (&json!("keys_changed"), &json!("revoke"), &deed["by"])
        );
        assert_ne!(line["before"], line["after"]);
    }
    let about: Vec<&str> = lines.iter().filter_map(|line| line["kid"].as_str()).collect();
    assert!(about.contains(&kid.as_str()) && about.contains(&new.as_str()), "{audit}");
}

#[test]
fn what_cannot_be_recorded_is_not_done() {
    let keys = Keys::new();
    keys.done(&["list"]);
    fs::create_dir(keys.0.config().with_file_name("audit.jsonl")).expect("a folder");
    keys.0.append("[audit]\nfile = \"audit.jsonl\"\n");
    let before = keys.0.check();
    if before.status.code() == Some(0) {
        assert!(keys.refused(1, &["generate", "--alg", "ES256"]).contains("nothing was done"));
    } else {
        assert!(keys.refused(2, &["generate", "--alg", "ES256"]).contains("audit.file"));
    }
}

#[test]
fn the_published_keys_can_be_had_without_a_server() {
    let keys = Keys::new();
    keys.done(&["rotate"]);
    let serving = Serving::start(&keys.0);
    let exported: Value = serde_json::from_str(&keys.done(&["export-jwks"])).expect("JSON");
    let (_, jwks) = keys.0.heard(serving.port, "/jwks").expect("an answer");
    assert_eq!(exported, jwks);
    assert_eq!(exported["keys"].as_array().expect("a list").len(), 4);
}

#[test]
fn of_several_operators_at_once_each_has_the_folder_to_themselves() {
    let keys = Keys::new();
    let config = keys.0.config();
    let rotate = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["keys", "rotate", "--alg", "ES256", "--config"]).arg(&config);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    };
    let crowd: Vec<_> = (0..8).map(|_| rotate()).collect();
    for mut one in crowd {
        assert_eq!(one.wait().expect("it ends").code(), Some(0));
    }
    assert_eq!(
        keys.of("ES256").get("next").map(Vec::len),
        Some(1),
        "one of them rotated, the others had nothing to do"
    );
    assert_eq!(keys.0.check().status.code(), Some(0));
}
