//! What lies in Redis after everything was done that can be done: nothing stays that need not, and nothing is of use to who reads it.

use countersign::wire::bank::Identified;
use serde_json::json;

use crate::bank::{Bank, certificates, client, pkcs8};
use crate::heard::Heard;
use crate::kept::Kept;
use crate::node::Nodes;
use crate::teller::{Says, Teller};
use crate::tpp::Tpp;
use crate::wired::{hint_token, metadata, register, standing, till9, till10};

const NOTIFICATION: &str = "canary-notification-token-4711";

/// Does everything that leaves something; returns every secret there was.
async fn everything(bank: &Bank) -> Vec<String> {
    let mut secrets = vec![NOTIFICATION.to_owned()];
    bank.phone.knows("canary-hint", Identified::Known { sub: "carol-1".into() });
    bank.phone.asks_for("canary-hint", "canary-code");
    let till = till9(bank);
    let coded = async |till: &Tpp<'_>, code: &str| {
        till.backchannel(|r| {
            r.with("login_hint", "canary-hint").with("user_code", code).with("binding_message", "canary-text")
        })
        .await
    };
    coded(&till, "canary-wrong").await.refused(400, "invalid_user_code");
    let approved = coded(&till, "canary-code").await.text("auth_req_id");
    till.poll(&approved).await.refused(400, "authorization_pending");
    till.poll(&approved).await.refused(400, "slow_down");
    let yes = json!({"auth_req_id": approved, "decision": "approve", "sub": "carol-1"});
    assert_eq!(bank.decide(&yes).await.status, 204);
    let tokens = till.poll(&approved).await;
    let (access, refresh, id) = (tokens.text("access_token"), tokens.text("refresh_token"), tokens.text("id_token"));
    let second = till.refresh(&refresh).await.text("access_token");
    bank.accounts_api().introspect(&second).await.ok();
    till.userinfo(&second).await.ok();
    assert_eq!(till.revoke(&access).await.status, 200);
    let hint = hint_token(bank, "canary-jti").finish();
    let hinted = till.backchannel(|r| r.without("login_hint").with("login_hint_token", hint.as_str())).await;
    let pinged = async || {
        let till = till10(bank);
        till.backchannel(|request| request.with("client_notification_token", NOTIFICATION)).await.text("auth_req_id")
    };
    let (told, open) = (pinged().await, pinged().await);
    assert_eq!(bank.approve(&told).await.status, 204);
    let registered = register(bank, &metadata(), None).await;
    let text = |name: &str| registered.body[name].as_str().expect("a string").to_owned();
    let (uri, token) = (text("registration_client_uri"), text("registration_access_token"));
    let deleted = register(bank, &metadata(), None).await;
    let gone = deleted.body["registration_client_uri"].as_str().expect("a URL").to_owned();
    let by = deleted.body["registration_access_token"].as_str().expect("a token").to_owned();
    assert_eq!(Heard::of(client(None).delete(gone).bearer_auth(&by)).await.status, 204);
    Heard::of(client(None).get(uri).bearer_auth(&token)).await.ok();
    for (user, word) in [("bob-1", "locked"), ("dave-1", "locked"), ("dave-1", "good")] {
        assert_eq!(standing(bank, user, word).await.status, 204);
    }
    let canaries = ["canary-hint", "canary-code", "canary-wrong", "canary-text", "canary-jti"];
    secrets.extend(canaries.map(str::to_owned));
    secrets.extend([approved, access, refresh, id, second, hint, hinted.text("auth_req_id"), told, open, token, by]);
    secrets
}

#[tokio::test]
async fn every_key_passes_but_those_of_registered_clients_and_locked_users_and_none_tells_a_secret() {
    let nodes = Nodes::new();
    let certificate = (certificates("bank"), pkcs8("bank.key").into());
    let teller = Teller::open(certificate, Says::Nothing).await;
    let bank = nodes.node(&teller.url).await;
    let secrets = everything(&bank).await;
    let mut kept = Kept::by(&nodes).await;
    let (keys, mut texts, mut staying) = (kept.keys("").await, kept.parcels().await, Vec::new());
    let family = |key: &str| key.split(':').nth(1).expect("a family").to_owned();
    let mut families: Vec<String> = keys.iter().map(|key| family(key)).collect();
    families.dedup();
    let all =
        ["access", "attempts", "client", "grant", "outbox", "pace", "probe", "refresh", "slower", "spent", "standing"];
    assert_eq!(families, all);
    assert_eq!(texts.len(), 1, "a ping is owed");
    for key in &keys {
        if family(key) != "outbox" {
            texts.push(kept.value(key).await);
        }
        if kept.left(key).await < 0 {
            staying.push(family(key));
        }
        texts.push(key.clone().into_bytes());
    }
    assert_eq!(staying, ["client", "standing"]);
    for secret in &secrets {
        let tells = |text: &Vec<u8>| text.windows(secret.len()).any(|window| window == secret.as_bytes());
        let telling = texts.iter().find(|text| tells(text)).map(|text| String::from_utf8_lossy(text));
        assert_eq!(telling, None, "{secret}");
    }
}
