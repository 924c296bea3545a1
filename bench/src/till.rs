//! [`Till`]: one client, and the calls it makes, signed before they are sent.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use clap::ValueEnum;
use countersign::clock::{self, Clock};
use countersign::jose::keyring::SigningKey;
use countersign::secret::{self, Secret};
use http::HeaderValue;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::Told;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const GRANT: &str = "urn:openid:params:grant-type:ciba";
const FORM: &str = "application/x-www-form-urlencoded";

/// How long what is signed is good, in seconds: as long as an assertion may be.
const LIFETIME: u32 = 600;

/// How a client shows who it is, and what its tokens hang on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Kind {
    /// private_key_jwt with ES256; its tokens hang on a certificate.
    Es256,
    /// The same with PS256.
    Ps256,
    /// tls_client_auth; request objects with ES256.
    Mtls,
    /// private_key_jwt with ES256; its tokens hang on a DPoP key.
    Dpop,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Es256, Self::Ps256, Self::Mtls, Self::Dpop];

    /// Its name in workloads.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Es256 => "es256",
            Self::Ps256 => "ps256",
            Self::Mtls => "mtls",
            Self::Dpop => "dpop",
        }
    }

    /// Its `client_id`.
    pub(crate) fn client_id(self) -> String {
        format!("bench-{}", self.word())
    }

    /// With what it signs, and what ID tokens for it are signed with.
    const fn alg(self) -> &'static str {
        match self {
            Self::Ps256 => "PS256",
            Self::Es256 | Self::Mtls | Self::Dpop => "ES256",
        }
    }

    /// Its registration (RFC 7591 §2, CIBA §4), with the keys in `jwks`.
    pub(crate) fn metadata(self, jwks: &Value) -> Value {
        let mut metadata = json!({
            "client_id": self.client_id(),
            "client_name": "A till that measures",
            "jwks": jwks,
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": self.alg(),
            "backchannel_authentication_request_signing_alg": self.alg(),
            "id_token_signed_response_alg": self.alg(),
            "backchannel_token_delivery_mode": "poll",
            "grant_types": [GRANT],
            "scope": "openid accounts",
        });
        match self {
            Self::Es256 | Self::Ps256 => metadata["tls_client_certificate_bound_access_tokens"] = true.into(),
            Self::Dpop => metadata["dpop_bound_access_tokens"] = true.into(),
            Self::Mtls => {
                metadata["token_endpoint_auth_method"] = "tls_client_auth".into();
                metadata["tls_client_auth_subject_dn"] = "CN=till-7".into();
                metadata["tls_client_certificate_bound_access_tokens"] = true.into();
                metadata.as_object_mut().map(|members| members.remove("token_endpoint_auth_signing_alg"));
            }
        }
        metadata
    }
}

/// Where an issuer is asked, from its metadata.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) issuer: String,
    pub(crate) backchannel: String,
    pub(crate) token: String,
}

/// A call that can be sent once, and what has to come of it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) url: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    pub(crate) proof: Option<HeaderValue>,
    pub(crate) right: Right,
}

/// The answer that is right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Right {
    pub(crate) status: u16,
    /// What it has in its body.
    pub(crate) word: &'static str,
}

/// A request was accepted.
pub(crate) const OPENED: Right = Right { status: 200, word: "\"auth_req_id\"" };
/// Nobody has decided.
pub(crate) const PENDING: Right = Right { status: 400, word: "\"authorization_pending\"" };
/// There are tokens.
pub(crate) const ISSUED: Right = Right { status: 200, word: "\"id_token\"" };
/// A decision was taken.
pub(crate) const DECIDED: Right = Right { status: 204, word: "" };
/// A proof was made without a nonce, to be given one.
const NONCE_WANTED: Right = Right { status: 400, word: "\"use_dpop_nonce\"" };

/// A client and its key.
#[derive(Clone)]
pub(crate) struct Till {
    kind: Kind,
    key: SigningKey,
    /// What signs proofs, whose header has the public key in it.
    prover: Option<Arc<EcdsaKeyPair>>,
    places: Places,
    hint: Option<String>,
}

