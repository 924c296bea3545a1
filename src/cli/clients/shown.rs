//! How clients are shown: a table for people, JSON for scripts.

use serde_json::{Value, json};

use crate::cli::shown::{aligned, date};
use crate::profile::Profile;
use crate::profile::client::{Ciba, Client, Delivery, Role};
use crate::profile::enrolled::Enrolled;
use crate::profile::enrolment::{self, Unfit};
use crate::profile::registration::completed;
use crate::wire::json::Object;

/// A client, wherever it is registered.
pub(super) enum Known {
    /// In the configuration, with these members; in service or not.
    Configured(Client, Object, bool),
    /// In the store.
    Enrolled(Enrolled),
}

impl Known {
    pub(super) fn client_id(&self) -> &str {
        match self {
            Self::Configured(client, ..) => &client.client_id,
            Self::Enrolled(enrolled) => &enrolled.client_id,
        }
    }

    /// `in service`, `disabled`, or why the rules of today let it do nothing.
    fn state(&self, profile: &Profile) -> String {
        match self {
            Self::Configured(.., true) => "in service".to_owned(),
            Self::Configured(.., false) | Self::Enrolled(Enrolled { disabled: true, .. }) => "disabled".to_owned(),
            Self::Enrolled(enrolled) => match enrolment::ciba(&enrolled.client_id, &enrolled.members, profile) {
                Ok(_) => "in service".to_owned(),
                Err(unfit) => format!("refused: {}", unfit.first().map_or("", |Unfit { member, .. }| member)),
            },
        }
    }

    fn row(&self, profile: &Profile) -> [String; 7] {
        let state = self.state(profile);
        match self {
            Self::Configured(client, ..) => [
                client.client_id.clone(),
                client.client_name.clone(),
                "configuration".to_owned(),
                state,
                client.authentication.method().name().to_owned(),
                mode(client).to_owned(),
                client.scope().join(" "),
            ],
            Self::Enrolled(enrolled) => {
                let text =
                    |name: &str| enrolled.members.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                [
                    enrolled.client_id.clone(),
                    text("client_name"),
                    format!("store, {}", date(enrolled.issued_at)),
                    state,
                    text("token_endpoint_auth_method"),
                    text("backchannel_token_delivery_mode"),
                    text("scope"),
                ]
            }
        }
    }

    /// For scripts. The registration is whole, with its public keys; one of the store can be imported elsewhere.
    pub(super) fn json(&self, profile: &Profile) -> Value {
        let [client_id, client_name, _, state, method, mode, scope] = self.row(profile);
        let mut shown = json!({
            "client_id": client_id, "client_name": client_name, "state": state,
            "token_endpoint_auth_method": method, "backchannel_token_delivery_mode": mode, "scope": scope,
        });
        match self {
            Self::Configured(client, members, _) => {
                shown["registered"] = "configuration".into();
                let members = match client.role {
                    // As it would be shown if it had registered itself: with what is left out and has a default.
                    Role::Ciba(_) => completed((members.clone(), &Object::new()), profile),
                    Role::ResourceServer { .. } => members.clone(),
                };
                shown["registration"] = json!({"client_id": client.client_id, "members": members});
            }
            Self::Enrolled(enrolled) => {
                shown["registered"] = "store".into();
                shown["registration"] = json!(enrolled);
            }
        }
        shown
    }
}

/// `poll`, `ping`, or what it is instead.
const fn mode(client: &Client) -> &'static str {
    match &client.role {
        Role::Ciba(Ciba { delivery: Delivery::Poll, .. }) => "poll",
        Role::Ciba(Ciba { delivery: Delivery::Ping(_), .. }) => "ping",
        Role::ResourceServer { .. } => "resource server",
    }
}

/// Every client in a row.
pub(super) fn table(clients: &[Known], profile: &Profile) -> String {
    let head = ["client_id", "name", "registered", "state", "authentication", "mode", "scope"].map(str::to_owned);
    let rows: Vec<[String; 7]> =
        std::iter::once(head).chain(clients.iter().map(|client| client.row(profile))).collect();
    aligned(&rows)
}
