//! Records have a version: what a newer server adds within it disturbs nobody, and what is of another version is refused and left as it is.

use http::Method;
use serde_json::{Value, json};

use crate::bank::Bank;
use crate::heard::Heard;
use crate::kept::Kept;
use crate::node::{NOWHERE, Nodes};
use crate::story::{ALICE, Story, coded, registrant};
use crate::wired::standing;

#[tokio::test]
async fn what_a_newer_server_adds_within_the_version_disturbs_nobody() {
    let nodes = Nodes::new();
    let bank = nodes.node(NOWHERE).await;
    let story = Story::begun(&nodes, &bank).await;
    let mut kept = Kept::by(&nodes).await;
    let mut changed = Vec::new();
    for key in kept.keys("").await {
        let value = kept.value(&key).await;
        let Some(Value::Object(mut record)) =
            value.strip_prefix(b"1").and_then(|text| serde_json::from_slice(text).ok())
        else {
            continue;
        };
        record.insert("later".into(), json!({"than": "this", "version": [2]}));
        if let Some(Value::Object(asked)) = record.get_mut("asked") {
            asked.insert("later".into(), json!(true));
        }
        kept.put(&key, format!("1{}", Value::from(record)).as_bytes()).await;
        changed.extend(key.split(':').nth(1).map(str::to_owned));
    }
    changed.dedup();
    assert_eq!(changed, ["access", "attempts", "client", "grant", "refresh", "standing"]);
    story.goes_on(&nodes, &bank).await;
}

/// What each family is asked for, and the answer is 503, while its records are of another version.
async fn refused(family: &str, (bank, story): (&Bank, &Story)) {
    let till = registrant(bank, &story.client_id);
    let (pending, approved, access, refresh) = (&story.pending, &story.approved, &story.access, &story.refresh);
    let api = bank.accounts_api();
    let heard = match family {
        "grant" => vec![
            till.poll(pending).await,
            till.poll(approved).await,
            bank.approve(pending).await,
            bank.deny(pending).await,
        ],
        "slower" => vec![till.poll(pending).await],
        "access" => vec![api.introspect(access).await, till.userinfo(access).await, till.revoke(access).await],
        "refresh" => vec![till.refresh(refresh).await, till.revoke(refresh).await, api.introspect(access).await],
        "client" => vec![
            till.backchannel(|request| request).await,
            till.poll(approved).await,
            Heard::of(story.manage(bank, Method::GET)).await,
            Heard::of(story.manage(bank, Method::DELETE)).await,
            api.introspect(access).await,
        ],
        "standing" => vec![
            till.backchannel(|request| request).await,
            till.poll(approved).await,
            till.refresh(refresh).await,
            api.introspect(access).await,
            bank.approve(pending).await,
            standing(bank, ALICE, "locked").await,
        ],
        "attempts" => vec![coded(bank, "2580").await],
        other => panic!("nothing is known of {other}"),
    };
    for heard in heard {
        assert_eq!(heard.status, 503, "{family}: {heard:#?}");
        heard.refused(503, "temporarily_unavailable");
    }
}

/// Every key of which somebody could have the use.
async fn lasting(kept: &mut Kept) -> Vec<String> {
    let mut keys = kept.keys("").await;
    keys.retain(|key| !["cs:pace:", "cs:probe", "cs:spent:"].iter().any(|family| key.starts_with(family)));
    keys
}

/// How fast somebody polls is written before it is read, and is of no use to anybody else.
#[tokio::test]
async fn what_is_of_another_version_is_refused_and_left_as_it_is() {
    let nodes = Nodes::new();
    let bank = nodes.node(NOWHERE).await;
    let story = Story::begun(&nodes, &bank).await;
    let mut kept = Kept::by(&nodes).await;
    for family in ["grant", "slower", "access", "refresh", "client", "standing", "attempts"] {
        let mut before = Vec::new();
        for key in lasting(&mut kept).await {
            before.push((key.clone(), kept.value(&key).await));
        }
        let ours: Vec<_> =
            before.iter().filter(|(key, _)| key.starts_with(&format!("cs:{family}:"))).cloned().collect();
        assert!(!ours.is_empty(), "{family}");
        for (key, value) in &ours {
            kept.put(key, &[b"2", &value[1..]].concat()).await;
        }
        refused(family, (&bank, &story)).await;
        for (key, value) in &ours {
            assert_eq!(kept.value(key).await, [b"2", &value[1..]].concat(), "{key}");
            kept.put(key, value).await;
        }
        for (key, value) in &before {
            let now = kept.value(key).await;
            assert_eq!(String::from_utf8_lossy(&now), String::from_utf8_lossy(value), "{family}: {key}");
        }
        for key in lasting(&mut kept).await {
            let new = before.iter().all(|(there, _)| *there != key);
            assert!(!new || kept.left(&key).await <= 1_000, "{family}: {key} stays");
        }
    }
    story.goes_on(&nodes, &bank).await;
}
