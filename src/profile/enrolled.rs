//! [`Enrolled`]: a client that registered itself, as it is kept; and [`Registrars`]: who may do that.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::profile::vouchers::Vouchers;
use crate::secret::Digest;
use crate::wire::json::Object;

/// Who may register clients.
#[derive(Clone, Debug)]
pub enum Registrars {
    /// Nobody.
    Closed,
    /// Anybody. For development.
    Open,
    /// Who has one of these initial access tokens (RFC 7591 §3).
    Holders(Vec<Digest>),
    /// Who brings a software statement by one of these issuers, whose keys these are (RFC 7591 §2.3).
    Vouched(Vouchers),
}

/// A client as it was registered. The registration access token is kept as a digest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enrolled {
    /// `client_id`.
    pub client_id: String,
    /// `client_id_issued_at`.
    pub issued_at: Timestamp,
    /// SHA-256 of `registration_access_token`.
    pub token: Digest,
    /// The metadata in force.
    pub members: Object,
    /// The `scope` and `grant_types` it first registered: never will it have more.
    pub first: Object,
    /// What its software statement says: never will that be otherwise.
    pub stated: Object,
    /// Taken out of service by the operator: it is as unknown as one that was deleted, until it is taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
}

impl Enrolled {
    /// A new registration of `members`, of which a software statement says what was `stated`; `token` is that of the registration access token.
    pub fn new(client_id: String, token: Digest, (members, stated): (Object, Object), issued_at: Timestamp) -> Self {
        let of = |name: &&str| Some(((*name).to_owned(), members.get(*name)?.clone()));
        let first = ["scope", "grant_types"].iter().filter_map(of).collect();
        Self { client_id, issued_at, token, first, members, stated, disabled: false }
    }
}
