//! `countersign clients`, `grants` and `tokens`: what an operator does to the configured store, and what a running server makes of it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use countersign::clock::{Clock, System};
use countersign::secret::Digest;
use countersign::store::backend::Family;
use serde_json::{Value, json};

use crate::deployment::{Deployment, countersign, err, out};
use crate::reload::till;
use crate::serving::Serving;
use crate::stored::{PASSWORD, Stored};

#[test]
fn a_client_is_added_taken_out_of_service_taken_back_and_removed_and_the_server_knows_at_once() {
    let place = Stored::new();
    let serving = Serving::start(&place.deployment);
    let ca = place.deployment.read("ca.pem");
    let id = place.add();
    let heard = || till(&place.deployment, &id, (serving.port, &ca));
    assert_eq!(heard(), Some(400), "it is known");
    let table = place.done(&["clients", "list"]);
    let row = |table: &str, id: &str| table.lines().find(|line| line.starts_with(id)).map(str::to_owned);
    let (ours, configured) = (row(&table, &id).expect("listed"), row(&table, "till-7").expect("listed"));
    assert!(
        ours.contains("Corner Shop, till 12") && ours.contains("store, 20") && ours.contains("in service"),
        "{ours}"
    );
    assert!(configured.contains("configuration") && configured.contains("private_key_jwt"), "{configured}");
    assert!(row(&table, "accounts-api").expect("listed").contains("resource server"), "{table}");
    let shown = place.done(&["clients", "show", &id]);
    assert!(shown.contains("\"backchannel_token_delivery_mode\": \"poll\""), "{shown}");
    for (change, hears, state) in [("disable", 401, "disabled"), ("enable", 400, "in service")] {
        let would = place.done(&["clients", change, &id, "--dry-run"]);
        assert!(would.ends_with("(nothing was done)\n"), "{would}");
        let said = place.done(&["clients", change, &id, "--yes"]);
        assert!(said.starts_with(&format!("{id} (Corner Shop, till 12) is ")), "{said}");
        assert_eq!(heard(), Some(hears), "{change}");
        assert!(row(&place.done(&["clients", "list"]), &id).expect("listed").contains(state));
        let json: Value =
            serde_json::from_str(&place.done(&["clients", change, &id, "--yes", "--json"])).expect("JSON");
        assert_eq!(json, json!({"client_id": id, "did": change, "changed": false, "dry_run": false}));
        let again = place.done(&["clients", change, &id, "--yes"]);
        assert!(again.contains(&format!("is {state} already")), "{again}");
    }
    assert!(place.refused(2, &["clients", "disable", &id]).contains("--yes"));
    place.done(&["clients", "remove", &id, "--yes"]);
    assert_eq!(heard(), Some(401));
    assert_eq!(row(&place.done(&["clients", "list"]), &id), None);
    assert!(place.refused(2, &["clients", "enable", &id]).contains("there is no client"));
    let changes: Vec<(Value, Value, bool, bool)> = place
        .audit()
        .into_iter()
        .filter(|line| line["event"] == "client_changed" && line["client_id"] == id.as_str())
        .map(|line| (line["did"].clone(), line["by"].clone(), line["before"].is_string(), line["after"].is_string()))
        .collect();
    let by = changes[0].1.clone();
    let expected = [("add", false, true), ("disable", true, true), ("enable", true, true), ("remove", true, false)];
    let expected = expected.map(|(did, before, after)| (json!(did), by.clone(), before, after));
    assert_eq!(changes, expected);
}

