//! A server in a pod of `deploy/kubernetes`, without Kubernetes: its files lie as the kubelet lays them, and what becomes of a Secret reaches it while it runs.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use countersign::cli::certs;
use countersign::clock::System;
use serde_json::Value;
use tempfile::TempDir;

use crate::deployment::{err, files, out, shipped};
use crate::keys::{Keys, published};
use crate::reload::till;
use crate::server::free_port;
use crate::serving::{Serving, sooner_or_later};
use crate::yaml::documents;

/// As whom servers.yaml has it run.
const NONROOT: u32 = 65_532;

/// What is in a volume: paths, and what the files say.
type Files = Vec<(String, Vec<u8>)>;

/// Where the volumes of a pod are mounted, and the place where an operator keeps what is in them.
struct Pod {
    mounts: TempDir,
    operator: Keys,
    written: AtomicU32,
}

impl Pod {
    fn new() -> Self {
        let pod = Self { mounts: tempfile::tempdir().expect("a folder"), operator: Keys::new(), written: 0.into() };
        fs::set_permissions(pod.mounts.path(), Permissions::from_mode(0o755)).expect("it is ours");
        fs::copy(env!("CARGO_BIN_EXE_countersign"), pod.binary()).expect("copied");
        fs::create_dir(pod.at("audit")).expect("a folder");
        pod.mount_settings(&pod.server_toml());
        pod.mount("keys", &pod.keys());
        if as_root() {
            chown(pod.at("audit"), Some(NONROOT), Some(NONROOT)).expect("root may");
        }
        pod
    }

    fn at(&self, name: &str) -> PathBuf {
        self.mounts.path().join(name)
    }

    fn binary(&self) -> PathBuf {
        self.at("countersign")
    }

    /// What the ConfigMap says, on ports of its own; and the audit file is where the pod may write.
    fn server_toml(&self) -> String {
        let mut text = fs::read_to_string(shipped("deploy/kubernetes/server.toml")).expect("it ships");
        for (from, to) in [
            ("0.0.0.0:9443", "127.0.0.1:0".to_owned()),
            ("0.0.0.0:9444", "127.0.0.1:0".to_owned()),
            ("redis.redis.svc:6379", format!("127.0.0.1:{}", free_port())),
            ("/var/lib/countersign", self.at("audit").to_str().expect("UTF-8").to_owned()),
        ] {
            assert!(text.contains(from), "{from} is not in server.toml");
            text = text.replace(from, &to);
        }
        text
    }

    /// The volume of settings, with each file of each Secret where servers.yaml puts it.
    fn mount_settings(&self, server_toml: &str) {
        let [set] = documents("deploy/kubernetes/servers.yaml").try_into().expect("one document");
        let sources = set["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"].clone();
        let mut content = vec![("server.toml".to_owned(), server_toml.as_bytes().to_vec())];
        for secret in sources.as_array().expect("sources").iter().filter_map(|source| source.get("secret")) {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            for item in secret["items"].as_array().expect("items") {
                content.push((text(&item["path"]), self.secret(&text(&secret["name"]), &text(&item["key"]))));
            }
        }
        self.mount("settings", &content);
    }

    /// What the operator has put into a Secret.
    fn secret(&self, name: &str, key: &str) -> Vec<u8> {
        let file = match (name, key) {
            ("countersign-tls-p256", "tls.crt") => "server-p256.pem",
            ("countersign-tls-p256", "tls.key") => "server-p256.key",
            ("countersign-tls-rsa", "tls.crt") => "server-rsa.pem",
            ("countersign-tls-rsa", "tls.key") => "server-rsa.key",
            ("countersign-bank" | "countersign-redis", "ca.pem") => "ca.pem",
            ("countersign-bank" | "countersign-redis", "client.pem") => "countersign.pem",
            ("countersign-bank" | "countersign-redis", "client.key") => "countersign.key",
            ("countersign-bank", "decisions.pem") => "bank.pem",
            ("countersign-redis", "password" | "sealing.key") => return "0123456789abcdef".repeat(4).into_bytes(),
            _ => panic!("nobody has said what is in {name}: {key}"),
        };
        self.operator.0.read(file).into_bytes()
    }

    /// The operator's keys folder, as a Secret.
    fn keys(&self) -> Files {
        let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        files(&self.operator.0.certs().join("keys")).into_iter().map(|(path, text)| (name(&path), text)).collect()
    }

    /// As `AtomicWriter` of the kubelet writes a volume, with defaultMode 0400 and fsGroup: a folder that is new each time, and a link to it that is swapped. Where this does not run as root, the files are one's own.
    fn mount(&self, volume: &str, content: &Files) {
        let (volume, turn) = (self.at(volume), self.written.fetch_add(1, Ordering::SeqCst));
        let name = format!("..2026_01_01_00_00_{turn}");
        let (inside, data) = (volume.join(&name), volume.join("..data"));
        fs::create_dir_all(&inside).expect("a folder");
        fs::set_permissions(&volume, Permissions::from_mode(0o777)).expect("it is ours");
        for (path, text) in content {
            let path = inside.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, text).expect("written");
            lend(&path, NONROOT);
        }
        let before = fs::read_link(&data).ok();
        symlink(&name, volume.join("..data_tmp")).expect("linked");
        fs::rename(volume.join("..data_tmp"), &data).expect("swapped");
        for entry in fs::read_dir(&inside).expect("there") {
            let name = entry.expect("readable").file_name();
            symlink(Path::new("..data").join(&name), volume.join(&name)).ok();
        }
        if let Some(before) = before {
            fs::remove_dir_all(volume.join(before)).expect("removed");
        }
    }

    /// The program in the pod.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.binary());
        command.args([name, "--config"]).arg(self.at("settings/server.toml"));
        if as_root() {
            command.uid(NONROOT).gid(NONROOT);
        }
        command
    }

    fn check(&self) -> Output {
        self.command("check").output().expect("it runs")
    }
}

