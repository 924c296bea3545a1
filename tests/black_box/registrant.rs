//! [`Registrant`]: a client that registered itself, and what it does with its registration (RFC 7591, RFC 7592).

use std::fmt::Display;

use countersign::http::serve::Limits;
use countersign::jose::keyring::SigningKey;
use http::Method;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::bank::{Bank, client, key};
use crate::heard::Heard;
use crate::tpp::Tpp;
use crate::wired::{metadata, register};

/// What is said of a client beside its metadata.
const OURS: [&str; 4] = ["client_id", "client_id_issued_at", "registration_access_token", "registration_client_uri"];

/// A client that registered itself.
pub(crate) struct Registrant<'a> {
    bank: &'a Bank,
    /// `client_id`.
    pub(crate) client_id: String,
    /// `registration_access_token`.
    pub(crate) token: String,
    /// `registration_client_uri`.
    pub(crate) uri: String,
    /// The metadata as it was echoed, without what is said of it beside.
    pub(crate) members: Value,
}

impl<'a> Registrant<'a> {
    /// Registers `metadata` where anybody may.
    pub(crate) async fn of(bank: &'a Bank, metadata: &Value) -> Self {
        Self::new(bank, &register(bank, metadata, None).await)
    }

    /// The client that `heard` made.
    #[track_caller]
    pub(crate) fn new(bank: &'a Bank, heard: &Heard) -> Self {
        assert_eq!(heard.status, 201, "{heard:#?}");
        Self::read_from(bank, heard)
    }

    /// DCR-7591-14, DCR-7592-1: what an answer about a client always has. Uncached JSON, and no secret.
    #[track_caller]
    pub(crate) fn read_from(bank: &'a Bank, heard: &Heard) -> Self {
        assert_eq!(heard.headers["content-type"], "application/json");
        assert_eq!(heard.headers["cache-control"], "no-store");
        let text = |name: &str| heard.body[name].as_str().unwrap_or_else(|| panic!("no {name}: {heard:#?}")).to_owned();
        let [client_id, token, uri] = ["client_id", "registration_access_token", "registration_client_uri"].map(text);
        let drawn = |id: &str| id.len() == 43 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        assert!(drawn(&client_id) && drawn(&token) && client_id != token, "{heard:#?}");
        assert_eq!(uri, format!("{}/register/{client_id}", bank.issuer));
        assert!(heard.body["client_id_issued_at"].is_i64(), "{heard:#?}");
        assert!(!heard.text.contains("client_secret"), "{heard:#?}");
        let mut members = heard.body.clone();
        members.as_object_mut().expect("an object").retain(|name, _| !OURS.contains(&name.as_str()));
        Self { bank, client_id, token, uri, members }
    }

    /// A call to its own endpoint with `token`, not sent yet.
    pub(crate) fn call(&self, method: Method, token: Option<&str>) -> RequestBuilder {
        let request = client(None).request(method, &self.uri);
        token.iter().fold(request, RequestBuilder::bearer_auth)
    }

    /// A replacement of its metadata by `body`, byte for byte, not sent yet.
    pub(crate) fn put(&self, body: String) -> RequestBuilder {
        self.call(Method::PUT, Some(&self.token)).header("content-type", "application/json").body(body)
    }

    /// How it is registered.
    pub(crate) async fn read(&self) -> Heard {
        Heard::of(self.call(Method::GET, Some(&self.token))).await
    }

    /// Has `metadata` instead, under its own `client_id`.
    pub(crate) async fn replace(&self, metadata: &Value) -> Heard {
        Heard::of(self.put(self.named(metadata).to_string())).await
    }

    /// Goes.
    pub(crate) async fn delete(&self) -> Heard {
        Heard::of(self.call(Method::DELETE, Some(&self.token))).await
    }

    /// `metadata` with its own `client_id`.
    pub(crate) fn named(&self, metadata: &Value) -> Value {
        let mut named = metadata.clone();
        named["client_id"] = json!(self.client_id);
        named
    }

    /// What it does as a client: with the key and the certificate of till 8.
    pub(crate) fn tpp(&self) -> Tpp<'a> {
        self.tpp_with(&key("till8.key"))
    }

    /// The same with another key.
    pub(crate) fn tpp_with(&self, signing: &SigningKey) -> Tpp<'a> {
        Tpp::new(self.bank, self.client_id.clone(), (signing.clone(), signing.clone()), Some("till8"))
    }
}

/// What registers well, with `change`.
pub(crate) fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut metadata = metadata();
    change(&mut metadata);
    metadata
}

/// What registers well, with `value` as its `member`.
pub(crate) fn with(member: &str, value: impl Into<Value>) -> Value {
    changed(|metadata| metadata[member] = value.into())
}

/// What registers well, without `member`.
pub(crate) fn without(member: &str) -> Value {
    changed(|metadata| drop(metadata.as_object_mut().expect("an object").remove(member).expect("it was there")))
}

/// A P-256 key that nobody has had before.
pub(crate) fn fresh_key() -> SigningKey {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    SigningKey::from_pkcs8(&pair.serialize_der()).expect("usable")
}

/// The JWK Set of `keys`.
pub(crate) fn jwks(keys: &[&SigningKey]) -> Value {
    json!({ "keys": keys.iter().map(|key| Value::from(key.public().clone())).collect::<Vec<_>>() })
}

/// Anybody may register; nothing else is switched on.
pub(crate) async fn plain() -> Bank {
    Bank::with(Limits::default(), |shipped| shipped.to_owned() + "\n[registration]\nmode = \"open\"\n").await
}

/// `metadata` makes no client.
pub(crate) async fn refuses(bank: &Bank, case: impl Display, metadata: &Value) {
    println!("{case}");
    register(bank, metadata, None).await.refused(400, "invalid_client_metadata");
}

/// What registers well for another method than private_key_jwt, but for what that method needs.
pub(crate) fn by_certificate(method: &str) -> Value {
    changed(|metadata| {
        metadata["token_endpoint_auth_method"] = json!(method);
        metadata.as_object_mut().expect("an object").remove("token_endpoint_auth_signing_alg");
    })
}