#[test]
fn metadata_that_makes_no_client_is_refused_with_every_member_that_does_not_fit() {
    let place = Stored::new();
    let tried = |metadata: &str| {
        let output = place.tried(&["clients", "add", "-"], metadata);
        assert_eq!((output.status.code(), out(&output)), (Some(2), String::new()));
        err(&output)
    };
    let mut metadata = place.metadata();
    metadata["scope"] = "openid loans".into();
    metadata["token_endpoint_auth_signing_alg"] = "HS256".into();
    let said = tried(&metadata.to_string());
    assert!(said.contains("scope: ") && said.contains("token_endpoint_auth_signing_alg: "), "{said}");
    assert!(tried("{\"a\": 1, \"a\": 2}").contains("JSON"));
    assert!(tried("[]").contains("not an object"));
    assert!(place.refused(2, &["clients", "add", "/nowhere"]).contains("/nowhere: "));
    assert_eq!(place.listed().iter().filter(|client| client["registered"] == "store").count(), 0);
    assert!(place.audit().is_empty());
    let would = place.tried(&["clients", "add", "-", "--dry-run"], &place.metadata().to_string());
    assert!(out(&would).ends_with("(nothing was done)\n"), "{}", err(&would));
    assert!(place.audit().is_empty());
}

#[test]
fn clients_are_moved_from_one_store_to_another_all_or_none() {
    let place = Stored::new();
    let ids = [place.add(), place.add()];
    place.done(&["clients", "disable", &ids[1], "--yes"]);
    let listed = place.done(&["clients", "list", "--json"]);
    let Stored { redis, deployment: first, .. } = place;
    let other = Stored::on(redis, "other");
    // The user of the operator has rights on another prefix alone.
    let tried = other.tried(&["clients", "import", "-"], &listed);
    assert!(tried.status.code() == Some(1) && err(&tried).contains("Redis"), "{}", err(&tried));
    let import = |text: &str, code: i32| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["clients", "import", "-", "--config"]).arg(other.deployment.config());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(code), "{}", err(&output));
        (out(&output), err(&output))
    };
    let mut spoilt: Value = serde_json::from_str(&listed).expect("JSON");
    let last = spoilt["clients"].as_array_mut().expect("a list").last_mut().expect("there are some");
    last["registration"]["members"]["scope"] = "openid loans".into();
    let (_, said) = import(&spoilt.to_string(), 2);
    assert!(said.contains("scope: ") && said.contains("loans"), "{said}");
    let serving = Serving::start(&other.deployment);
    let heard = |id: &str| till(&first, id, (serving.port, &other.deployment.read("ca.pem")));
    assert_eq!((heard(&ids[0]), heard(&ids[1])), (Some(401), Some(401)), "none of them is there");
    let (said, _) = import(&listed, 0);
    assert!(ids.iter().all(|id| said.contains(id)) && !said.contains("till-7"), "{said}");
    assert_eq!((heard(&ids[0]), heard(&ids[1])), (Some(400), Some(401)), "one is disabled there, too");
    assert!(import(&listed, 0).1.contains("2 are there already"));
    let (_, said) = import(&listed.replace("Corner Shop, till 12", "Corner Shop, till 13"), 2);
    assert!(said.contains("is registered here already, and otherwise"), "{said}");
    assert!(import("{}", 2).1.contains("is not what `clients list --json` prints"));
    assert!(import("{\"clients\": []}", 2).1.contains("has no client of a store in it"));
    let spoil = |change: &dyn Fn(&mut Value)| {
        let mut spoilt: Value = serde_json::from_str(&listed).expect("JSON");
        change(
            &mut spoilt["clients"].as_array_mut().expect("a list").last_mut().expect("there are some")["registration"],
        );
        import(&spoilt.to_string(), 2).1
    };
    assert!(spoil(&|it| it["members"]["software_id"] = "x".repeat(20_000).into()).contains("larger than 16 KiB"));
    assert!(spoil(&|it| it["issued_at"] = (-5).into()).contains("issued_at is no time of the past"));
    assert!(spoil(&|it| it["client_id"] = "till-12".into()).contains("is no id that is drawn here"));
}

#[test]
fn clients_of_the_configuration_are_shown_here_and_changed_there() {
    let place = Stored::new();
    let entry = "[[clients]]\nclient_id = \"till-7\"\n";
    place.deployment.edit(entry, &format!("{entry}disabled = true\n"));
    let table = place.done(&["clients", "list"]);
    assert!(table.lines().any(|line| line.starts_with("till-7 ") && line.contains("  disabled  ")), "{table}");
    for change in ["disable", "enable", "remove"] {
        let said = place.refused(2, &["clients", change, "till-7", "--yes"]);
        assert!(said.contains("disabled = true") && said.contains("server.toml"), "{said}");
    }
    assert!(place.done(&["clients", "show", "till-7"]).contains("configuration"));
    assert!(place.refused(2, &["clients", "show", "till-8"]).contains("there is no client till-8"));
}