impl Till {
    /// The client of that `kind`, with the keys of the folder `certs`, which asks the issuer at `places`: for `hint`, or each time for another user.
    pub(crate) fn open(kind: Kind, certs: &Path, (places, hint): (Places, Option<String>)) -> Told<Self> {
        let name = if kind == Kind::Ps256 { "till-ps256.key" } else { "till-es256.key" };
        let der = PrivatePkcs8KeyDer::from_pem_file(certs.join(name))?;
        let key = SigningKey::from_pkcs8(der.secret_pkcs8_der())?;
        let pair = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der()).map(Arc::new);
        let prover = (kind == Kind::Dpop).then(pair).transpose()?;
        Ok(Self { kind, key, prover, places, hint })
    }

    /// A request for the user of the number `user`.
    pub(crate) fn authorize(&self, user: usize) -> Told<Call> {
        let claims = json!({
            "scope": "openid accounts", "binding_message": "Till 7: 42.90", "requested_expiry": LIFETIME,
            "login_hint": self.hint.clone().unwrap_or_else(|| sub(user)),
        });
        let request = self.sign("oauth-authz-req+jwt", claims)?;
        self.form(&self.places.backchannel, &[("request", request.reveal())], OPENED)
    }

    /// A call of the token endpoint for what was asked for under `auth_req_id`.
    pub(crate) fn token(&self, auth_req_id: &str, (right, nonce): (Right, Option<&str>)) -> Told<Call> {
        let form = [("grant_type", GRANT), ("auth_req_id", auth_req_id)];
        let call = self.form(&self.places.token, &form, right)?;
        let proof = self.prover.as_ref().map(|prover| self.proof(prover, nonce)).transpose()?;
        Ok(Call { proof, ..call })
    }

    /// The call that is answered with a nonce, where this client needs one.
    pub(crate) fn ask_for_nonce(&self) -> Told<Option<Call>> {
        let unknown = Secret::draw(&secret::System);
        self.prover.is_some().then(|| self.token(unknown.reveal(), (NONCE_WANTED, None))).transpose()
    }

    fn form(&self, url: &str, form: &[(&str, &str)], right: Right) -> Told<Call> {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        if self.kind == Kind::Mtls {
            body.append_pair("client_id", &self.kind.client_id());
        } else {
            let assertion = self.sign("client-authentication+jwt", json!({ "sub": self.kind.client_id() }))?;
            body.append_pair("client_assertion_type", ASSERTION_TYPE);
            body.append_pair("client_assertion", assertion.reveal());
        }
        let (url, body) = (url.to_owned(), Bytes::from(body.finish()));
        Ok(Call { url, content_type: FORM, body, proof: None, right })
    }

    fn sign(&self, typ: &str, mut claims: Value) -> Told<Secret> {
        let now = clock::System.now();
        claims["iss"] = self.kind.client_id().into();
        claims["aud"] = self.places.issuer.as_str().into();
        claims["jti"] = Secret::draw(&secret::System).reveal().into();
        claims["iat"] = now.seconds().into();
        claims["nbf"] = now.seconds().into();
        claims["exp"] = now.plus(LIFETIME).seconds().into();
        Ok(self.key.sign(typ, &claims)?)
    }

    /// RFC 9449 §4.2.
    fn proof(&self, prover: &EcdsaKeyPair, nonce: Option<&str>) -> Told<HeaderValue> {
        let mut jwk = self.key.public().clone();
        jwk.retain(|name, _| ["kty", "crv", "x", "y"].contains(&name.as_str()));
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        let mut claims = json!({
            "jti": Secret::draw(&secret::System).reveal(), "htm": "POST", "htu": self.places.token, "iat": clock::System.now().seconds(),
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = prover.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(HeaderValue::try_from(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))?)
    }
}

/// `/decision`: yes, by the user of the number `user`.
pub(crate) fn decide(internal: &str, auth_req_id: &str, user: usize) -> Call {
    let body = json!({ "auth_req_id": auth_req_id, "decision": "approve", "sub": sub(user) }).to_string();
    let url = format!("{internal}/decision");
    Call { url, content_type: "application/json", body: body.into(), proof: None, right: DECIDED }
}

/// As long as the names that a bank gives.
fn sub(user: usize) -> String {
    format!("alice-{user:012}")
}
