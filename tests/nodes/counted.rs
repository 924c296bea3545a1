//! How many round trips each call costs, and which commands: in the traces of the server, and in what Redis is told.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign::wire::bank::Identified;
use serde_json::json;
use tempfile::TempDir;
use tracing::subscriber::DefaultGuard;

use crate::bank::{Bank, certificates, client, key};
use crate::commands::Commands;
use crate::heard::Heard;
use crate::node::{NOWHERE, Nodes};
use crate::overheard::Overheard;
use crate::prover::{approved, at_resource, challenged, for_token, lenient, poll, userinfo};
use crate::tpp::Tpp;
use crate::wired::{hint_token, in_the_uk, metadata, register, standing, switched_on, till9};

/// What counts.
struct Count {
    heard: Overheard,
    commands: Commands,
    _listening: DefaultGuard,
    _folder: TempDir,
}

impl Count {
    /// `call` costs these trips of so many steps, which are these commands.
    async fn is(&mut self, what: &str, (trips, told): (&[u64], &[&str]), call: impl Future<Output = Heard>) -> Heard {
        self.commands.so_far().await;
        self.heard.trips();
        let answer = call.await;
        let commands = self.commands.so_far().await;
        assert_eq!(
            (self.heard.trips(), commands),
            (trips.to_vec(), told.iter().map(|&told| told.to_owned()).collect()),
            "{what}"
        );
        answer
    }
}

/// A server with everything on but what looks after the outbox, and what counts its trips.
async fn open(nodes: &Nodes) -> (Bank, Count) {
    let (heard, listening) = Overheard::listen();
    let folder = tempfile::tempdir().expect("a folder");
    let bank = nodes.node_on(nodes.backend().await, |shipped| without_pings(shipped, folder.path())).await;
    let commands = Commands::of(&nodes.redis).await;
    (bank, Count { heard, commands, _listening: listening, _folder: folder })
}

/// Everything on, but no endpoints of clients, and so no outbox; till 11 authenticates by the certificate of till 8.
fn without_pings(shipped: &str, folder: &Path) -> String {
    let on = switched_on(shipped, NOWHERE);
    let (before, rest) = on.split_once("[client_endpoints]").expect("it is there");
    let (_, after) = rest.split_once("[registration]").expect("it follows");
    let (clients, _till10) = after.rsplit_once("[[clients]]").expect("till 10 is the last");
    let certificate = STANDARD.encode(certificates("till8").first().expect("it has one"));
    let mut jwk = key("till8.key").public().clone();
    jwk.insert("x5c".into(), json!([certificate]));
    let path = folder.join("till11.jwks.json");
    fs::write(&path, json!({ "keys": [jwk] }).to_string()).expect("written");
    let till11 = r#"[[clients]]
client_id = "till-11"
client_name = "Corner Shop, till 11"
jwks = "JWKS"
token_endpoint_auth_method = "self_signed_tls_client_auth"
backchannel_authentication_request_signing_alg = "ES256"
id_token_signed_response_alg = "ES256"
backchannel_token_delivery_mode = "poll"
grant_types = ["urn:openid:params:grant-type:ciba", "refresh_token"]
scope = "openid accounts"
"#;
    format!("{before}[registration]{clients}{}", till11.replace("JWKS", path.to_str().expect("UTF-8")))
}

/// A client with the key and the certificate of till 8.
fn with_key_8<'a>(bank: &'a Bank, client_id: &str) -> Tpp<'a> {
    Tpp::new(bank, client_id, (key("till8.key"), key("till8.key")), Some("till8"))
}

const ASK: (&[u64], &[&str]) = (&[5], &["SET spent", "SET spent", "GET standing", "SET grant", "SET pace"]);
const POLL: (&[u64], &[&str]) = (&[4], &["SET spent", "GET grant", "SET pace", "GET slower"]);
const APPROVE: (&[u64], &[&str]) = (&[2, 1], &["GET grant", "GET standing", "EVAL grant"]);

