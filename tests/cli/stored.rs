//! [`Stored`]: a deployment on a Redis of its own, and an operator who works on its store.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use countersign::clock::{Clock, System, Timestamp};
use countersign::grant::{Asked, Grant};
use countersign::profile::sender::Binding;
use countersign::secret::Digest;
use countersign::store::backend::{Backend, Family, Key, Outcome, Record, Step};
use countersign::store::redis::Redis;
use countersign::store::redis::place::{Place, Topology};
use countersign::store::tokens::{AccessToken, RefreshToken};
use serde::Serialize;
use serde_json::{Value, json};

use crate::deployment::{Deployment, err, out, shipped};
use crate::server::RedisServer;

pub(crate) const PASSWORD: &str = "correct-horse-battery-staple";
const OPERATOR: &str = "another-password-altogether";

/// A deployment on a Redis of its own, whose server's user may do all but list keys; an operator's may do what the file that ships lets it.
pub(crate) struct Stored {
    pub(crate) deployment: Deployment,
    pub(crate) redis: RedisServer,
    prefix: &'static str,
}

impl Stored {
    pub(crate) fn new() -> Self {
        let rules = fs::read_to_string(shipped("deploy/redis-operator.acl")).expect("it ships");
        let rules: Vec<&str> = rules.split_whitespace().skip(3).filter(|word| !word.starts_with('#')).collect();
        let (password, operator) = (format!(">{PASSWORD}"), format!(">{OPERATOR}"));
        let server = ["--appendonly", "yes", "--user", "countersign", "on", &password, "~*", "+@all", "-scan"];
        let beside = ["--user", "countersign-operator", "on", &operator];
        let redis = RedisServer::with(&[&server[..], &beside[..], &rules[..]].concat());
        Self::on(redis, "countersign")
    }

    pub(crate) fn on(redis: RedisServer, prefix: &'static str) -> Self {
        let deployment = Deployment::new();
        for (name, password) in [("redis.password", PASSWORD), ("operator.password", OPERATOR)] {
            deployment.write(name, password);
            deployment.expose(name, 0o600);
        }
        deployment.listen(("listen", 0), ("internal_listen", 0));
        deployment.edit("format = \"pretty\"", "format = \"json\"");
        deployment.redis(&format!(
            "kind = \"redis\"\ntopology = \"standalone\"\naddresses = [\"{}\"]\nprefix = \"{prefix}\"\n\
             user = \"countersign\"\npassword = \"../certs/dev/redis.password\"",
            redis.address()
        ));
        deployment.append("\n[audit]\nfile = \"audit.jsonl\"\n");
        Self { deployment, redis, prefix }
    }

    /// Runs a command as the operator, with `input` on its standard input.
    pub(crate) fn tried(&self, arguments: &[&str], input: &str) -> Output {
        let config = self.deployment.config();
        let password = self.deployment.certs().join("operator.password");
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(arguments).arg("--config").arg(config);
        command.args(["--store-user", "countersign-operator", "--store-password"]).arg(password);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads, or does not need to");
        child.wait_with_output().expect("it ends")
    }

