//! [`Profile`]: the rules of one ecosystem as data, at least as strict as the [`floor`]. The heart of the house.

pub mod assertion;
pub mod backchannel;
pub mod client;
pub mod client_auth;
pub mod client_credentials;
pub mod decision;
pub mod enrolled;
pub mod enrolment;
pub mod exchange;
pub mod floor;
pub mod gate;
pub mod hint;
pub mod inspection;
pub mod issuer;
pub mod management;
pub mod members;
pub mod nonce;
pub mod once;
pub mod plain;
mod proof;
pub mod redemption;
pub mod refresh;
pub mod registration;
pub mod request_object;
pub mod resource;
pub mod revocation;
pub mod scope;
pub mod sender;
pub mod standing;
pub mod subject;
pub mod verified;
pub mod vouchers;

use serde::Deserialize;

use crate::clock::Timestamp;
use crate::jose::alg::Alg;
use crate::profile::floor::{Undercut, undercut};
use crate::profile::issuer::Issuer;

/// The profile that is compiled in, so that a bare binary serves.
pub const FAPI_CIBA_ID1: &str = include_str!("../../profiles/fapi-ciba-id1.toml");

/// The other profiles that are compiled in.
pub const OPEN_BANKING_UK: &str = include_str!("../../profiles/open-banking-uk.toml");

/// How a client authenticates (FAPI 1.0 part 2 §5.2.2-14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// OpenID Connect Core §9, RFC 7523.
    PrivateKeyJwt,
    /// RFC 8705 §2.1.
    TlsClientAuth,
    /// RFC 8705 §2.2.
    SelfSignedTlsClientAuth,
}

impl Method {
    /// All of them, in the order in which they are published.
    pub const ALL: [Self; 3] = [Self::PrivateKeyJwt, Self::TlsClientAuth, Self::SelfSignedTlsClientAuth];

    /// Reads the registered name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
        }
    }
}

/// How a client learns the outcome (CIBA §5). There is no variant for push: FAPI-CIBA-ID1 §5.2.2-3 forbids it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryMode {
    /// The client asks the token endpoint until there is an answer.
    Poll,
    /// The client is told that there is an answer, and asks for it.
    Ping,
}

impl DeliveryMode {
    /// Both, in the order in which they are published.
    pub const ALL: [Self; 2] = [Self::Poll, Self::Ping];

    /// Reads the registered name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Ping => "ping",
        }
    }
}

/// What the access tokens of a client are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundBy {
    /// `tls_client_certificate_bound_access_tokens`: the certificate of the token request (RFC 8705 §3).
    Certificate,
    /// `dpop_bound_access_tokens`: the key of the proof at the token request (RFC 9449 §5).
    Dpop,
}

impl BoundBy {
    /// Both, in the order in which profiles name them.
    pub const ALL: [Self; 2] = [Self::Certificate, Self::Dpop];

    /// What a profile calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Dpop => "dpop",
        }
    }

    /// Reads what a profile says.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// The rules in force: what the file says, checked against the floor, and the one issuer they are in force for.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    data: Data,
    algorithms: Vec<Alg>,
    methods: Vec<Method>,
    delivery_modes: Vec<DeliveryMode>,
    issuer: Issuer,
}

impl Profile {
    /// Reads a profile file for `issuer`.
    ///
    /// # Errors
    /// Every way in which the file is not a profile or undercuts the floor, one [`Undercut`] each.
    pub fn load(text: &str, issuer: Issuer) -> Result<Self, Vec<Undercut>> {
        let data: Data = toml::from_str(text).map_err(|error| {
            let says = error.to_string().trim_end().to_owned();
            vec![Undercut { clause: "profile", says: format!("the file is not a profile: {says}") }]
        })?;
        let undercuts = undercut(&data);
        if !undercuts.is_empty() {
            return Err(undercuts);
        }
        Ok(Self {
            algorithms: data.algorithms.iter().filter_map(|name| Alg::parse(name)).collect(),
            methods: data.client_authentication.methods.iter().filter_map(|name| Method::parse(name)).collect(),
            delivery_modes: data
                .authentication_request
                .delivery_modes
                .iter()
                .filter_map(|name| DeliveryMode::parse(name))
                .collect(),
            data,
            issuer,
        })
    }

