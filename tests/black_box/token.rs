//! [`Draft`]: a JWT in the making, right unless a test breaks it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::jose::keyring::SigningKey;
use josekit::jws::JwsSigner;
use serde_json::{Map, Value, json};

/// A JWT that can be broken in one place.
#[derive(Clone)]
pub(crate) struct Draft {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    key: SigningKey,
    raw_header: Option<String>,
    raw_claims: Option<String>,
    sign: fn(&SigningKey, &[u8]) -> Vec<u8>,
    mangle: fn(String) -> String,
}

impl Draft {
    /// A JWT of `claims`, signed by `key` under its own algorithm and kid.
    pub(crate) fn new(claims: Value, key: SigningKey) -> Self {
        let object = |value: Value| value.as_object().expect("an object").clone();
        let header = object(json!({"alg": key.alg().name(), "kid": key.key_id()}));
        let sign = |key: &SigningKey, message: &[u8]| JwsSigner::sign(key, message).expect("signs");
        Self { header, claims: object(claims), key, raw_header: None, raw_claims: None, sign, mangle: |token| token }
    }

    /// With this claim.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Without this claim.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// With this header member.
    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.into(), value.into());
        self
    }

    /// Without this header member.
    pub(crate) fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// With this text as the header, JSON or not.
    pub(crate) fn raw_header(mut self, text: impl Into<String>) -> Self {
        self.raw_header = Some(text.into());
        self
    }

    /// With this text as the payload, JSON or not.
    pub(crate) fn raw_claims(mut self, text: impl Into<String>) -> Self {
        self.raw_claims = Some(text.into());
        self
    }

    /// Signed by another key, under that key's kid.
    pub(crate) fn signed_by(mut self, key: SigningKey) -> Self {
        self.header.insert("kid".into(), key.key_id().expect("it has one").into());
        self.key = key;
        self
    }

    /// Signed in another way.
    pub(crate) fn sign_with(mut self, sign: fn(&SigningKey, &[u8]) -> Vec<u8>) -> Self {
        self.sign = sign;
        self
    }

    /// With the finished token changed.
    pub(crate) fn mangled(mut self, mangle: fn(String) -> String) -> Self {
        self.mangle = mangle;
        self
    }

    /// The claims as they stand.
    pub(crate) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The token.
    pub(crate) fn finish(&self) -> String {
        let header = self.raw_header.clone().unwrap_or_else(|| Value::from(self.header.clone()).to_string());
        let claims = self.raw_claims.clone().unwrap_or_else(|| Value::from(self.claims.clone()).to_string());
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = (self.sign)(&self.key, message.as_bytes());
        (self.mangle)(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The payload of `token`, unverified.
pub(crate) fn payload(token: &str) -> Value {
    part(token, 1)
}

/// The header of `token`.
pub(crate) fn header(token: &str) -> Value {
    part(token, 0)
}

fn part(token: &str, at: usize) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(at).expect("three parts")).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}