#[tokio::test]
async fn a_request_and_a_poll_are_one_trip_each_and_a_poll_that_is_too_fast_two() {
    let nodes = Nodes::new();
    let (bank, mut count) = open(&nodes).await;
    let till = till9(&bank);
    let auth_req_id = count.is("bc-authorize", ASK, till.backchannel(|request| request)).await.text("auth_req_id");
    count.is("pending", POLL, till.poll(&auth_req_id)).await.refused(400, "authorization_pending");
    for (what, how) in [("slow_down", "SET slower"), ("slow_down again", "EVAL slower")] {
        let told = ["SET spent", "GET grant", "SET pace", "GET slower", how];
        count.is(what, (&[4, 1], &told), till.poll(&auth_req_id)).await.refused(400, "slow_down");
    }
    let unknown = "a".repeat(43);
    count.is("unknown", POLL, till.poll(&unknown)).await.refused(400, "invalid_grant");
    let once = till.assertion();
    let replay = || till.poll_call(&unknown, |call| call.assertion(|_| once.clone()));
    count.is("fresh", POLL, replay()).await.refused(400, "invalid_grant");
    count.is("replayed", POLL, replay()).await.refused(401, "invalid_client");
}

#[tokio::test]
async fn a_clients_own_token_is_one_trip_and_a_look_at_it_too() {
    let nodes = Nodes::new();
    let (heard, listening) = Overheard::listen();
    let folder = tempfile::tempdir().expect("a folder");
    let edit = |shipped: &str| in_the_uk(&without_pings(shipped, folder.path()));
    let bank = nodes.node_on(nodes.backend().await, edit).await;
    let commands = Commands::of(&nodes.redis).await;
    let mut count = Count { heard, commands, _listening: listening, _folder: folder };
    let till = till9(&bank);
    let token = count.is("own", (&[2], &["SET spent", "SET access"]), till.own()).await.text("access_token");
    let api = bank.accounts_api();
    let looked = count.is("introspection", (&[2], &["SET spent", "GET access"]), api.introspect(&token)).await;
    assert_eq!(looked.ok()["active"], true);
    count.is("userinfo", (&[1], &["GET access"]), till.userinfo(&token)).await.refused(403, "insufficient_scope");
    count.is("refused", (&[1], &["SET spent"]), bank.other_tpp().own()).await.refused(400, "unauthorized_client");
}

#[tokio::test]
async fn a_decision_a_redemption_a_refresh_a_revocation_and_a_look_at_a_token_are_two_trips_each() {
    let nodes = Nodes::new();
    let (bank, mut count) = open(&nodes).await;
    for (till, refreshes) in [(bank.other_tpp(), false), (till9(&bank), true)] {
        let (denied, approved) = (till.auth_req_id().await, till.auth_req_id().await);
        let no: (&[u64], &[&str]) = (&[1, 1], &["GET grant", "EVAL grant"]);
        assert_eq!(count.is("deny", no, bank.deny(&denied)).await.status, 204);
        assert_eq!(count.is("approve", APPROVE, bank.approve(&approved)).await.status, 204);
        let again: (&[u64], &[&str]) = (&[2], &["GET grant", "GET standing"]);
        count.is("settled", again, bank.approve(&approved)).await.refused(409, "already_settled");
        let poll = ["SET spent", "GET grant", "SET pace", "GET slower", "GET standing", "SET access"];
        let told = [&poll[..], if refreshes { &["SET refresh", "EVAL grant"] } else { &["EVAL grant"] }].concat();
        let trips = [4, if refreshes { 4 } else { 3 }];
        let tokens = count.is("redemption", (&trips, &told), till.poll(&approved)).await;
        let access = tokens.text("access_token");
        let behind: &[&str] = if refreshes { &["GET refresh"] } else { &[] };
        let looks = 1 + behind.len() as u64;
        let told = [&["SET spent", "GET access", "GET standing"], behind].concat();
        let api = bank.accounts_api();
        count.is("introspection", (&[2, looks], &told), api.introspect(&access)).await.ok();
        count.is("userinfo", (&[1, looks], &told[1..]), till.userinfo(&access)).await.ok();
        count.is("spent", POLL, till.poll(&approved)).await.refused(400, "invalid_grant");
        if refreshes {
            let refresh = tokens.text("refresh_token");
            let told = ["SET spent", "GET refresh", "GET standing", "SET access"];
            count.is("refresh", (&[2, 2], &told), till.refresh(&refresh)).await.ok();
            let told = ["SET spent", "GET access", "GET refresh", "EVAL refresh"];
            assert_eq!(count.is("end of refreshing", (&[3, 1], &told), till.revoke(&refresh)).await.status, 200);
        }
        let told = ["SET spent", "GET access", "GET refresh", "EVAL access"];
        assert_eq!(count.is("revocation", (&[3, 1], &told), till.revoke(&access)).await.status, 200);
        let unknown = "a".repeat(43);
        assert_eq!(count.is("unknown", (&[3], &told[..3]), till.revoke(&unknown)).await.status, 200);
        let dead = api.introspect(&unknown);
        assert_eq!(count.is("dead", (&[2], &["SET spent", "GET access"]), dead).await.ok()["active"], false);
    }
}

