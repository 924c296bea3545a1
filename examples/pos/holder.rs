//! [`Holder`]: whoever holds the key that a token is bound to, and the DPoP proofs that show it (RFC 9449 §4.2). [`Binding`] is the choice a client has.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::clock::{self, Clock};
use countersign::jose::keyring::SigningKey;
use countersign::secret::{self, Secret};
use josekit::jws::JwsSigner;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

use crate::story::Told;

/// What a token is bound to.
#[derive(Clone, Copy)]
pub(crate) enum Binding {
    /// RFC 8705 §3: the certificate of the connection that it was fetched on.
    Certificate,
    /// RFC 9449 §5: a key that the client has made for itself.
    Key,
}

impl Binding {
    /// It, in a word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
        }
    }
}

/// A DPoP proof, and what is in it (RFC 9449 §4.2).
pub(crate) struct Proof {
    pub(crate) jwt: Secret,
    pub(crate) claims: Value,
}

/// A key that never leaves its owner.
#[derive(Clone)]
pub(crate) struct Holder(SigningKey);

impl Holder {
    /// With a key that nobody has had before.
    pub(crate) fn fresh() -> Told<Self> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        Ok(Self(SigningKey::from_pkcs8(&pair.serialize_der())?))
    }

    /// That who makes this call holds the key: perhaps with `token`, and with the `nonce` of whoever is called, if they gave one.
    pub(crate) fn prove(
        &self,
        (method, url): (&str, &str),
        (token, nonce): (Option<&Secret>, Option<String>),
    ) -> Told<Proof> {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.0.public() });
        let jti = Secret::draw(&secret::System);
        let iat = clock::System.now().seconds();
        let mut claims = json!({ "jti": jti.reveal(), "htm": method, "htu": url, "iat": iat });
        if let Some(token) = token {
            claims["ath"] = token.digest().to_string().into();
        }
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        let signed = [&header, &claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = JwsSigner::sign(&self.0, signed.as_bytes())?;
        Ok(Proof { jwt: Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))), claims })
    }
}
