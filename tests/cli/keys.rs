//! `countersign keys`: what each command does to the folder, says, and leaves to a server that runs.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output, Stdio};

use countersign::secret::Digest;
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
    pub(crate) fn refused(&self, code: i32, arguments: &[&str]) -> String {
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
    assert_eq!(
        time(&old, "verifies_until") - time(&old, "signs_until"),
        3_660,
        "an ID token lives for an hour at most"
    );
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
    keys.done(&["rotate", "--now", "--alg", "PS256", "--yes"]);
    assert_eq!(keys.one("PS256", "active"), next);
    assert_eq!(keys.one("PS256", "retiring"), old);
}

#[test]
fn a_key_that_was_made_before_is_what_the_next_rotation_takes() {
    let keys = Keys::new();
    let said = keys.done(&["generate", "--alg", "es256"]);
    assert!(said.contains("published now; signs when it is promoted, or at the next rotation"), "{said}");
    let made = keys.one("ES256", "next");
    keys.done(&["rotate", "--alg", "ES256", "--now", "--yes"]);
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
    keys.done(&["promote", &kid[..8], "--now", "--yes"]);
    assert_eq!(keys.one("ES256", "active"), kid);
    keys.0.write("no.key", "nothing");
    keys.0.expose("no.key", 0o600);
    let none = keys.0.certs().join("no.key");
    let said = keys.refused(2, &["import", none.to_str().expect("UTF-8")]);
    assert!(said.contains("no PKCS#8 key in PEM"), "{said}");
    assert!(keys.refused(2, &["import", "/nowhere/key.pem"]).contains("/nowhere/key.pem"));
    keys.0.expose("till-ps256.key", 0o640);
    let open = keys.0.certs().join("till-ps256.key");
    assert!(keys.refused(2, &["import", open.to_str().expect("UTF-8")]).contains("chmod 600"));
    keys.0.write("odd.key", EXPONENT_3);
    keys.0.expose("odd.key", 0o600);
    let odd = keys.0.certs().join("odd.key");
    assert!(keys.refused(2, &["import", odd.to_str().expect("UTF-8")]).contains("an RSA exponent is not 65537"));
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
    keys.done(&["rotate", "--now", "--alg", "ES256", "--yes"]);
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
    let ring = fs::read(keys.0.certs().join("keys/keyring.json")).expect("there");
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
        assert_eq!(line["after"], json!(Digest::of(&ring)), "it is the file that lies there");
    }
    let about: Vec<&str> = lines.iter().filter_map(|line| line["kid"].as_str()).collect();
    assert_eq!(about.len(), 2, "{audit}");
    assert!(about.contains(&kid.as_str()) && about.contains(&new.as_str()), "{audit}");
}

#[test]
fn what_cannot_be_recorded_is_not_done() {
    let keys = Keys::new();
    keys.0.append("[audit]\nfile = \"/dev/full\"\n");
    assert_eq!(keys.0.check().status.code(), Some(0));
    let kid = keys.one("ES256", "active");
    for change in [&["generate", "--alg", "ES256"][..], &["rotate"], &["revoke", &kid, "--yes"]] {
        assert!(keys.refused(1, change).contains("nothing was done"), "{change:?}");
    }
}

#[test]
fn a_rotation_that_is_called_off_leaves_the_key_before_as_it_was() {
    let keys = Keys::new();
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let listed = || keys.done(&["list"]).lines().find(|line| line.contains("active")).map(cells);
    let before = listed();
    for call_off in ["retire", "revoke"] {
        keys.done(&["rotate"]);
        for alg in ["ES256", "PS256"] {
            let next = keys.one(alg, "next");
            let said = keys.done(&[call_off, &next, "--yes"]);
            let old = keys.one(alg, "active");
            assert!(said.contains(&format!("{alg} {old}: signs on")), "{said}");
        }
        assert_eq!(listed(), before);
    }
}

#[test]
fn what_breaks_verifiers_for_a_while_is_asked_about() {
    let keys = Keys::new();
    keys.done(&["generate", "--alg", "ES256"]);
    let next = keys.one("ES256", "next");
    for change in [&["rotate", "--now"][..], &["promote", &next, "--now"]] {
        assert!(keys.refused(2, change).contains("--yes"), "{change:?}");
    }
}

