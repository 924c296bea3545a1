//! A keys folder that is not as it should be: an operator is told, and a server that runs goes on with the keys it has.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::deployment::{Deployment, countersign, err, out};
use crate::keys::{Keys, published};
use crate::serving::{Serving, sooner_or_later};

/// A case, how it comes about, and what is said of it.
type Break = (&'static str, fn(&Keys), &'static str);

/// Ways to break a folder in which a rotation is under way, and what is said of each.
const BREAKS: [Break; 9] = [
    ("keyring.json is cut off", |keys| cut(keys, "keyring.json"), "is not a key ring"),
    ("keyring.json is empty", |keys| keys.0.write("keys/keyring.json", ""), "is not a key ring"),
    ("keyring.json is of another version", |keys| edit(keys, "\"version\": 1", "\"version\": 2"), "is of version 2"),
    (
        "keyring.json has something unknown",
        |keys| edit(keys, "\"version\": 1", "\"surprise\": 1, \"version\": 1"),
        "is not a key ring",
    ),
    (
        "keyring.json names a file elsewhere",
        |keys| edit(keys, "\"es256.pem\"", "\"../till-es256.key\""),
        "is not a file beside it",
    ),
    ("a key is cut off", |keys| cut(keys, "es256.pem"), "no PKCS#8 key in PEM"),
    (
        "a key is another one",
        |keys| keys.0.write("keys/es256.pem", &keys.0.read("till-es256.key")),
        "it is another key",
    ),
    ("a key can be read by others", |keys| keys.0.expose("keys/es256.pem", 0o644), "can be read by others"),
    ("a key is gone", |keys| fs::remove_file(keys.0.certs().join("keys/es256.pem")).expect("there"), "cannot be read"),
];

fn cut(keys: &Keys, name: &str) {
    let name = format!("keys/{name}");
    let text = keys.0.read(&name);
    keys.0.write(&name, &text[..text.len() / 2]);
}

fn edit(keys: &Keys, from: &str, to: &str) {
    let text = keys.0.read("keys/keyring.json");
    assert!(text.contains(from), "{from}: {text}");
    keys.0.write("keys/keyring.json", &text.replacen(from, to, 1));
}

#[test]
fn what_is_wrong_with_the_folder_is_said_by_check_and_by_every_command() {
    for (case, spoil, says) in BREAKS {
        let keys = Keys::new();
        keys.done(&["rotate"]);
        spoil(&keys);
        let said = err(&keys.0.check());
        assert!(said.contains("keys.folder: ") && said.contains(says), "{case}: {said}");
        for command in ["list", "rotate"] {
            let refused = keys.tried(&[command]);
            assert_eq!(refused.status.code(), Some(2), "{case}");
            assert!(err(&refused).contains(says), "{case}: {}", err(&refused));
        }
    }
}

#[test]
fn a_server_that_runs_goes_on_with_the_keys_it_has_until_they_are_mended() {
    let keys = Keys::new();
    keys.done(&["rotate"]);
    let serving = Serving::start(&keys.0);
    let before = published(&keys, &serving);
    assert_eq!(before.len(), 4);
    for (case, spoil, says) in BREAKS {
        let whole: Vec<(&str, String)> =
            ["keyring.json", "es256.pem"].map(|name| (name, keys.0.read(&format!("keys/{name}")))).to_vec();
        let logged = serving.log().len();
        spoil(&keys);
        sooner_or_later(case, || serving.log()[logged..].contains(says).then_some(()));
        assert!(serving.log()[logged..].contains("everything stays as it was"), "{case}");
        assert_eq!(published(&keys, &serving), before, "{case}");
        for (name, text) in whole {
            let name = format!("keys/{name}");
            keys.0.write(&name, &text);
            keys.0.expose(&name, 0o600);
        }
        assert_eq!(keys.0.check().status.code(), Some(0), "{case}");
    }
    let logged = serving.log().len();
    keys.done(&["generate", "--alg", "ES256"]);
    sooner_or_later("it is mended", || serving.log()[logged..].contains("were read again").then_some(()));
    sooner_or_later("it is published", || (published(&keys, &serving).len() == 5).then_some(()));
}