#[tokio::test]
async fn who_authenticates_by_a_certificate_has_no_assertion_to_spend_and_the_same_trips() {
    let nodes = Nodes::new();
    let (bank, mut count) = open(&nodes).await;
    let mut till = with_key_8(&bank, "till-11");
    till.by_certificate = true;
    let auth_req_id = count.is("bc-authorize", (&[4], &ASK.1[1..]), till.backchannel(|request| request)).await;
    let auth_req_id = auth_req_id.text("auth_req_id");
    let pending = (&[3_u64][..], &POLL.1[1..]);
    count.is("pending", pending, till.poll(&auth_req_id)).await.refused(400, "authorization_pending");
    assert_eq!(count.is("approve", APPROVE, bank.approve(&auth_req_id)).await.status, 204);
    let told = [&POLL.1[1..], &["GET standing", "SET access", "SET refresh", "EVAL grant"]].concat();
    let tokens = count.is("redemption", (&[3, 4], &told), till.poll(&auth_req_id)).await;
    let told = ["GET refresh", "GET standing", "SET access"];
    count.is("refresh", (&[1, 2], &told), till.refresh(&tokens.text("refresh_token"))).await.ok();
    let told = ["GET access", "GET refresh", "EVAL access"];
    let revoked = count.is("revocation", (&[2, 1], &told), till.revoke(&tokens.text("access_token"))).await;
    assert_eq!(revoked.status, 200);
}

#[tokio::test]
async fn a_proof_at_a_resource_travels_with_what_its_token_hangs_on_and_without_a_token_it_leaves_nothing() {
    let nodes = Nodes::new();
    let (heard, listening) = Overheard::listen();
    let folder = tempfile::tempdir().expect("a folder");
    let edit =
        |shipped: &str| format!("{}dpop_bound_access_tokens = true\n", lenient(&without_pings(shipped, folder.path())));
    let bank = nodes.node_on(nodes.backend().await, edit).await;
    let commands = Commands::of(&nodes.redis).await;
    let mut count = Count { heard, commands, _listening: listening, _folder: folder };
    let mut till = with_key_8(&bank, "till-11");
    till.by_certificate = true;
    let (held, other) = (key("till8.key"), key("till-es256.key"));
    let auth_req_id = approved(&bank, &till).await;
    let proof = for_token(&bank, &held).finish();
    let told = [POLL.1, &["GET standing", "SET access", "SET refresh", "EVAL grant"]].concat();
    let polled = count.is("redemption", (&[4, 4], &told), poll(&till, &auth_req_id, &[&proof])).await;
    let (token, unknown) = (polled.text("access_token"), "a".repeat(43));
    let look: (&[u64], &[&str]) = (&[1], &["GET access"]);
    for (what, token, key) in [("unknown", &unknown, &held), ("another key", &token, &other)] {
        let call = userinfo(&bank, ("DPoP", token), Some(at_resource(&bank, key, token)));
        challenged(&count.is(what, look, call).await, "invalid_token");
    }
    let once = at_resource(&bank, &held, &token);
    let told = ["GET access", "SET spent", "GET standing", "GET refresh"];
    let good = userinfo(&bank, ("DPoP", &token), Some(once.clone()));
    count.is("userinfo", (&[1, 3], &told), good).await.ok();
    let again = userinfo(&bank, ("DPoP", &token), Some(once));
    challenged(&count.is("replayed", (&[1, 3], &told), again).await, "invalid_dpop_proof");
}

