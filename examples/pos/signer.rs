//! [`Signer`]: a client's private key, and the JWTs it makes: client assertions and request objects.

use std::path::Path;

use countersign::clock::{self, Clock};
use countersign::jose::keyring::SigningKey;
use countersign::secret::{self, Secret};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::story::Told;

/// How long what is signed here is good for, in seconds: long enough to arrive.
pub(crate) const LIFETIME: u32 = 60;

/// RFC 7523 §2.2.
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client and one of its keys.
pub(crate) struct Signer {
    client_id: &'static str,
    key: SigningKey,
}

impl Signer {
    /// The key in the PEM file at `path`. What kind of key it is decides the algorithm: P-256 makes ES256, RSA makes PS256.
    pub(crate) fn new(client_id: &'static str, path: &Path) -> Told<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_file(path)?;
        Ok(Self { client_id, key: SigningKey::from_pkcs8(der.secret_pkcs8_der())? })
    }

    /// Whose key it is.
    pub(crate) const fn client_id(&self) -> &'static str {
        self.client_id
    }

    /// RFC 7523 §3: who I am, said to `audience` alone, good once and for a minute.
    pub(crate) fn assertion(&self, audience: &str) -> Told<Secret> {
        self.sign("client-authentication+jwt", audience, json!({ "sub": self.client_id }))
    }

    /// CIBA §7.1.1: `parameters` as a signed request object.
    pub(crate) fn request_object(&self, audience: &str, parameters: Value) -> Told<Secret> {
        self.sign("oauth-authz-req+jwt", audience, parameters)
    }

    fn sign(&self, typ: &str, audience: &str, mut claims: Value) -> Told<Secret> {
        let now = clock::System.now();
        claims["iss"] = self.client_id.into();
        claims["aud"] = audience.into();
        claims["jti"] = Secret::draw(&secret::System).reveal().into();
        claims["iat"] = now.seconds().into();
        claims["nbf"] = now.seconds().into();
        claims["exp"] = now.plus(LIFETIME).seconds().into();
        Ok(self.key.sign(typ, &claims)?)
    }
}
