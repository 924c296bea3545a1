//! [`Client`]: a registered client, as the profile sees it (RFC 7591 §2, CIBA §4).

use std::fmt;

use crate::jose::alg::Alg;
use crate::jose::jwk::KeySet;
use crate::profile::subject::Subject;
use crate::profile::{DeliveryMode, Method};

/// The CIBA grant (CIBA §4).
pub const CIBA_GRANT: &str = "urn:openid:params:grant-type:ciba";

/// A registered client. What it may do is what its registration says.
#[derive(Clone)]
pub struct Client {
    /// `client_id`: 1–256 visible ASCII characters.
    pub client_id: String,
    /// `client_name`: how the person on the phone knows it.
    pub client_name: String,
    /// `jwks`: the keys it signs with, and the certificates it may show.
    pub jwks: KeySet,
    /// How it says who it is.
    pub authentication: Authentication,
    /// What it may do.
    pub role: Role,
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
    Ciba {
        /// `backchannel_authentication_request_signing_alg`.
        backchannel_authentication_request_signing_alg: Alg,
        /// `id_token_signed_response_alg`.
        id_token_signed_response_alg: Alg,
        /// `backchannel_token_delivery_mode`.
        backchannel_token_delivery_mode: DeliveryMode,
        /// `scope`: what it may ask for.
        scope: Vec<String>,
    },
    /// It is an API that asks about tokens (RFC 7662 §2.1).
    ResourceServer {
        /// The scopes that concern it. It sees no token without one of them, and no other scope of those it sees.
        scope: Vec<String>,
    },
}

impl Client {
    /// Whether the client is registered for the CIBA grant.
    pub const fn has_ciba_grant(&self) -> bool {
        matches!(self.role, Role::Ciba { .. })
    }

    /// Whether it may ask about tokens.
    pub const fn may_introspect(&self) -> bool {
        matches!(self.role, Role::ResourceServer { .. })
    }

    /// The scopes it is registered for.
    pub fn scope(&self) -> &[String] {
        match &self.role {
            Role::Ciba { scope, .. } | Role::ResourceServer { scope } => scope,
        }
    }

    /// The algorithm it registered for request objects; one that only asks about tokens has none.
    pub const fn request_object_alg(&self) -> Option<Alg> {
        match self.role {
            Role::Ciba { backchannel_authentication_request_signing_alg: alg, .. } => Some(alg),
            Role::ResourceServer { .. } => None,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.client_id)
    }
}