    /// What a command prints that works.
    #[track_caller]
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        self.done_with(arguments, "")
    }

    #[track_caller]
    pub(crate) fn done_with(&self, arguments: &[&str], input: &str) -> String {
        let output = self.tried(arguments, input);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", err(&output));
        out(&output)
    }

    /// Why a command is refused, with this code.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.tried(arguments, "");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}{}", out(&output), err(&output));
        assert_eq!(out(&output), "");
        err(&output)
    }

    /// Adds a client with the keys of till 7; its id comes back.
    pub(crate) fn add(&self) -> String {
        let registered: Value =
            serde_json::from_str(&self.done_with(&["clients", "add", "-"], &self.metadata().to_string()))
                .expect("JSON");
        registered["client_id"].as_str().expect("an id").to_owned()
    }

    pub(crate) fn metadata(&self) -> Value {
        let jwks: Value = serde_json::from_str(&self.deployment.read("till.jwks.json")).expect("JSON");
        json!({
            "client_name": "Corner Shop, till 12",
            "jwks": jwks,
            "scope": "openid accounts",
            "grant_types": ["urn:openid:params:grant-type:ciba"],
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": "ES256",
            "backchannel_token_delivery_mode": "poll",
            "backchannel_authentication_request_signing_alg": "ES256",
            "id_token_signed_response_alg": "ES256",
        })
    }

    pub(crate) fn listed(&self) -> Vec<Value> {
        let listed: Value = serde_json::from_str(&self.done(&["clients", "list", "--json"])).expect("JSON");
        listed["clients"].as_array().expect("a list").clone()
    }

    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.deployment.config().with_file_name("audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Has Redis know another user.
    pub(crate) fn allow(&self, user: &str, password: &str, rules: &str) {
        let mut command = Command::new("redis-cli");
        command.args([
            "-p",
            &self.redis.port.to_string(),
            "ACL",
            "SETUSER",
            user,
            "on",
            &format!(">{password}"),
            "~*",
            "-@all",
        ]);
        assert!(command.args(rules.split(' ')).stdout(Stdio::null()).status().expect("redis-cli is there").success());
    }

    /// Puts records into the store, as a server does.
    pub(crate) fn put(&self, records: Vec<(Family, &str, Vec<u8>, Timestamp)>) {
        let port = self.redis.port;
        let place = Place {
            topology: Topology::Standalone,
            addresses: vec![("127.0.0.1".into(), port)],
            credentials: None,
            tls: None,
            prefix: self.prefix.into(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let redis = Redis::at(place, Arc::new(System), false).await;
            for (family, text, bytes, sweep_at) in records {
                let key = Key { family, digest: Digest::of(text.as_bytes()) };
                let put = redis.run(vec![Step::Insert(key, Record { bytes, sweep_at })]).await;
                assert_eq!(put, Ok(vec![Outcome::Done(true)]));
            }
        });
    }

    /// A request that waits, a refresh token and an access token of `client` for `sub`, named after both.
    pub(crate) fn give(&self, client: &str, sub: &str) {
        let now = System.now();
        let asked = Asked { scope: vec!["openid".into()], acr_wanted: false, at: now, interval: 5, notify: None };
        let grant = Grant::open(client.into(), sub.into(), asked, now.plus(300));
        let refresh = RefreshToken {
            client_id: client.into(),
            sub: sub.into(),
            scope: vec!["openid".into()],
            acr: None,
            auth_time: now,
            iat: now,
            exp: now.plus(3_000),
            revoked: false,
        };
        let access = AccessToken {
            client_id: client.into(),
            sub: Some(sub.into()),
            scope: vec!["openid".into()],
            cnf: Binding::Certificate(Digest::of(b"a certificate")),
            acr: None,
            auth_time: Some(now),
            iat: now,
            exp: now.plus(300),
            refresh: None,
            revoked: false,
        };
        let named = |what: &str| format!("{what} {client} {sub}");
        let (asked, refreshed, given) = (named("request"), named("refresh"), named("access"));
        self.put(vec![
            (Family::Grant, &asked, record(&grant), now.plus(900)),
            (Family::RefreshToken, &refreshed, record(&refresh), now.plus(3_000)),
            (Family::AccessToken, &given, record(&access), now.plus(300)),
        ]);
    }

    pub(crate) fn live(&self, more: &[&str]) -> Vec<(String, String, String)> {
        let listed: Value =
            serde_json::from_str(&self.done(&[&["grants", "list", "--json"], more].concat())).expect("JSON");
        let text = |grant: &Value, name: &str| grant[name].as_str().expect("a text").to_owned();
        let row = |grant: &Value| (text(grant, "kind"), text(grant, "client_id"), text(grant, "sub"));
        let mut rows: Vec<_> = listed["grants"].as_array().expect("a list").iter().map(row).collect();
        rows.sort();
        rows
    }
}

/// As the store writes it.
fn record(value: &impl Serialize) -> Vec<u8> {
    [b"1".to_vec(), serde_json::to_vec(value).expect("a plain struct")].concat()
}