/// Root lends `path` to `group`.
fn lend(path: &Path, group: u32) {
    if as_root() {
        chown(path, Some(0), Some(group)).expect("root may");
    }
    fs::set_permissions(path, Permissions::from_mode(if as_root() { 0o440 } else { 0o400 })).expect("it is ours");
}

fn as_root() -> bool {
    fs::metadata("/proc/self").expect("it is there").uid() == 0
}

#[test]
fn the_configuration_holds_with_the_files_as_a_pod_is_given_them() {
    let pod = Pod::new();
    let checked = pod.check();
    assert_eq!(checked.status.code(), Some(0), "{}", err(&checked));
    assert!(
        out(&checked)
            .contains("(https://ciba.bank.example, profile fapi-ciba-id1, 1 registered: 1 bound by certificate)")
    );
    let serving = Serving::of(pod.command("serve"));
    assert_eq!(pod.operator.0.discovery(serving.port).0, 200);
    assert_eq!(pod.operator.0.heard(serving.internal, "/livez").map(|(status, _)| status), Some(200));
    let audit = fs::metadata(pod.at("audit/audit.jsonl")).expect("it is begun");
    assert_eq!(audit.mode() & 0o777, 0o600);
}

/// Only root can give files away, so whoever else runs this sees the first two refused.
#[test]
fn a_pod_that_others_could_read_or_write_is_refused() {
    let pod = Pod::new();
    let refused = |why: &str| {
        let checked = pod.check();
        assert!(checked.status.code() == Some(2) && err(&checked).contains(why), "{why}: {}", err(&checked));
    };
    let key = pod.at("settings/tls/p256.key");
    fs::set_permissions(&key, Permissions::from_mode(0o444)).expect("it is ours");
    refused("tls/p256.key can be read by others");
    lend(&key, NONROOT);
    // The folder that is mounted, which a pod may not write to, but does not look it.
    let text = pod.server_toml();
    pod.mount_settings(&text.replace("../keys/..data", "../keys"));
    refused("can be written by others");
    pod.mount_settings(&text);
    if as_root() {
        // fsGroup is another group than runAsGroup.
        lend(&key, NONROOT + 1);
        refused("tls/p256.key can be read by others; run: chgrp 65532 ");
        lend(&key, NONROOT);
        lend(&pod.at("keys/es256.pem"), NONROOT + 1);
        refused("keys/..data/es256.pem can be read by others; run: chgrp 65532 ");
        lend(&pod.at("keys/es256.pem"), NONROOT);
    }
    assert_eq!(pod.check().status.code(), Some(0));
}

#[test]
fn what_becomes_of_a_secret_reaches_a_server_that_runs() {
    let pod = Pod::new();
    let serving = Serving::of(pod.command("serve"));
    let keys = &pod.operator;
    let before = published(keys, &serving);

    // A key that is published before it signs, and then one that signs.
    for change in [&["generate", "--alg", "ES256"][..], &["rotate", "--now", "--yes", "--alg", "ES256"]] {
        keys.done(change);
        let exported: Value = serde_json::from_str(&keys.done(&["export-jwks"])).expect("JSON");
        let kids = exported["keys"].as_array().expect("keys").iter().filter_map(|key| key["kid"].as_str());
        let mut kids: Vec<String> = kids.map(str::to_owned).collect();
        kids.sort();
        pod.mount("keys", &pod.keys());
        sooner_or_later("it is published", || (published(keys, &serving) == kids).then_some(()));
    }
    assert_eq!(published(keys, &serving).len(), before.len() + 1);

    // A certificate of another authority.
    let others = tempfile::tempdir().expect("a folder");
    certs::dev(others.path(), "localhost", &System).expect("certificates");
    let other = |name: &str| fs::read_to_string(others.path().join(name)).expect("it was made");
    for name in ["server-p256.pem", "server-p256.key", "server-rsa.pem", "server-rsa.key"] {
        keys.0.write(name, &other(name));
    }
    pod.mount_settings(&pod.server_toml());
    let ca = other("ca.pem");
    sooner_or_later("it is shown", || till(&keys.0, "till-7", (serving.port, &ca)));

    // And the ConfigMap.
    let (text, till7) = (pod.server_toml(), "client_id = \"till-7\"");
    assert!(text.contains(till7));
    let logged = serving.log().len();
    pod.mount_settings(&text.replace(till7, &format!("{till7}\ndisabled = true")));
    sooner_or_later("it is read", || serving.log()[logged..].contains("were read again").then_some(()));
}
