//! The suite's configuration of one plan, and what the server has to know of the same clients.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::clients::{Client, Pair};
use crate::fault::Fault;
use crate::plan::{Auth, Ecosystem, Mode, Plan, Registration};

/// What the suite is to know of a server and of the bank beside it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) issuer: String,
    /// With `{auth_req_id}` and `{action}` left in it. Without one, somebody has to approve by hand.
    pub(crate) approval_url: Option<String>,
    /// What a plain plan calls with its token.
    pub(crate) resource_url: String,
    /// What lies below it is called in a plan of Open Banking UK. Ends with a slash.
    pub(crate) open_banking_url: String,
    /// What registration costs, if anything.
    pub(crate) initial_access_token: Option<String>,
    /// Whom each plan asks; where there is none, a user of the sandbox bank for each.
    pub(crate) user: Option<String>,
    /// The `acr` that the bank reports, which the second client asks for.
    pub(crate) acr: String,
    /// What the suite's own addresses begin with where a client's notification endpoint has to be known beforehand.
    pub(crate) alias: String,
}

impl Target {
    /// What `plan` calls with its tokens.
    pub(crate) fn resource_url(&self, plan: Plan) -> &str {
        match plan.ecosystem {
            Ecosystem::Plain => &self.resource_url,
            Ecosystem::OpenBankingUk => &self.open_banking_url,
        }
    }
}

/// The configuration of `plan`, whose clients, if it is a static one, are among `clients`.
///
/// # Errors
/// There are no clients for it.
pub(crate) fn of(plan: Plan, target: &Target, clients: &BTreeMap<String, Pair>) -> Result<Value, Fault> {
    let mut configuration = json!({
        "description": plan.to_string(),
        "server": {"discoveryUrl": format!("{}/.well-known/openid-configuration", target.issuer)},
        "resource": {"resourceUrl": target.resource_url(plan), "institution_id": "sandbox-bank"},
    });
    let whole = configuration.as_object_mut().expect("it was made one");
    if let Some(url) = &target.approval_url {
        whole.insert("automated_ciba_approval_url".into(), url.as_str().into());
    }
    let pair = match plan.registration {
        Registration::Static => {
            let none = || format!("there are no clients for {plan}: the list of clients has no table of that name");
            Some(clients.get(&plan.to_string()).ok_or_else(none)?)
        }
        Registration::Dynamic => None,
    };
    for (at, name) in ["client", "client2"].into_iter().enumerate() {
        let mut client = Map::new();
        client.insert("scope".into(), pair.map_or("openid accounts", |pair| &pair[at].scope).into());
        client.insert("hint_type".into(), "login_hint".into());
        client.insert("hint_value".into(), user(plan, target).into());
        client.insert("acr_value".into(), target.acr.as_str().into());
        match pair.map(|pair| &pair[at]) {
            Some(Client { client_id, jwks, .. }) => {
                client.insert("client_id".into(), client_id.as_str().into());
                client.insert("jwks".into(), jwks.clone());
            }
            None => {
                client.insert("client_name".into(), format!("{plan} {name}").into());
            }
        }
        if let Some(token) = &target.initial_access_token {
            client.insert("initial_access_token".into(), token.as_str().into());
        }
        whole.insert(name.into(), client.into());
    }
    if let Some([one, two]) = pair {
        whole.insert("mtls".into(), json!({"cert": one.certificate, "key": one.key}));
        whole.insert("mtls2".into(), json!({"cert": two.certificate, "key": two.key}));
        if plan.mode == Mode::Ping {
            whole.insert("alias".into(), alias(plan, target).into());
        }
    }
    Ok(configuration)
}

/// A user for each plan, so that no limit for each user is met.
fn user(plan: Plan, target: &Target) -> String {
    let at = Plan::all().iter().position(|other| *other == plan).unwrap_or_default();
    target.user.clone().unwrap_or_else(|| format!("user-{:02}", at + 1))
}

fn alias(plan: Plan, target: &Target) -> String {
    format!("{}-{plan}", target.alias)
}

/// Where the suite at `suite` hears the pings for static clients of `plan`.
pub(crate) fn notification_endpoint(plan: Plan, target: &Target, suite: &str) -> String {
    let suite = suite.trim_end_matches('/');
    format!("{suite}/test/a/{}/ciba-notification-endpoint", alias(plan, target))
}

/// A `[[clients]]` entry for `client` of `plan`: the members of RFC 7591 and CIBA §4, as deploy/server.toml explains them. `jwks` is the file with its public keys.
pub(crate) fn entry(plan: Plan, client: &Client, (jwks, notified_at): (&str, &str)) -> String {
    let alg = client.jwks["keys"][0]["alg"].as_str().unwrap_or("PS256");
    let mut entry = format!("[[clients]]\nclient_id = {:?}\nclient_name = {:?}\n", client.client_id, client.client_id);
    let mut line = |key: &str, value: &str| writeln!(entry, "{key} = {value:?}").expect("a string has room");
    line("jwks", jwks);
    match plan.auth {
        Auth::PrivateKeyJwt => {
            line("token_endpoint_auth_method", "private_key_jwt");
            line("token_endpoint_auth_signing_alg", alg);
        }
        Auth::Mtls => match &client.tls_client_auth_san_dns {
            Some(name) => {
                line("token_endpoint_auth_method", "tls_client_auth");
                line("tls_client_auth_san_dns", name);
            }
            None => line("token_endpoint_auth_method", "self_signed_tls_client_auth"),
        },
    }
    line("backchannel_authentication_request_signing_alg", alg);
    line("id_token_signed_response_alg", "PS256");
    match plan.mode {
        Mode::Poll => line("backchannel_token_delivery_mode", "poll"),
        Mode::Ping => {
            line("backchannel_token_delivery_mode", "ping");
            line("backchannel_client_notification_endpoint", notified_at);
        }
    }
    line("scope", &client.scope);
    let grants = match plan.ecosystem {
        Ecosystem::Plain => r#"["urn:openid:params:grant-type:ciba", "refresh_token"]"#,
        Ecosystem::OpenBankingUk => r#"["urn:openid:params:grant-type:ciba", "refresh_token", "client_credentials"]"#,
    };
    writeln!(entry, "grant_types = {grants}").expect("a string has room");
    entry
}
