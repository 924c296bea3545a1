//! [`Client`]: a registered client, as the profile sees it (RFC 7591 §2, CIBA §4).

use std::fmt;
use std::sync::Arc;

use crate::jose::alg::Alg;
use crate::jose::jwk::KeySet;
use crate::profile::subject::Subject;
use crate::profile::{BoundBy, Method};

/// RFC 6749 §6.
pub const REFRESH_GRANT: &str = "refresh_token";

/// RFC 6749 §4.4.
pub const CLIENT_CREDENTIALS_GRANT: &str = "client_credentials";

/// The CIBA grant (CIBA §4).
pub const CIBA_GRANT: &str = "urn:openid:params:grant-type:ciba";

/// A registered client. What it may do is what its registration says.
#[derive(Clone)]
pub struct Client {
    /// `client_id`: 1–256 visible ASCII characters.
    pub client_id: String,
    /// `client_name`: how the person on the phone knows it.
    pub client_name: String,
    /// The keys it signs with, and the certificates it may show.
    pub keys: Keys,
    /// How it says who it is.
    pub authentication: Authentication,
    /// What it may do.
    pub role: Role,
}

/// Where a client's keys are.
#[derive(Clone, Debug)]
pub enum Keys {
    /// `jwks`: they came with the registration.
    Here(Arc<KeySet>),
    /// `jwks_uri`: the client publishes them.
    At(String),
}

/// The one way in which a client authenticates: `token_endpoint_auth_method`, and what it is held against.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// By an assertion under `token_endpoint_auth_signing_alg`.
    PrivateKeyJwt(Alg),
    /// RFC 8705 §2.1: by a certificate that a configured authority vouches for, for this subject.
    TlsClientAuth(Subject),
    /// RFC 8705 §2.2: by one of the certificates in its `jwks`.
    SelfSignedTlsClientAuth,
}

impl Authentication {
    /// The method, by which a profile allows or refuses it.
    pub const fn method(&self) -> Method {
        match self {
            Self::PrivateKeyJwt(_) => Method::PrivateKeyJwt,
            Self::TlsClientAuth(_) => Method::TlsClientAuth,
            Self::SelfSignedTlsClientAuth => Method::SelfSignedTlsClientAuth,
        }
    }
}

/// What a client is registered for.
#[derive(Clone, Debug)]
pub enum Role {
    /// It asks for authentication: a till, a call centre, a terminal.
    Ciba(Ciba),
    /// It is an API that asks about tokens (RFC 7662 §2.1).
    ResourceServer {
        /// The scopes that concern it. It sees no token without one of them, and no other scope of those it sees.
        scope: Vec<String>,
    },
}

/// The registration of a client that asks for authentication (CIBA §4).
#[derive(Clone, Debug)]
pub struct Ciba {
    /// `backchannel_authentication_request_signing_alg`.
    pub backchannel_authentication_request_signing_alg: Alg,
    /// `id_token_signed_response_alg`.
    pub id_token_signed_response_alg: Alg,
    /// `backchannel_token_delivery_mode`, and what goes with it.
    pub delivery: Delivery,
    /// `backchannel_user_code_parameter`: it may send the user's code.
    pub user_code: bool,
    /// Whether `grant_types` has `refresh_token`.
    pub refreshes: bool,
    /// Whether `grant_types` has `client_credentials`.
    pub client_credentials: bool,
    /// `subject_type`, and the sector of a pairwise one: who is known to this client by which name.
    pub sector: Option<String>,
    /// `scope`: what it may ask for.
    pub scope: Vec<String>,
    /// What its access tokens are bound to.
    pub bound_by: BoundBy,
}

/// How the client learns the outcome (CIBA §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It asks until there is one.
    Poll,
    /// It is told at this `backchannel_client_notification_endpoint` that there is one.
    Ping(String),
}

impl Client {
    /// What it is registered for at the backchannel, if that is what it is for.
    pub const fn ciba(&self) -> Option<&Ciba> {
        match &self.role {
            Role::Ciba(ciba) => Some(ciba),
            Role::ResourceServer { .. } => None,
        }
    }

    /// Whether it may ask about tokens.
    pub const fn may_introspect(&self) -> bool {
        matches!(self.role, Role::ResourceServer { .. })
    }

    /// The scopes it is registered for.
    pub fn scope(&self) -> &[String] {
        match &self.role {
            Role::Ciba(Ciba { scope, .. }) | Role::ResourceServer { scope } => scope,
        }
    }

    /// Whether it is registered for all of `scope`, still.
    pub fn may_have(&self, scope: &[String]) -> bool {
        scope.iter().all(|scope| self.scope().contains(scope))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.client_id)
    }
}
