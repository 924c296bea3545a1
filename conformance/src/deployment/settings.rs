//! The configuration files of a deployment's servers, as deploy/server.toml explains them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use countersign::secret::{Secret, System};

use crate::clients::{AUTHORITY, Client, Pair};
use crate::configuration::{Target, entry, notification_endpoint};
use crate::deployment::{ACR, Store, Wanted};
use crate::fault::Fault;
use crate::place::{write, write_secret};
use crate::plan::Plan;
use crate::suite::trust::Vouched;

/// Where one server listens, on loopback.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub(super) public: u16,
    pub(super) internal: u16,
}

/// What the servers are to be told.
pub(super) struct Settings<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) target: &'a Target,
    pub(super) clients: &'a BTreeMap<String, Pair>,
    pub(super) bank: &'a str,
}

impl Settings<'_> {
    /// Writes everything into the folder, a configuration for each of `ports`.
    pub(super) fn write(&self, ports: &[Ports]) -> Result<Vec<PathBuf>, Fault> {
        let folder = &self.wanted.folder;
        write_secret(&folder.join("initial.tokens"), self.target.initial_access_token.as_deref().unwrap_or_default())?;
        write_secret(&folder.join("sealing.key"), Secret::draw(&System).reveal())?;
        let mut trust = fs::read_to_string(folder.join("certs/ca.pem"))?;
        trust.extend(self.wanted.vouched.as_ref().and_then(Vouched::pem));
        write(&folder.join("client-endpoints.pem"), &trust)?;
        let shared = self.shared()?;
        let mut written = Vec::new();
        for (at, ports) in ports.iter().enumerate() {
            let path = folder.join(format!("server-{}.toml", at + 1));
            write(&path, &format!("{}{shared}", self.own(*ports)))?;
            written.push(path);
        }
        Ok(written)
    }

    fn own(&self, ports: Ports) -> String {
        format!(
            r#"mode = "development"
[server]
issuer = "{}"
listen = "127.0.0.1:{}"
internal_listen = "127.0.0.1:{}"
profile = "{}"
scopes_supported = ["openid", "accounts"]
acr_values_supported = ["{ACR}"]
"#,
            self.target.issuer,
            ports.public,
            ports.internal,
            self.wanted.ecosystem.profile()
        )
    }

    fn shared(&self) -> Result<String, Fault> {
        let mut text = format!(
            r#"[tls]
p256_certificate = "certs/server-p256.pem"
p256_key = "certs/server-p256.key"
rsa_certificate = "certs/server-rsa.pem"
rsa_key = "certs/server-rsa.key"
[client_certificates]
authorities = "clients/{AUTHORITY}"
# Everybody comes from loopback.
[limits]
connections = 1024
connections_per_address = 1024
[keys]
folder = "certs/keys"
[client_endpoints]
trust = "client-endpoints.pem"
loopback = true
[registration]
mode = "initial_access_token"
initial_access_tokens = "initial.tokens"
[bank]
url = "{}"
trust = "certs/ca.pem"
certificate = "certs/countersign.pem"
key = "certs/countersign.key"
decision_certificates = ["certs/bank.pem"]
[log]
format = "pretty"
level = "info"
[[resource_servers]]
client_id = "accounts-api"
client_name = "The sandbox bank's API"
jwks = "certs/accounts-api.jwks.json"
token_endpoint_auth_method = "private_key_jwt"
token_endpoint_auth_signing_alg = "ES256"
scope = "accounts"
"#,
            self.bank
        );
        text.push_str(&self.store());
        for plan in &self.wanted.plans {
            for client in self.clients.get(&plan.to_string()).into_iter().flatten() {
                text.push_str(&self.client(*plan, client)?);
            }
        }
        Ok(text)
    }

    /// A prefix of its own, so that what another run left behind is nothing to this one.
    fn store(&self) -> String {
        match &self.wanted.store {
            Store::Memory => "[store]\nkind = \"memory\"\ncapacity = 200000\n".to_owned(),
            Store::Redis(address) => {
                let drawn = Secret::draw(&System);
                let prefix = format!("conformance-{}", drawn.reveal().get(..12).unwrap_or_default());
                format!(
                    "[store]\nkind = \"redis\"\ntopology = \"standalone\"\naddresses = [\"{address}\"]\nprefix = \"{prefix}\"\nsealing_key = \"sealing.key\"\n"
                )
            }
        }
    }

    fn client(&self, plan: Plan, client: &Client) -> Result<String, Fault> {
        let jwks = format!("clients/{}.jwks.json", client.client_id);
        write(&self.wanted.folder.join(&jwks), &format!("{:#}\n", client.public_jwks()?))?;
        let notified_at = notification_endpoint(plan, self.target, &self.wanted.suite);
        Ok(entry(plan, client, (&jwks, &notified_at)))
    }
}