#[test]
fn keys_that_lose_an_algorithm_that_is_offered_are_not_taken() {
    let keys = Keys::new();
    let serving = Serving::start(&keys.0);
    let before = published(&keys, &serving);
    fs::remove_file(keys.0.certs().join("keys/ps256.pem")).expect("there");
    sooner_or_later("it is noticed", || serving.log().contains("everything stays as it was").then_some(()));
    assert_eq!(published(&keys, &serving), before);
}

#[test]
fn a_right_that_was_missing_is_noticed_when_it_is_given() {
    let keys = Keys::new();
    keys.done(&["rotate"]);
    let serving = Serving::start(&keys.0);
    keys.0.expose("keys/es256.pem", 0o644);
    sooner_or_later("it is noticed", || serving.log().contains("chmod 600").then_some(()));
    let said = |what: &str| serving.log().matches(what).count();
    sleep(Duration::from_secs(3));
    assert_eq!(said("chmod 600"), 1, "it is tried again and again, and said once");
    keys.0.expose("keys/es256.pem", 0o600);
    sooner_or_later("it is mended", || serving.log().contains("were read again").then_some(()));
    sleep(Duration::from_secs(3));
    assert_eq!(said("were read again"), 1, "what has not changed since is left alone");
}

#[test]
fn a_folder_that_is_swapped_for_another_by_its_link_is_taken_whole() {
    let keys = Keys::new();
    let (folder, one, two) = (keys.0.certs().join("keys"), keys.0.certs().join("one"), keys.0.certs().join("two"));
    fs::rename(&folder, &one).expect("renamed");
    symlink(&one, &folder).expect("linked");
    let serving = Serving::start(&keys.0);
    let old = keys.one("ES256", "active");
    fs::create_dir(&two).expect("a folder");
    for entry in fs::read_dir(&one).expect("there") {
        let path = entry.expect("readable").path();
        fs::copy(&path, two.join(path.file_name().expect("a name"))).expect("copied");
    }
    symlink(&two, keys.0.certs().join("new")).expect("linked");
    fs::rename(keys.0.certs().join("new"), &folder).expect("swapped");
    keys.done(&["rotate", "--now", "--yes", "--alg", "ES256"]);
    let new = keys.one("ES256", "active");
    assert_ne!(new, old);
    assert!(!one.join("keyring.json").exists() && two.join("keyring.json").exists());
    sooner_or_later("it is taken", || published(&keys, &serving).contains(&new).then_some(()));
}

#[test]
fn a_server_that_is_told_to_looks_again() {
    let keys = Keys::new();
    let mut serving = Serving::start(&keys.0);
    assert!(!serving.log().contains("were read again"));
    serving.signalled("HUP");
    sooner_or_later("it has looked", || serving.log().contains("were read again").then_some(()));
    assert_eq!(serving.told("TERM").code(), Some(0));
}

/// Whatever the moment: what was there before is there, or what was to come.
#[test]
fn a_command_that_is_killed_leaves_a_folder_that_can_be_used() {
    let killed = |keys: &Keys, after: u64| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["keys", "rotate", "--now", "--yes", "--alg", "ES256", "--config"]).arg(keys.0.config());
        let mut rotating = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        sleep(Duration::from_micros(after));
        rotating.kill().expect("it is ours");
        rotating.wait().expect("it ends");
        let checked = keys.0.check();
        assert_eq!(checked.status.code(), Some(0), "{}", err(&checked));
        keys.one("ES256", "active");
    };
    let keys = Keys::new();
    for round in 0..40 {
        killed(&keys, round * 700);
    }
    keys.done(&["rotate", "--now", "--yes", "--alg", "ES256"]);
    // The first change of all, too: until then nothing says which key signs.
    for round in 0..40 {
        let folder = keys.0.certs().join("keys");
        for entry in fs::read_dir(&folder).expect("there") {
            let path = entry.expect("readable").path();
            if !["es256.pem", "ps256.pem"].iter().any(|name| path.ends_with(name)) {
                fs::remove_file(path).expect("there");
            }
        }
        let own = keys.0.read("till-es256.key");
        keys.0.write("keys/es256.pem", &own);
        keys.0.expose("keys/es256.pem", 0o600);
        killed(&keys, round * 700);
    }
}