#[test]
fn a_registration_is_shown_whole_wherever_it_is() {
    let place = Stored::new();
    let id = place.add();
    place.deployment.edit("# dpop_bound_access_tokens = true", "dpop_bound_access_tokens = true");
    for (client_id, dpop) in [("till-7", Some(true)), (&id, None), ("accounts-api", None)] {
        let shown = place.done(&["clients", "show", client_id, "--json"]);
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        let members = &shown["registration"]["members"];
        assert_eq!(shown["registration"]["client_id"], client_id);
        assert_eq!(members["client_name"], shown["client_name"]);
        assert_eq!(members["dpop_bound_access_tokens"].as_bool(), dpop, "{shown}");
        assert_eq!(members["token_endpoint_auth_signing_alg"], "ES256");
        let key = &members["jwks"]["keys"][0];
        assert!(key["x"].is_string() && key.get("d").is_none(), "{shown}");
        if client_id != "accounts-api" {
            assert_eq!(members["tls_client_certificate_bound_access_tokens"], dpop.is_none(), "{shown}");
            assert_eq!(members["grant_types"], json!(["urn:openid:params:grant-type:ciba"]));
            assert!(members["backchannel_authentication_request_signing_alg"].is_string(), "{shown}");
        }
        let table = place.done(&["clients", "show", client_id]);
        assert!(table.ends_with(&format!("\n{members:#}\n")), "{table}");
    }
}

#[test]
fn what_lives_is_listed_and_ended_for_a_client_or_a_user() {
    let place = Stored::new();
    for (client, sub) in [("till-7", "alice"), ("till-7", "bob"), ("till-9", "alice")] {
        place.give(client, sub);
    }
    let all = place.live(&[]);
    assert_eq!(all.len(), 9);
    assert_eq!(place.live(&["--client", "till-7", "--user", "bob"]).len(), 3);
    let table = place.done(&["grants", "list", "--user", "bob"]);
    let head: Vec<&str> = table.lines().next().expect("a head").split_whitespace().collect();
    assert_eq!(head, ["kind", "client_id", "user", "scope", "since", "until", "SHA-256"]);
    let digest = Digest::of(b"access till-7 bob").to_string();
    assert!(table.lines().any(|line| line.starts_with("access token   till-7") && line.ends_with(&digest)), "{table}");
    let would = place.done(&["grants", "revoke", "--user", "alice", "--dry-run"]);
    assert_eq!(would, "requests: 2, refresh tokens: 2, access tokens: 2\n(nothing was done)\n");
    assert_eq!(place.live(&[]), all);
    assert!(place.refused(2, &["grants", "revoke", "--user", "alice"]).contains("--yes"));
    assert!(place.refused(2, &["grants", "revoke", "--yes"]).contains("--client"));
    let said = place.done(&["grants", "revoke", "--client", "till-7", "--user", "alice", "--yes"]);
    assert_eq!(said, "requests: 1, refresh tokens: 1, access tokens: 1\nended\n");
    let said: Value =
        serde_json::from_str(&place.done(&["grants", "revoke", "--user", "alice", "--yes", "--json"])).expect("JSON");
    assert_eq!(said, json!({"ended": {"requests": 1, "refresh_tokens": 1, "access_tokens": 1}, "dry_run": false}));
    assert!(place.live(&[]).iter().all(|(_, client, sub)| client == "till-7" && sub == "bob"));
    place.done(&["grants", "revoke", "--client", "till-7", "--yes"]);
    assert!(place.live(&[]).is_empty());
    let audit: Vec<Value> = place.audit().into_iter().filter(|line| line["event"] == "grants_revoked").collect();
    assert_eq!(audit.len(), 3);
    assert_eq!((&audit[0]["client_id"], &audit[0]["user"]), (&json!("till-7"), &json!(Digest::of(b"alice"))));
    assert_eq!((&audit[2]["client_id"], &audit[2]["user"]), (&json!("till-7"), &Value::Null));
}