#[tokio::test]
async fn a_client_that_registered_itself_costs_one_trip_more_and_no_more_where_it_is_the_tokens() {
    let nodes = Nodes::new();
    let (bank, mut count) = open(&nodes).await;
    let mut members = metadata();
    members["grant_types"] = json!(["urn:openid:params:grant-type:ciba", "refresh_token"]);
    let registered = count.is("registration", (&[1], &["SET client"]), register(&bank, &members, None)).await;
    let text = |name: &str| registered.body[name].as_str().expect("a string").to_owned();
    let till = with_key_8(&bank, &text("client_id"));
    for what in ["first", "cached"] {
        let told = [&["GET client"], ASK.1].concat();
        let asked = count.is(what, (&[1, 5], &told), till.backchannel(|request| request)).await;
        let auth_req_id = asked.text("auth_req_id");
        let told = [&["GET client"], POLL.1].concat();
        let pending = count.is(what, (&[1, 4], &told), till.poll(&auth_req_id)).await;
        pending.refused(400, "authorization_pending");
        assert_eq!(count.is(what, APPROVE, bank.approve(&auth_req_id)).await.status, 204);
        let told = [&told[..], &["GET standing", "SET access", "SET refresh", "EVAL grant"]].concat();
        let tokens = count.is(what, (&[1, 4, 4], &told), till.poll(&auth_req_id)).await;
        let access = tokens.text("access_token");
        let told = ["SET spent", "GET access", "GET client", "GET standing", "GET refresh"];
        count.is(what, (&[2, 3], &told), bank.accounts_api().introspect(&access)).await.ok();
        count.is(what, (&[1, 3], &told[1..]), till.userinfo(&access)).await.ok();
        let told = ["GET client", "SET spent", "GET refresh", "GET standing", "SET access"];
        count.is(what, (&[1, 2, 2], &told), till.refresh(&tokens.text("refresh_token"))).await.ok();
        let told = ["GET client", "SET spent", "GET access", "GET refresh", "EVAL access"];
        assert_eq!(count.is(what, (&[1, 3, 1], &told), till.revoke(&access)).await.status, 200);
    }
    let manage = || client(None).get(text("registration_client_uri")).bearer_auth(text("registration_access_token"));
    count.is("read", (&[1], &["GET client"]), Heard::of(manage())).await.ok();
    let delete = client(None).delete(text("registration_client_uri")).bearer_auth(text("registration_access_token"));
    let told: (&[u64], &[&str]) = (&[1, 1, 1], &["GET client", "GET client", "EVAL client"]);
    assert_eq!(count.is("delete", told, Heard::of(delete)).await.status, 204);
}

#[tokio::test]
async fn a_user_code_costs_four_trips_more_and_a_hint_token_none() {
    let nodes = Nodes::new();
    let (bank, mut count) = open(&nodes).await;
    bank.phone.knows("carol", Identified::Known { sub: "carol-1".into() });
    bank.phone.asks_for("carol", "2580");
    let till = till9(&bank);
    let token = hint_token(&bank, "once").finish();
    let told = [&["SET spent"], ASK.1].concat();
    let by_token = till.backchannel(|request| request.without("login_hint").with("login_hint_token", token));
    count.is("hint token", (&[6], &told), by_token).await.ok();
    let ask = |code: &'static str| till.backchannel(move |r| r.with("login_hint", "carol").with("user_code", code));
    let counting = |how| ["SET spent", "SET spent", "GET attempts", "GET attempts", how, how];
    let wrong = count.is("wrong", (&[4, 2], &counting("SET attempts")), ask("0000")).await;
    wrong.refused(400, "invalid_user_code");
    let right = ["GET attempts", "GET attempts", "EVAL attempts", "EVAL attempts"];
    let told = [&counting("EVAL attempts")[..], &right, &ASK.1[2..]].concat();
    count.is("right", (&[4, 2, 2, 2, 3], &told), ask("2580")).await.ok();
    let locked: (&[u64], &[&str]) = (&[1, 1], &["GET standing", "SET standing"]);
    assert_eq!(count.is("lock", locked, standing(&bank, "carol-1", "locked")).await.status, 204);
}

#[tokio::test]
async fn what_is_published_and_whether_the_server_lives_costs_nothing() {
    let nodes = Nodes::new();
    let (bank, mut count) = open(&nodes).await;
    for path in ["/.well-known/openid-configuration", "/jwks"] {
        count.is(path, (&[], &[]), Heard::of(client(None).get(bank.url(path)))).await.published();
    }
    for path in ["/livez", "/readyz"] {
        let url = format!("https://localhost:{}{path}", bank.internal.port());
        count.is(path, (&[], &[]), Heard::of(client(Some("bank")).get(url))).await.ok();
    }
}