    /// The rules that are plain numbers, words and switches.
    pub const fn rules(&self) -> &Data {
        &self.data
    }

    /// Whether `time`, if given, is at most the leeway ahead of `now`.
    pub fn allows(&self, time: Option<Timestamp>, now: Timestamp) -> bool {
        time.is_none_or(|time| time <= now.plus(self.data.clock.leeway))
    }

    /// The signature algorithms in force.
    pub fn algorithms(&self) -> &[Alg] {
        &self.algorithms
    }

    /// Those of them that this deployment has keys for: what it signs with.
    pub fn signing(&self) -> Vec<Alg> {
        let offered = self.issuer.offer.signs_with.iter().copied();
        offered.filter(|alg| self.algorithms.contains(alg)).collect()
    }

    /// The client authentication methods in force.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// Whether access tokens may be bound by that.
    pub fn binds(&self, by: BoundBy) -> bool {
        self.data.sender_constraint.methods.iter().any(|name| name == by.name())
    }

    /// The kinds of hints in force: those of the profile that this deployment can make something of.
    pub fn hints(&self) -> impl Iterator<Item = &str> {
        let believed = self.issuer.offer.login_hint_token;
        let hints = self.data.authentication_request.hints.iter().map(String::as_str);
        hints.filter(move |hint| *hint != "login_hint_token" || believed)
    }

    /// The delivery modes in force.
    pub fn delivery_modes(&self) -> &[DeliveryMode] {
        &self.delivery_modes
    }

    /// The one issuer the rules are in force for.
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }
}

/// A profile file, field by field. The comments are in `profiles/fapi-ciba-id1.toml`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each field is explained, with its clause, in profiles/fapi-ciba-id1.toml")]
pub struct Data {
    pub name: String,
    pub algorithms: Vec<String>,
    pub client_authentication: ClientAuthentication,
    pub request_object: RequestObject,
    pub clock: Clock,
    pub authentication_request: AuthenticationRequest,
    pub sender_constraint: SenderConstraint,
    pub access_token: Lifetime,
    pub id_token: Lifetime,
    pub refresh_token: Lifetime,
    pub client_credentials: Option<ClientCredentials>,
}

/// `[client_authentication]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see Data")]
pub struct ClientAuthentication {
    pub methods: Vec<String>,
    pub assertion_audience: AssertionAudience,
    pub longest_assertion: u32,
}

/// Whom a client may address its assertion to.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum AssertionAudience {
    /// The issuer or one of its endpoints (CIBA §7.1).
    Endpoints,
    /// The issuer alone (RFC 10070).
    Issuer,
}

/// `[request_object]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see Data")]
pub struct RequestObject {
    pub longest_lifetime: u32,
    pub oldest: u32,
}

/// `[clock]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see Data")]
pub struct Clock {
    pub leeway: u32,
}

/// `[authentication_request]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see Data")]
pub struct AuthenticationRequest {
    pub delivery_modes: Vec<String>,
    pub hints: Vec<String>,
    pub binding_message_required: bool,
    pub longest_binding_message: u32,
    pub default_expiry: u32,
    pub longest_expiry: u32,
    pub interval: u32,
    pub oldest_id_token_hint: u32,
    pub longest_login_hint_token: u32,
}

/// `[sender_constraint]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see Data")]
pub struct SenderConstraint {
    pub methods: Vec<String>,
    pub dpop_nonce: DpopNonce,
}

/// Whether a DPoP proof has to carry a nonce of this server (RFC 9449 §8).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum DpopNonce {
    /// There are none.
    Off,
    /// A proof may have none, against §11.3; one that has one has to have a good one.
    Lenient,
    /// It has to.
    Required,
}

/// `[access_token]`, `[id_token]`, `[refresh_token]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see Data")]
pub struct Lifetime {
    pub lifetime: u32,
}

/// `[client_credentials]`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see Data; the comments are in profiles/open-banking-uk.toml")]
pub struct ClientCredentials {
    pub scopes: Vec<String>,
}
