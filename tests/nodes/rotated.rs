//! Keys that change under load: whoever knows the published keys by heart verifies every ID token, and the servers agree on which key signs.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign::clock::{Clock, System};
use countersign::jose::alg::Alg;
use countersign::jose::jwk::KeySet;
use countersign::jose::jws::Compact;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::bank::pki;
use crate::heard::Heard;
use crate::process::{Process, Webhook, redis};
use crate::till::Till;
use crate::token::header;

/// How often the key that signs is another, and after how many seconds.
const TURNS: usize = 10;
const TURN: Duration = Duration::from_secs(2);

/// A keys folder of the test's own, with a configuration beside it for the commands.
struct Keys {
    folder: TempDir,
}

impl Keys {
    /// The keys of all tests, and `more` that have been published for so long that they may sign at once.
    fn with(config: &Path, more: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for entry in fs::read_dir(pki().join("keys")).expect("there") {
            let path = entry.expect("readable").path();
            fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("copied");
        }
        let keys = Self { folder };
        let text = fs::read_to_string(config).expect("there");
        let own = keys.folder.path().to_str().expect("UTF-8");
        fs::write(config, text.replace(pki().join("keys").to_str().expect("UTF-8"), own)).expect("written");
        for _ in 0..more {
            run(config, &["generate", "--alg", "ES256"]);
        }
        let ring = keys.folder.path().join("keyring.json");
        let mut text = fs::read_to_string(&ring).expect("written");
        let now = System.now().seconds();
        for made in now - 30..=now {
            text = text.replace(&format!("\"published\": {made}"), &format!("\"published\": {}", made - 400));
        }
        fs::write(&ring, text).expect("written");
        keys
    }
}

/// Runs `countersign keys`.
#[track_caller]
fn run(config: &Path, arguments: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let output = command.arg("keys").args(arguments).arg("--config").arg(config).output().expect("it runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The key that signed, if it is among `known` and the signature holds.
fn signed_by(known: &KeySet, id_token: &str) -> Option<String> {
    let token = Compact::parse(id_token, 16 * 1024).expect("well-formed");
    token.verify(known, Alg::Es256).ok()?;
    Some(header(id_token)["kid"].as_str().expect("a kid").to_owned())
}

fn set(heard: &Heard) -> KeySet {
    KeySet::parse(heard.text.as_bytes()).expect("a key set")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_keys_are_rotated_under_load_every_id_token_is_verified_by_who_knows_the_keys_by_heart() {
    let (redis, webhook) = (redis(&[]), Webhook::open().await);
    // A server writes the configuration that the commands go by; the keys move under it before the others start.
    let first = Process::start(redis.port, &webhook);
    let keys = Keys::with(&first.config(), TURNS);
    let at = (redis.port, &webhook);
    let nodes =
        Arc::new([Process::signing_with(keys.folder.path(), at), Process::signing_with(keys.folder.path(), at)]);
    let till = Till::new();
    // Fetched once: for the minutes that the answer may be kept, nobody fetches it again.
    let fetched = till.jwks(&nodes[0]).await;
    let kept = fetched.headers["cache-control"].to_str().expect("ASCII").to_owned();
    assert!(kept.contains("max-age=300"), "{kept}");
    let known = Arc::new(set(&fetched));
    let closing = Arc::new(AtomicBool::new(false));
    let mut lanes = JoinSet::new();
    for lane in 0..3_usize {
        let (till, nodes, known, closing) = (till.clone(), nodes.clone(), known.clone(), closing.clone());
        lanes.spawn(async move {
            let mut signers = Vec::new();
            while !closing.load(Ordering::SeqCst) {
                let (one, other) = (&nodes[lane % 2], &nodes[(lane + 1) % 2]);
                let auth_req_id = till.ask(one).await.text("auth_req_id");
                assert_eq!(till.approve(other, &auth_req_id).await.status, 204);
                let id_token = till.poll(one, &auth_req_id).await.text("id_token");
                signers.push(signed_by(&known, &id_token).expect("whoever knows the keys by heart verifies it"));
                let fresh = set(&till.jwks(other).await);
                assert!(signed_by(&fresh, &id_token).is_some(), "the other server publishes the key, too");
            }
            signers
        });
    }
    for _ in 0..TURNS {
        run(&first.config(), &["rotate", "--alg", "ES256"]);
        sleep(TURN).await;
    }
    closing.store(true, Ordering::SeqCst);
    let signers: Vec<String> = lanes.join_all().await.into_iter().flatten().collect();
    let different: HashSet<&String> = signers.iter().collect();
    assert!(signers.len() >= TURNS && different.len() >= TURNS / 2, "{} tokens by {}", signers.len(), different.len());
}
