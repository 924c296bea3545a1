//! Runs against servers that are started for them.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::fake::{Fake, How};
use crate::ran::{Place, Ran};
use crate::{MODULES, PING, POLL};

#[tokio::test]
async fn each_ecosystem_has_a_server_and_a_bank_of_its_own_and_they_are_gone_afterwards() {
    let (fake, place) = (Fake::with(&[]).await, Place::new(&[]));
    let folder = place.path("folder");
    let more = ["--folder", folder.to_str().expect("UTF-8")];
    let child = place.start_with_servers(&fake, (&[POLL, "uk-poll-pkj-static"], &more));
    let ran = Ran::of(child.wait_with_output().await.expect("it ends"));
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.table, ran.said);
    assert_eq!((ran.row(POLL), ran.row("uk-poll-pkj-static")), (vec![4, 0, 0, 0, 0], vec![4, 0, 0, 0, 0]));
    assert!(
        ran.table.contains("countersign 0.1.0 (checkout at ") && ran.table.contains("1 node on memory"),
        "{}",
        ran.table
    );
    for (name, profile) in [("plain", "fapi-ciba-id1"), ("uk", "open-banking-uk")] {
        let log = fs::read_to_string(folder.join(name).join("server-1.log")).expect("it logs");
        assert!(log.contains("INFO ready ") && log.contains(profile), "{log}");
        let configuration = fs::read_to_string(folder.join(name).join(format!("{name}-poll-pkj-static.json")));
        let configuration: serde_json::Value =
            serde_json::from_str(&configuration.expect("it is kept")).expect("it is JSON");
        let issuer = configuration["server"]["discoveryUrl"].as_str().expect("an address");
        assert!(ran.said.contains(issuer.trim_end_matches("/.well-known/openid-configuration")), "{}", ran.said);
        let port = issuer.trim_start_matches("https://localhost:").split('/').next().expect("a port");
        assert!(std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err(), "it is up still");
    }
}

#[tokio::test]
async fn a_server_that_dies_ends_the_run_which_says_what_it_said_and_keeps_its_folder() {
    let how = MODULES.map(|module| (module, How::Never));
    let (fake, place) = (Fake::with(&how).await, Place::new(&[]));
    let child = place.start_with_servers(&fake, (&[POLL], &["--parallel", "4"]));
    let run = child.id().expect("it runs");
    let mut looks = 0;
    while fake.seen().most < 4 {
        looks += 1;
        assert!(looks < 1_200, "nothing is run");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let server = child_of(run).expect("it has started one");
    assert!(Command::new("kill").args(["-KILL", &server]).status().expect("kill is there").success());
    let ran = Ran::of(child.wait_with_output().await.expect("it ends"));
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(ran.said.contains("the server ended (signal: 9") && ran.said.contains("INFO ready "), "{}", ran.said);
    assert!(ran.table.contains("0 of 4 modules passed, broken off"), "{}", ran.table);
    assert_eq!(ran.row(POLL), [0, 0, 0, 0, 4], "each was stopped");
    assert_eq!(fake.seen().cancelled.len(), 4);
    let (_, kept) = ran.said.split_once("configurations and logs of the servers: ").expect("it says where they are");
    let kept = kept.lines().next().expect("a path");
    assert!(fs::read_to_string(format!("{kept}/plain/server-1.log")).is_ok());
    fs::remove_dir_all(kept).expect("it is there");
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_told_before_anything_is_run() {
    let (fake, place) = (Fake::with(&[]).await, Place::new(&[]));
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let store = format!("redis://127.0.0.1:{port}");
    let ran = place.start_with_servers(&fake, (&[POLL], &["--store", &store]));
    let ran = Ran::of(ran.wait_with_output().await.expect("it ends"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.said.contains(&format!("--store {store}: ")) && ran.table.is_empty(), "{}", ran.said);
    assert_eq!(fake.seen().most, 0);
    assert!(!ran.said.contains("configurations and logs"), "nothing was written: {}", ran.said);
}

#[tokio::test]
async fn a_plan_with_pings_wants_a_suite_that_a_server_can_believe() {
    let (fake, place) = (Fake::with(&[]).await, Place::new(&[]));
    let folder = place.path("folder");
    let more = ["--folder", folder.to_str().expect("UTF-8")];
    // Its certificate is of an authority that nobody named.
    let refused = place.start_with_servers(&fake, (&[PING], &more));
    let refused = Ran::of(refused.wait_with_output().await.expect("it ends"));
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.said.contains("the server would not ping the suite") && refused.said.contains("openssl req -x509"),
        "{}",
        refused.said
    );
    let ca = place.path("ca.pem");
    fs::write(&ca, fake.ca()).expect("written");
    let named = [&more[..], &["--suite-ca", ca.to_str().expect("UTF-8")]].concat();
    let ran = place.start_with_servers(&fake, (&[PING], &named));
    let ran = Ran::of(ran.wait_with_output().await.expect("it ends"));
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.table, ran.said);
    let trust = fs::read_to_string(folder.join("plain/client-endpoints.pem")).expect("it is kept");
    assert!(trust.ends_with(&fake.ca()), "the server believes whom the run believes");
    let again = place.start_with_servers(&fake, (&[POLL], &more));
    let again = Ran::of(again.wait_with_output().await.expect("it ends"));
    assert_eq!(again.code, Some(0), "the folder has clients for another plan: {}", again.said);
}

/// The first process that `parent` has started.
fn child_of(parent: u32) -> Option<String> {
    let processes = fs::read_dir("/proc").expect("Linux has it");
    processes.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).find(|id| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|of| of.trim() == parent.to_string()))
    })
}