#[test]
fn a_change_can_be_read_by_a_script() {
    let keys = Keys::new();
    let said = |arguments: &[&str]| -> Value {
        serde_json::from_str(&keys.done(&[arguments, &["--json"]].concat())).expect("JSON")
    };
    let would = said(&["rotate", "--dry-run"]);
    assert_eq!((&would["dry_run"], would["changed"].as_array().expect("a list").len()), (&json!(true), 4));
    let did = said(&["rotate", "--alg", "ES256"]);
    assert_eq!(did["dry_run"], false);
    let states: Vec<&str> =
        did["changed"].as_array().expect("a list").iter().filter_map(|key| key["state"].as_str()).collect();
    assert_eq!(states, ["active", "next"]);
    assert_eq!(said(&["rotate", "--alg", "ES256"])["changed"], json!([]), "it is under way");
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

/// An RSA key that signs, and whose signatures nobody here would verify.
const EXPONENT_3: &str = "-----BEGIN PRIVATE KEY-----\n\
    MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDqILV/oSssDrlL\n\
    ZbCrM1VTsRhrQWUkvShlkiKgttN6c+arWk+j5tua07hqnLqiHNX/giy8+ibQYHhs\n\
    fyC6O31tgK0Y+p60j/h/b3XiXuC0Vf0fAMTsQfDjKwdn+e1zbQdNkHeW2XFDbIGh\n\
    +NCBK7S5jtT1W/WV4IqnUx8VqXqTvcHg1J+XCap3gQaSmRN4y8x3eitQUzOJOdgY\n\
    iODj0CgwlLdamtuCLH+2cL0OQgnygdIZNY1Ue7fpXNOL5baZgLtN3bxf1Ty50MBG\n\
    n4+lnilOtYushEoQr7OG2urL2vRQcsCD+ubO+Db373YxaHnZviefz4jw4RM8s5qO\n\
    PyjkLeIBAgEDAoIBAQCcFc5VFhzICdDc7nXHd443y2Wc1kNt03BDtsHAeeJRopnH\n\
    kYptRJJnN9BHEycWveP/rB3TUW81laWdqhXRfP5JAHNl/GnNtVBU9PlBlJXNjqi/\n\
    VdidgUtCHK+app5M81oztaUPO6DXnavBUIsAx83RCeNOPU5j6wcaN2oOcPxifTrM\n\
    rtWKf6Sqlmof74M4vafOGTyhfNckYP/mhVjZt0oks2H0/RveR8rwLkrrL8OEqjir\n\
    f+niMbt32uT96TqcNeKzbwLhcYXGhVeH0+noyIoBKSE8O+Xyq3KsImIF60beW+G2\n\
    AlIzAeUH/TldnyL403Uny4quucabLnAgLrhHGq4DAoGBAPfyWL8RfIJXDMlLFK0o\n\
    KgXGIYNQ8wbVAa40CMPoJzGdcEAkKmyPf6GI7Tww+xpAcHdlS25DOvVo+mnqCKuH\n\
    H1HX3TBPfCY7sB6Nq9el/qTxKK8JIKNh5dbtDICIWMlTbS93/u8oQTvcBMpPTzWy\n\
    /DzeJbSz487ACL4R73vDU3pvAoGBAPG7daA1zbEgkp4XnSF7hUr8Ms0NJOn9pqoK\n\
    uBe1FgdcF2RG9MUlQS3FPhB8f0prEgWyqkA99ilMmhIk/zMoEJVo2ge+Ls3UWJ5t\n\
    NdkicrVbzyrJCc3CyLCXmtc6oUCve756+HxaNCOP7tXVqo+xhLsF+IQ25pqT5TRM\n\
    CZi2MmKPAoGBAKVMOyoLqFbkszDcuHNwHAPZa6zgogSOAR7NWy1Fb3Zo9YAYHEhf\n\
    qmuwniggp2bVoE+Y3PQs0fjwpvFGsHJaFOE6k3WKUsQnyr8JHTpuqcNLcHSwwGzr\n\
    7o9IswBa5duM83T6qfTFgNKSrdw033kh/X3pbnh37TSABdQL9P0s4lGfAoGBAKEn\n\
    o8Aj3nYVtxQPvhZSWNyoId4Iw0apGcax0A/ODq+SukLZ+INuK3PY1Ar9qjGctq53\n\
    HCrT+XDdvAwYqiIatbjwkVp+yd6NkGmeI+YW9yOSihyGBokshcsPvI98a4B0/Smn\n\
    UFLmzW0Knzk5HF/LrdID+wLPRGcNQ3gysRB5duxfAoGBAMZOQ9Rc+QDBqtT/W8ZR\n\
    KXUmCnR3UIMvmhOZmLev7bu4n5AmsiyScrOHPMcfeRPIvGc3P9ERKxr9KJRSUDz7\n\
    tDgjYeTibfYbAGPCcvX7OEBoz0GqeR0UnaGekCNhoNx+mZU8oBstwD7i4OWqknH3\n\
    4wfDDAnC21sipEK71iG3IbYV\n\
    -----END PRIVATE KEY-----\n";
