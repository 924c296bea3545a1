//! [`Management`] and [`Replacement`]: a client looks after its own registration (RFC 7592 §2), by the token that it got with it.

use serde_json::Value;

use crate::error::{Reason, Rejection};
use crate::profile::enrolled::Enrolled;
use crate::profile::enrolment;
use crate::profile::gate::{Gate, Request, malformed};
use crate::profile::once::Unspent;
use crate::profile::registration::{Registration, stated};
use crate::profile::verified::{Governed, Rule, Verified};
use crate::secret::Secret;
use crate::wire::inbound::Inbound;
use crate::wire::json::Object;

/// RFC 7592 §2.2: what a client never says of itself.
const OURS: [&str; 5] = [
    "registration_access_token",
    "registration_client_uri",
    "client_id_issued_at",
    "client_secret_expires_at",
    "client_secret",
];

/// A registered client and the token that shows it is itself that asks.
pub struct Management {
    enrolled: Enrolled,
    token: Secret,
}

impl Governed for Management {
    const RULES: &'static [Rule<Self>] = &[Rule {
        clause: "DCR-7592-2",
        reason: Reason::InvalidToken,
        says: "the registration access token is another client's",
        holds: |m, _, _| m.token.digest() == m.enrolled.token,
    }];

    fn client_id(&self) -> Option<&str> {
        Some(&self.enrolled.client_id)
    }
}

impl Request for Management {
    /// Unknown, deleted and foreign clients get the same answer.
    async fn read(gate: &Gate, inbound: Inbound, _: &Unspent) -> Result<Self, Rejection> {
        let refused = |cause| Rejection::new(Reason::InvalidToken, "DCR-7592-3", cause);
        let none = || Rejection::new(Reason::MissingToken, "DCR-7592-2", "there is no registration access token");
        let token = inbound.bearer().ok_or_else(none)?;
        let enrolled = gate.clients.enrolled(&inbound.place).await?.ok_or_else(|| refused("no such client"))?;
        Ok(Self { enrolled, token: Secret::new(token.reveal().to_owned()) })
    }
}

/// What a handler may rely on: these exist on a verified request alone.
impl Verified<Management> {
    /// The registration.
    pub fn enrolled(&self) -> &Enrolled {
        &self.request().enrolled
    }

    /// The token it was asked for with.
    pub fn token(&self) -> &Secret {
        &self.request().token
    }
}

/// A whole new set of metadata for a registered client (RFC 7592 §2.2).
pub struct Replacement {
    of: Verified<Management>,
    /// The sector it has been in.
    sector: Option<String>,
    given: Given,
    with: Registration,
}

/// What the client says about things that are not its to change.
struct Given {
    client_id: Option<String>,
    ours: bool,
}

impl Governed for Replacement {
    const RULES: &'static [Rule<Self>] = &[
        Rule {
            clause: "DCR-7592-6",
            reason: Reason::InvalidClientMetadata,
            says: "client_id is missing or another's, or the client says what is not its to say",
            holds: |r, _, _| r.given.client_id.as_ref() == Some(&r.of.enrolled().client_id) && !r.given.ours,
        },
        Rule {
            clause: "DCR-7592-7",
            reason: Reason::InvalidClientMetadata,
            says: "the client would have more than it first registered",
            holds: |r, _, _| {
                let (now, first) = (&r.with.members, &r.of.enrolled().first);
                words(now, "scope").iter().all(|scope| words(first, "scope").contains(scope))
                    && words(now, "grant_types").iter().all(|grant| words(first, "grant_types").contains(grant))
            },
        },
        Rule {
            clause: "OIDC-12.2",
            reason: Reason::InvalidClientMetadata,
            says: "the client would know its users by other names",
            holds: |r, _, _| r.with.sector == r.sector,
        },
        Rule {
            clause: "DCR-7591-13",
            reason: Reason::InvalidClientMetadata,
            says: "the client would be other than its software statement says",
            holds: |r, _, _| r.of.enrolled().stated.iter().all(|(name, value)| r.with.members.get(name) == Some(value)),
        },
    ];

    fn client_id(&self) -> Option<&str> {
        self.of.client_id()
    }
}

impl Request for Replacement {
    async fn read(gate: &Gate, mut inbound: Inbound, unspent: &Unspent) -> Result<Self, Rejection> {
        let given = inbound.json();
        inbound.body.clear();
        let of = gate.hold(Management::read(gate, inbound, unspent).await?)?;
        let by = of.enrolled().client_id.clone();
        Self::parse(gate, of, given.map_err(malformed(Reason::InvalidClientMetadata, "DCR-7592-6"))?)
            .await
            .map_err(|refusal| refusal.by(&by))
    }
}

impl Replacement {
    async fn parse(gate: &Gate, of: Verified<Management>, mut given: Object) -> Result<Self, Rejection> {
        let said = Given {
            client_id: given.get("client_id").and_then(Value::as_str).map(str::to_owned),
            ours: OURS.iter().any(|name| given.contains_key(*name)),
        };
        let first = &of.enrolled().first;
        given.entry("scope").or_insert_with(|| first.get("scope").cloned().unwrap_or_default());
        // Whoever was vouched for stays so, without showing the statement again and with the same one when it has expired; another may say more.
        let Enrolled { members: before, stated: vouched, .. } = of.enrolled();
        let stated = match (before.get("software_statement"), given.get("software_statement")) {
            (Some(statement), None) => {
                given.insert("software_statement".into(), statement.clone());
                Object::new()
            }
            (Some(statement), Some(again)) if statement == again => vouched.clone(),
            _ => stated(gate, &given)?,
        };
        let now = enrolment::ciba("", before, &gate.profile).ok();
        let sector = now.and_then(|client| client.ciba().and_then(|ciba| ciba.sector.clone()));
        Ok(Self { given: said, sector, with: Registration::of(gate, (given, stated)).await?, of })
    }
}

impl Verified<Replacement> {
    /// The registration as it shall be, and the token it was asked for with.
    pub fn into_enrolled(self) -> (Enrolled, Secret) {
        let Replacement { of, with, .. } = self.into_request();
        let Management { enrolled, token } = of.into_request();
        let stated = enrolled.stated.into_iter().chain(with.stated).collect();
        (Enrolled { members: with.members, stated, ..enrolled }, token)
    }
}

/// The words of a space-separated text, or of a list.
fn words<'a>(members: &'a Object, name: &str) -> Vec<&'a str> {
    match members.get(name) {
        Some(Value::String(text)) => text.split(' ').collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
