//! `deploy/Dockerfile` and `deploy/compose.yml`, as far as they can be judged where nothing runs containers: what the image is made of, and how little each container may do.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::deployment::shipped;
use crate::yaml::documents;

/// The shared libraries of `gcr.io/distroless/cc-debian12` that the binary may want: those of libc6 and libgcc-s1. OpenSSL is linked into it.
const IN_THE_BASE: [&str; 7] = [
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libdl.so.2",
    "libpthread.so.0",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// The instructions of each stage, each as its name and what follows.
fn stages() -> Vec<Vec<(String, String)>> {
    let text = fs::read_to_string(shipped("deploy/Dockerfile")).expect("it ships").replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut stages: Vec<Vec<(String, String)>> = Vec::new();
    for line in lines {
        let (name, rest) = line.split_once(' ').expect("an instruction and what it is about");
        if name == "FROM" {
            stages.push(Vec::new());
        }
        let stage = stages.last_mut().expect("it begins with FROM");
        stage.push((name.to_owned(), rest.trim().to_owned()));
    }
    stages
}

/// What follows `name` in a stage, each time.
fn all<'a>(stage: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    stage.iter().filter(|(found, _)| found == name).map(|(_, rest)| rest.as_str()).collect()
}

#[test]
fn the_image_has_no_shell_and_does_not_run_as_root() {
    let stages = stages();
    let [build, image] = stages.as_slice() else { panic!("one stage builds, one ships: {stages:#?}") };
    assert_eq!(all(image, "FROM"), ["gcr.io/distroless/cc-debian12:nonroot"]);
    assert_eq!(all(image, "RUN"), [""; 0], "there is nothing to run it with");
    assert!(all(build, "FROM")[0].ends_with("-bookworm AS build"), "Debian 12, whose libc the binary will meet");
    let [user] = all(image, "USER")[..] else { panic!("{image:#?}") };
    let ids: Vec<u32> = user.split(':').map(|id| id.parse().expect("a number, which Kubernetes can judge")).collect();
    assert!(ids.len() == 2 && !ids.contains(&0), "{user}");
    let entry: Vec<String> =
        serde_json::from_str(all(image, "ENTRYPOINT")[0]).expect("words, since no shell splits it");
    assert_eq!(entry, ["/usr/local/bin/countersign"], "whole, since no shell looks it up");
    // Copied by itself, the folder for the audit file would be the copier's, and closed to who runs here.
    assert_eq!(all(image, "COPY"), ["--from=build /image/ /"]);
    let runs = all(build, "RUN").join(" && ");
    for made in [
        "install -D target/release/countersign /image/usr/local/bin/countersign",
        "install -d -m 1777 /image/var/lib/countersign",
    ] {
        assert!(runs.contains(made), "{made}");
    }
}

#[test]
fn the_binary_wants_no_library_that_the_image_lacks() {
    let read = Command::new("readelf").args(["--dynamic", env!("CARGO_BIN_EXE_countersign")]).output();
    let read = read.expect("readelf is there: Debian's package binutils, without which nothing is linked");
    let text = String::from_utf8(read.stdout).expect("UTF-8");
    let wanted = text.lines().filter(|line| line.contains("(NEEDED)"));
    let wanted: Vec<&str> = wanted.filter_map(|line| line.split_once('[')?.1.strip_suffix(']')).collect();
    assert!(wanted.contains(&"libc.so.6"), "{text}");
    let lacking: Vec<_> = wanted.iter().filter(|name| !IN_THE_BASE.contains(name)).collect();
    assert!(lacking.is_empty(), "{lacking:?}");
}

#[test]
fn nothing_of_the_compose_file_may_do_more_than_it_has_to() {
    let [compose] = documents("deploy/compose.yml").try_into().expect("one document");
    let services = compose["services"].as_object().expect("services");
    assert_eq!(services.len(), 5, "{:?}", services.keys());
    for (name, service) in services {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{name}");
        // What reads everybody's keys does nothing but copy them, once, without a network.
        let copies = name == "redis-tls";
        let may = if copies { json!(["DAC_READ_SEARCH", "CHOWN", "FOWNER"]) } else { Value::Null };
        assert_eq!(service["cap_add"], may, "{name}");
        assert!(!copies || service["network_mode"] == "none" && service["entrypoint"][0] == "install");
        assert_eq!(service["user"] == "0:0", copies, "{name}");
        for more in ["privileged", "devices", "pid", "ipc", "userns_mode", "volumes_from"] {
            assert_eq!(service[more], Value::Null, "{name}: {more}");
        }
        let mounts = service["volumes"].as_array().expect("volumes").iter();
        let written: Vec<_> = mounts.filter_map(Value::as_str).filter(|mount| !mount.ends_with(":ro")).collect();
        let expected: &[&str] = match name.as_str() {
            "countersign-1" => &["audit-1:/var/lib/countersign"],
            "countersign-2" => &["audit-2:/var/lib/countersign"],
            "redis" => &["redis:/data"],
            "redis-tls" => &["redis-tls:/tls"],
            _ => &[],
        };
        assert_eq!(written, expected, "{name} writes elsewhere");
    }
    for name in ["countersign-1", "countersign-2"] {
        assert_eq!(services[name]["user"], "${COUNTERSIGN_UID:-1000}", "whoever owns the keys, and not root");
        assert_eq!(services[name]["build"]["dockerfile"], "deploy/Dockerfile");
    }
    let ports = services.iter().filter(|(_, service)| service["ports"] != Value::Null);
    assert_eq!(ports.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["balancer"], "the world meets nobody else");
}