/// The first change of all names what was there before it adds to it: until then, a key more would be one too many.
#[test]
fn a_first_change_that_fails_leaves_a_folder_that_can_be_used() {
    let keys = Keys::new();
    // What is to become of the times cannot be written.
    let in_the_way = keys.0.certs().join("keys/keyring.json.new");
    fs::create_dir(&in_the_way).expect("a folder");
    for change in [&["rotate"][..], &["generate", "--alg", "ES256"]] {
        assert!(keys.refused(1, change).contains("keyring.json"), "{change:?}");
    }
    assert_eq!(keys.0.check().status.code(), Some(0));
    fs::remove_dir(&in_the_way).expect("it is there");
    keys.done(&["rotate"]);
}

/// Only root can give a folder away; whoever else runs this works in folders of their own.
#[test]
fn who_is_not_the_owner_of_the_keys_changes_nothing() {
    let keys = Keys::new();
    let given_away = chown(keys.0.certs().join("keys"), Some(65_534), None);
    let tried = keys.tried(&["rotate"]);
    match given_away {
        Ok(()) => {
            assert!(tried.status.code() == Some(2) && err(&tried).contains("sudo -u '#65534'"), "{}", err(&tried));
        }
        Err(_) => assert_eq!(tried.status.code(), Some(0), "{}", err(&tried)),
    }
}

/// More than anybody else may have in a set of keys.
#[test]
fn a_folder_in_which_keys_were_rotated_often_is_as_good_as_any() {
    let keys = Keys::new();
    let serving = Serving::start(&keys.0);
    for _ in 0..24 {
        keys.done(&["rotate", "--now", "--yes", "--alg", "ES256"]);
    }
    assert_eq!(keys.of("ES256").values().map(Vec::len).sum::<usize>(), 25);
    assert_eq!(keys.0.check().status.code(), Some(0));
    let kid = keys.one("ES256", "active");
    sooner_or_later("it is published", || published(&keys, &serving).contains(&kid).then_some(()));
    assert_eq!(serving.log().matches("everything stays as it was").count(), 0, "{}", serving.log());
}

#[test]
fn a_key_that_lies_there_unnamed_is_not_used_and_is_told_of() {
    let keys = Keys::new();
    keys.done(&["rotate"]);
    let serving = Serving::start(&keys.0);
    let before = published(&keys, &serving);
    keys.0.write("keys/stray.pem", &keys.0.read("till-es256.key"));
    let listed = keys.tried(&["list"]);
    assert_eq!(listed.status.code(), Some(0));
    assert!(err(&listed).contains("stray.pem lies there too and is not used"), "{}", err(&listed));
    assert_eq!(published(&keys, &serving), before);
    assert_eq!(keys.0.check().status.code(), Some(0));
}