#[test]
fn a_token_is_ended_by_its_digest_or_by_itself() {
    let place = Stored::new();
    place.give("till-7", "alice");
    place.give("till-7", "bob");
    let digest = Digest::of(b"access till-7 alice").to_string();
    assert!(place.refused(2, &["tokens", "revoke", &digest]).contains("--yes"));
    let would = place.done(&["tokens", "revoke", &digest, "--dry-run"]);
    assert!(would.ends_with("(nothing was done)\n"), "{would}");
    let request = Digest::of(b"request till-7 alice").to_string();
    assert!(place.refused(1, &["tokens", "revoke", &request, "--yes"]).contains("grants revoke"));
    assert!(place.audit().is_empty(), "what is not there is not ended");
    let said = place.done(&["tokens", "revoke", &digest, "--yes"]);
    assert!(said.contains("access token  till-7") && said.ends_with("ended\n"), "{said}");
    assert!(place.refused(1, &["tokens", "revoke", &digest, "--yes"]).contains("no token of that digest"));
    let said = place.done_with(&["tokens", "revoke", "--stdin", "--yes"], "refresh till-7 bob\n");
    assert!(said.contains("refresh token  till-7"), "{said}");
    let left: Vec<_> = place.live(&[]).into_iter().map(|(kind, _, sub)| (kind, sub)).collect();
    let expected = [("access_token", "bob"), ("pending", "alice"), ("pending", "bob"), ("refresh_token", "alice")];
    assert_eq!(left, expected.map(|(kind, sub)| (kind.to_owned(), sub.to_owned())));
    for wrong in [&["tokens", "revoke"][..], &["tokens", "revoke", "short"], &["tokens", "revoke", &digest, "--stdin"]]
    {
        place.refused(2, wrong);
    }
    let recorded: Vec<Value> = place.audit().into_iter().filter(|line| line["event"] == "token_revoked").collect();
    assert_eq!((recorded.len(), &recorded[0]["token"]), (2, &json!(digest)));
}

#[test]
fn a_user_of_redis_who_may_not_list_keys_is_told_whom_to_be() {
    let place = Stored::new();
    place.give("till-7", "alice");
    let config = place.deployment.config();
    let config = config.to_str().expect("UTF-8");
    for command in [&["clients", "list"][..], &["grants", "list"], &["grants", "revoke", "--user", "alice", "--yes"]] {
        let refused = countersign(&[command, &["--config", config]].concat());
        assert_eq!(refused.status.code(), Some(1));
        assert!(err(&refused).contains("(SCAN); docs/redis.md has the ACL"), "{}", err(&refused));
        assert!(!err(&refused).contains(PASSWORD));
    }
    let status = countersign(&["status", "--config", config]);
    assert!(out(&status).contains("requests: not known: Redis does not allow this user"), "{}", out(&status));
    assert!(
        place
            .done(&["status"])
            .contains("  requests: 1 pending, 0 approved and not come for; 1 refresh tokens, 1 access tokens\n")
    );
    assert_eq!(place.live(&[]).len(), 3);
    assert!(place.refused(2, &["grants", "list", "--store-user", "x"]).contains("--store-user"));
}

#[test]
fn what_only_a_server_remembers_cannot_be_looked_at_from_beside() {
    let deployment = Deployment::new();
    let config = deployment.config();
    let config = config.to_str().expect("UTF-8");
    let listed = countersign(&["clients", "list", "--config", config]);
    assert_eq!(listed.status.code(), Some(0));
    assert!(out(&listed).contains("till-7") && err(&listed).contains("store.kind is memory"), "{}", err(&listed));
    for command in [
        &["grants", "list"][..],
        &["grants", "revoke", "--user", "alice", "--yes"],
        &["tokens", "revoke", "--stdin"],
        &["clients", "add", "/dev/null"],
    ] {
        let refused = countersign(&[command, &["--config", config]].concat());
        assert_eq!(refused.status.code(), Some(2), "{command:?}");
        assert!(err(&refused).contains("store.kind is memory"), "{}", err(&refused));
    }
}

