//! [`Draft`]: a proof that is not signed yet, [`Signer`]: who signs it, and [`Maker`]: who mistypes, the same way in every run.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::clock::{Clock, System};
use countersign::jose::keyring::SigningKey;
use countersign::secret::Digest;
use josekit::jws::JwsSigner;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use crate::judges::{TOKEN, URL};

/// A key, and the `alg` that it is used under.
pub(crate) enum Signer {
    Own(SigningKey),
    Edwards(Ed25519KeyPair, &'static str),
}

impl Signer {
    pub(crate) fn p256() -> Self {
        Self::own(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key"))
    }

    pub(crate) fn rsa() -> Self {
        Self::own(&KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key"))
    }

    pub(crate) fn edwards(alg: &'static str) -> Self {
        Self::Edwards(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key"), alg)
    }

    fn own(pair: &KeyPair) -> Self {
        Self::Own(SigningKey::from_pkcs8(&pair.serialize_der()).expect("a key"))
    }

    /// The header of a good proof.
    pub(crate) fn header(&self) -> Value {
        let (alg, jwk) = match self {
            Self::Own(key) => (key.alg().name(), Value::Object(key.public().clone())),
            Self::Edwards(pair, alg) => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
                (*alg, json!({"kty": "OKP", "crv": "Ed25519", "x": x}))
            }
        };
        let mut jwk = jwk;
        jwk.as_object_mut()
            .expect("a key")
            .retain(|name, _| ["kty", "crv", "x", "y", "n", "e"].contains(&name.as_str()));
        json!({"typ": "dpop+jwt", "alg": alg, "jwk": jwk})
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Own(key) => JwsSigner::sign(key, message).expect("it signs"),
            Self::Edwards(pair, _) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// Header and claims as text, so that they can be wrong in any way.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) header: String,
    pub(crate) claims: String,
}

impl Draft {
    /// A good one.
    pub(crate) fn good(signer: &Signer) -> Self {
        Self::of_token(signer, TOKEN)
    }

    /// A proof of `token`.
    pub(crate) fn of_token(signer: &Signer, token: &str) -> Self {
        let ath = Digest::of(token.as_bytes()).to_string();
        let claims = json!({"jti": "proof-1", "htm": "POST", "htu": URL, "iat": System.now().seconds(), "ath": ath});
        Self { header: signer.header().to_string(), claims: claims.to_string() }
    }

    pub(crate) fn signed(&self, signer: &Signer) -> String {
        let message = [&self.header, &self.claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signer.sign(message.as_bytes())))
    }

    /// Writes a member of the claims anew.
    pub(crate) fn claim(&mut self, name: &str, value: Value) {
        self.claims = with(&self.claims, name, value);
    }

    /// Writes a member of the header anew.
    pub(crate) fn member(&mut self, name: &str, value: Value) {
        self.header = with(&self.header, name, value);
    }
}

/// What a part of a proof says.
pub(crate) fn decoded(part: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn with(text: &str, name: &str, value: Value) -> String {
    let mut object: Value = serde_json::from_str(text).expect("JSON");
    object[name] = value;
    object.to_string()
}

/// Mistakes, one after the other. Its numbers are those of `splitmix64`.
pub(crate) struct Maker(u64);

impl Maker {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    /// One to three characters are changed, dropped, doubled, or set in anew.
    pub(crate) fn mistype(&mut self, text: &mut String) {
        const KEYS: &[u8] = b"\"\\{}[]:,.-+eE/?#%&= \t\n0123456789aAbBzZ_~\x7f";
        let mut bytes = std::mem::take(text).into_bytes();
        for _ in 0..=self.below(3) {
            let (at, key) = (self.below(bytes.len()), KEYS[self.below(KEYS.len())]);
            match self.below(4) {
                0 => bytes[at] = key,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, bytes[at]),
                _ => bytes.insert(at, key),
            }
        }
        *text = String::from_utf8(bytes).expect("it was ASCII and is");
    }

    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.0;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((drawn ^ (drawn >> 31)) % most as u64).expect("below a usize")
    }
}