/// Keys that are made with a sealing key, and one that was there before.
#[test]
fn keys_are_sealed_where_that_is_wanted_and_open_with_nothing_else() {
    let keys = Keys::new();
    keys.0.write("sealing.key", &"0123456789abcdef".repeat(4));
    keys.0.expose("sealing.key", 0o600);
    let folder = "folder = \"../certs/dev/keys\"\n";
    keys.0.edit(folder, &format!("{folder}sealing_key = \"../certs/dev/sealing.key\"\n"));
    let serving = Serving::start(&keys.0);
    keys.done(&["rotate", "--now", "--yes"]);
    let new = keys.one("ES256", "active");
    sooner_or_later("it is taken", || published(&keys, &serving).contains(&new).then_some(()));
    let text = keys.0.read(&format!("keys/{new}.pem"));
    assert!(text.contains("SEALED KEY") && !text.contains("PRIVATE"), "{text}");
    let config = keys.0.config();
    let status = || out(&countersign(&["status", "--config", config.to_str().expect("UTF-8")]));
    assert!(status().contains("! keys: not sealed: es256.pem, ps256.pem;"), "{}", status());
    for alg in ["ES256", "PS256"] {
        keys.done(&["revoke", &keys.one(alg, "retiring"), "--yes"]);
    }
    assert!(!status().contains("not sealed"), "{}", status());
    let logged = serving.log().len();
    keys.0.write("sealing.key", &"fedcba9876543210".repeat(4));
    let says = "does not open with keys.sealing_key";
    sooner_or_later("it is noticed", || serving.log()[logged..].contains(says).then_some(()));
    assert!(err(&keys.0.check()).contains(says));
    assert!(published(&keys, &serving).contains(&new), "what is open stays so");
    keys.0.edit("sealing_key = \"../certs/dev/sealing.key\"\n", "");
    assert!(err(&keys.0.check()).contains("keys.sealing_key names what opens it"));
}

/// Something else is wrong with the configuration, or the key's own file is gone: a key can be given up all the same.
#[test]
fn in_an_emergency_it_does_not_matter_what_else_is_wrong() {
    let keys = Keys::new();
    keys.done(&["rotate", "--alg", "ES256"]);
    let (old, next) = (keys.one("ES256", "active"), keys.one("ES256", "next"));
    keys.0.edit("kind = \"memory\"", "kind = \"paper\"");
    let output = keys.tried(&["revoke", &next, "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("only when the configuration is mended") && err(&output).contains("store.kind"));
    keys.0.again();
    fs::remove_file(keys.0.certs().join("keys/es256.pem")).expect("there");
    assert!(keys.refused(2, &["rotate"]).contains("es256.pem"));
    let output = keys.tried(&["revoke", &old, "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).contains("signs from now on"), "{}", out(&output));
    assert_eq!(keys.0.check().status.code(), Some(0), "{}", err(&keys.0.check()));
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let keys = Keys::new();
    keys.done(&["rotate"]);
    for name in ["keys", "keys/keyring.json"] {
        let before = fs::metadata(keys.0.certs().join(name)).expect("there").permissions();
        keys.0.expose(name, if name == "keys" { 0o777 } else { 0o666 });
        assert!(keys.refused(2, &["list"]).contains("run: chmod go-w"), "{name}");
        assert!(err(&keys.0.check()).contains("can be written by others"), "{name}");
        fs::set_permissions(keys.0.certs().join(name), before).expect("it is ours");
    }
    keys.done(&["list"]);
}

#[test]
fn who_has_read_enough_is_no_fault() {
    let keys = Keys::new();
    let config = keys.0.config();
    let config = config.to_str().expect("UTF-8");
    for command in [
        &["status", "--config", config][..],
        &["check", "--config", config],
        &["completions", "bash"],
        &["keys", "list", "--config", config],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"));
        let mut child = child.args(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()), "{command:?}");
        let full = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(command)
            .stdout(fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it"))
            .output()
            .expect("it runs");
        assert_eq!(full.status.code(), Some(1), "{command:?}: {}", err(&full));
        assert!(err(&full).contains("No space left"), "{}", err(&full));
    }
}

/// A pipe that nobody writes to would be read for ever.
#[test]
fn a_pipe_in_the_folder_is_no_key_and_no_key_ring() {
    for name in ["keys/es256.pem", "keys/keyring.json"] {
        let deployment = Deployment::new();
        let path = deployment.certs().join(name);
        fs::remove_file(&path).ok();
        let made = Command::new("mkfifo").args(["-m", "600"]).arg(&path).status();
        assert!(made.expect("it is there").success());
        let checked = deployment.check();
        assert_eq!(checked.status.code(), Some(2), "{name}");
        assert!(err(&checked).contains("is not a file"), "{}", err(&checked));
    }
}