#[test]
fn a_redis_that_is_away_and_an_audit_file_that_cannot_be_written_are_told_and_nothing_is_done() {
    let mut place = Stored::new();
    place.give("till-7", "alice");
    place.deployment.edit("\n[audit]\nfile = \"audit.jsonl\"\n", "\n[audit]\nfile = \"/dev/full\"\n");
    let said = place.refused(1, &["grants", "revoke", "--user", "alice", "--yes"]);
    assert!(said.contains("/dev/full") && said.contains("nothing was done"), "{said}");
    assert_eq!(place.live(&[]).len(), 3);
    assert!(!place.deployment.config().with_file_name("audit.jsonl").exists());
    place.redis.stop();
    let said = place.refused(1, &["grants", "list"]);
    assert!(said.contains("Redis cannot be used"), "{said}");
}

#[test]
fn what_another_version_wrote_is_named_and_the_rest_is_shown_and_ended() {
    let place = Stored::new();
    place.give("till-7", "alice");
    let id = place.add();
    let later = System.now().plus(900);
    let odd = |family| (family, "another version's", b"2{}".to_vec(), later);
    place.put(vec![odd(Family::Grant), odd(Family::RefreshToken), odd(Family::AccessToken), odd(Family::Client)]);
    let tried = |arguments: &[&str]| {
        let output = place.tried(arguments, "");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", out(&output));
        (out(&output), err(&output))
    };
    let (shown, said) = tried(&["clients", "list"]);
    assert!(shown.contains(&id) && said.contains("1 record of another version"), "{said}");
    let (shown, said) = tried(&["grants", "list"]);
    assert_eq!((shown.lines().count(), said.contains("3 records of another version")), (4, true), "{shown}{said}");
    let (done, said) = tried(&["grants", "revoke", "--user", "alice", "--yes"]);
    assert!(
        done.contains("requests: 1, refresh tokens: 1, access tokens: 1") && said.contains("3 records"),
        "{done}{said}"
    );
    let (shown, _) = tried(&["status"]);
    assert!(shown.contains("! requests: 0 pending") && shown.contains("3 records of another version"), "{shown}");
    assert!(place.done(&["clients", "show", "till-7"]).contains("configuration"));
}

#[test]
fn what_is_recorded_and_then_fails_is_recorded_as_not_done() {
    let place = Stored::new();
    let id = place.add();
    let config = place.deployment.config();
    // The server's own user may do it all but list; one who may only read finds out when the client is to be changed.
    let reads = place.deployment.certs().join("reader.password");
    place.deployment.write("reader.password", "a-third-password");
    place.deployment.expose("reader.password", 0o600);
    place.allow("reader", "a-third-password", "+get +set +time +info +ping +scan");
    let refused = countersign(&[
        "clients",
        "disable",
        &id,
        "--yes",
        "--config",
        config.to_str().expect("UTF-8"),
        "--store-user",
        "reader",
        "--store-password",
        reads.to_str().expect("UTF-8"),
    ]);
    assert_eq!(refused.status.code(), Some(1), "{}", out(&refused));
    let events: Vec<(Value, Value)> =
        place.audit().into_iter().map(|line| (line["event"].clone(), line["did"].clone())).collect();
    let expected = [("client_changed", "add"), ("client_changed", "disable"), ("not_done", "disable")];
    assert_eq!(events, expected.map(|(event, did)| (json!(event), json!(did))));
    assert!(place.done(&["clients", "show", &id]).contains("in service"));
}

#[test]
fn what_is_in_the_store_is_shown_as_text_and_no_terminal_is_told_what_to_do() {
    let place = Stored::new();
    place.give("till\u{1b}[2J", "al\u{202e}ice\n");
    let shown = place.done(&["grants", "list"]);
    assert!(!shown.contains(['\u{1b}', '\u{202e}']) && shown.lines().count() == 4, "{shown:?}");
    let said = place.refused(2, &["clients", "show", "x\u{1b}[2J"]);
    assert!(!said.contains('\u{1b}'), "{said:?}");
}
