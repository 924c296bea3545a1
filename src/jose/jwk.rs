//! A client's public keys: [`PublicKey`] and [`KeySet`] (RFC 7517), parsed once and kept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PSS_2048_8192_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::JoseError;
use josekit::jwk::Jwk;
use josekit::jws::{JwsAlgorithm, JwsVerifier};
use serde_json::{Map, Value, json};

use crate::jose::alg::Alg;
use crate::secret::Digest;
use crate::wire::json;

const MOST_KEYS: usize = 20;
const LONGEST_KID: usize = 256;
const LARGEST_SET: usize = 64 * 1024;

/// Members that only a private or symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
pub(super) const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A key set that cannot be used, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub &'static str);

/// A public signature key and the one algorithm it serves.
#[derive(Clone)]
pub struct PublicKey {
    kid: Option<String>,
    alg: Alg,
    engine: Arc<ParsedPublicKey>,
}

impl PublicKey {
    /// Reads a JWK (RFC 7517 §4).
    ///
    /// # Errors
    /// [`Unusable`]: an RSA modulus outside 2048–4096 bits, a weak exponent, a curve other than P-256, a point off the curve,
    /// or an `alg` that does not fit the key (FAPI 1.0 part 1 §5.2.2-5 and -6).
    fn read(jwk: &Jwk) -> Result<Self, Unusable> {
        let (alg, engine) = match jwk.key_type() {
            "EC" => (Alg::Es256, elliptic(jwk)?),
            "RSA" => (Alg::Ps256, rsa(jwk)?),
            _ => return Err(Unusable("a key is neither RSA nor EC")),
        };
        if jwk.algorithm().is_some_and(|name| name != alg.name()) {
            return Err(Unusable("a key's alg is not PS256 or ES256, or does not fit its kty"));
        }
        let kid = jwk.key_id().map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > LONGEST_KID) {
            return Err(Unusable("a kid is empty or longer than 256"));
        }
        Ok(Self { kid, alg, engine: Arc::new(engine) })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {:?})", self.alg.name(), self.kid)
    }
}

impl JwsVerifier for PublicKey {
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        &self.alg
    }

    fn key_id(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        self.engine
            .verify_sig(message, signature)
            .map_err(|_| JoseError::InvalidSignature(Unusable("the signature does not hold").into()))
    }

    fn box_clone(&self) -> Box<dyn JwsVerifier> {
        Box::new(self.clone())
    }
}

/// The keys of one client, and the certificates that it may show.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<PublicKey>,
    certificates: Vec<Digest>,
}

impl KeySet {
    /// Reads a JWK Set (RFC 7517 §5). Keys for encryption and keys of other kinds are left out (RFC 7517 §4.2, §5).
    ///
    /// # Errors
    /// [`Unusable`]: over 64 KiB or 20 keys, not strict JSON, no signature key, a private or symmetric member in any entry, or any key that
    /// [`PublicKey`] refuses.
    pub fn parse(text: &[u8]) -> Result<Self, Unusable> {
        if text.len() > LARGEST_SET {
            return Err(Unusable("the key set is larger than 64 KiB"));
        }
        let mut set = json::object(text).map_err(|_| Unusable("the key set is not strict JSON"))?;
        let Some(Value::Array(entries)) = set.remove("keys") else {
            return Err(Unusable("the key set has no keys array"));
        };
        if entries.len() > MOST_KEYS {
            return Err(Unusable("the key set has more than 20 keys"));
        }
        let (mut keys, mut certificates) = (Vec::new(), Vec::new());
        for entry in entries {
            let Value::Object(members) = entry else {
                return Err(Unusable("an entry of the key set is not an object"));
            };
            if PRIVATE.iter().any(|member| members.contains_key(*member)) {
                return Err(Unusable("a key has a private or symmetric member; register public keys only"));
            }
            let jwk = Jwk::from_map(members).map_err(|_| Unusable("an entry of the key set is not a JWK"))?;
            let chain = jwk
                .parameter("x5c")
                .map(|_| jwk.x509_certificate_chain().ok_or(Unusable("an x5c is not a list of certificates")))
                .transpose()?;
            let foreign = !["RSA", "EC", "oct"].contains(&jwk.key_type());
            if jwk.key_use() != Some("enc") && !foreign {
                certificates.extend(chain.iter().filter_map(|chain| chain.first()).map(|leaf| Digest::of(leaf)));
                keys.push(PublicKey::read(&jwk)?);
            }
        }
        if keys.is_empty() {
            Err(Unusable("the key set has no signature key"))
        } else {
            Ok(Self { keys, certificates })
        }
    }

    /// The set of one's own public keys, of which there may be more than anybody else may have.
    ///
    /// # Errors
    /// One of them is no public key, or there is none.
    pub fn of_ones_own<'a>(keys: impl IntoIterator<Item = &'a Map<String, Value>>) -> Result<Self, Unusable> {
        let one = |key: &Map<String, Value>| Self::parse(json!({ "keys": [key] }).to_string().as_bytes());
        let mut sets = keys.into_iter().map(one);
        let first = sets.next().ok_or(Unusable("there is no key"))??;
        sets.try_fold(first, |all, next| Ok(all.with(Some(next?))))
    }

    /// The keys that may have made a signature of `alg` under `kid`. FAPI 1.0 part 2 §8.11: where kids repeat, filter by what else is known
    /// and try what is left. Without a `kid`, any key of that algorithm.
    pub fn candidates<'a>(&'a self, alg: Alg, kid: Option<&'a str>) -> impl Iterator<Item = &'a dyn JwsVerifier> {
        self.keys
            .iter()
            .filter(move |key| key.alg == alg && (kid.is_none() || kid == key.kid.as_deref()))
            .map(|key| key as &dyn JwsVerifier)
    }

    /// These keys and those of `other`.
    #[must_use]
    pub fn with(mut self, other: Option<Self>) -> Self {
        self.keys.extend(other.into_iter().flat_map(|other| other.keys));
        self
    }

    /// These keys but for those of the `kids`.
    #[must_use]
    pub fn without(mut self, kids: &[String]) -> Self {
        self.keys.retain(|key| !key.kid.as_ref().is_some_and(|kid| kids.contains(kid)));
        self
    }

    /// Whether the certificate of that thumbprint heads an `x5c` of the set (RFC 8705 §2.2).
    pub fn has_certificate(&self, thumbprint: &Digest) -> bool {
        self.certificates.contains(thumbprint)
    }

    /// Whether there is any such certificate.
    pub const fn has_certificates(&self) -> bool {
        !self.certificates.is_empty()
    }

    /// Whether a key of `alg` is in the set.
    pub fn serves(&self, alg: Alg) -> bool {
        self.candidates(alg, None).next().is_some()
    }
}

pub(super) fn elliptic(jwk: &Jwk) -> Result<ParsedPublicKey, Unusable> {
    if jwk.curve() != Some("P-256") {
        return Err(Unusable("an EC key is not on P-256"));
    }
    let (x, y) = (number(jwk, "x")?, number(jwk, "y")?);
    if x.len() != 32 || y.len() != 32 {
        return Err(Unusable("an EC coordinate does not have 32 bytes"));
    }
    let point = [&[4_u8][..], &x, &y].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| Unusable("an EC key is not a point of P-256"))
}

pub(super) fn rsa(jwk: &Jwk) -> Result<ParsedPublicKey, Unusable> {
    let (n, e) = (number(jwk, "n")?, number(jwk, "e")?);
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !(2048..=4096).contains(&bits) || n.first() == Some(&0) {
        return Err(Unusable("an RSA modulus is not of 2048 to 4096 bits"));
    }
    if e != [1, 0, 1] {
        return Err(Unusable("an RSA exponent is not 65537"));
    }
    PublicKeyComponents { n, e }
        .to_parsed_public_key(&RSA_PSS_2048_8192_SHA256)
        .map_err(|_| Unusable("an RSA key cannot be used"))
}

/// RFC 7638 §3, RFC 8037 §2: SHA-256 of the members that make the key, in their order.
pub(super) fn thumbprint(jwk: &Jwk) -> Result<Digest, Unusable> {
    let members: &[&str] = match jwk.key_type() {
        "EC" => &["crv", "kty", "x", "y"],
        "RSA" => &["e", "kty", "n"],
        "OKP" => &["crv", "kty", "x"],
        _ => return Err(Unusable("a key is of another kind")),
    };
    let member = |name: &&str| Some(((*name).to_owned(), jwk.parameter(name)?.as_str()?));
    let found: Option<BTreeMap<String, &str>> = members.iter().map(member).collect();
    Ok(Digest::of(json!(found.ok_or(Unusable("a key lacks a member"))?).to_string().as_bytes()))
}

fn number(jwk: &Jwk, member: &str) -> Result<Vec<u8>, Unusable> {
    let text = jwk.parameter(member).and_then(Value::as_str).ok_or(Unusable("a key lacks a member"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Unusable("a key has a member that is not base64url"))
}

#[cfg(test)]
mod tests {

    use super::*;

    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    fn refused(key: &Value) -> &'static str {
        KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes()).expect_err("unusable").0
    }

    #[test]
    fn rfc7515_a_3_the_key_of_the_example_verifies_its_signature() {
        let set =
            KeySet::parse(json!({"keys": [{"kty": "EC", "crv": "P-256", "x": X, "y": Y}]}).to_string().as_bytes())
                .expect("usable");
        let message = b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = URL_SAFE_NO_PAD
            .decode("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
            .expect("base64url");
        let key = set.candidates(Alg::Es256, None).next().expect("one key");
        assert!(key.verify(message, &signature).is_ok());
        let mut flipped = signature.clone();
        flipped[40] ^= 1;
        for forged in [vec![0; 64], flipped, signature[..63].to_vec(), [&signature[..], &[0]].concat(), Vec::new()] {
            assert!(key.verify(message, &forged).is_err());
        }
        assert!(set.candidates(Alg::Ps256, None).next().is_none());
        assert!(set.candidates(Alg::Es256, Some("other")).next().is_none());
    }

    #[test]
    fn fapi1b_5_2_2_5_and_6_weak_and_private_keys_are_refused() {
        let ec = json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y});
        let with = |key: &Value, member: &str, value: Value| {
            let mut key = key.clone();
            key[member] = value;
            key
        };
        for member in PRIVATE {
            assert!(refused(&with(&ec, member, json!("AQAB"))).starts_with("a key has a private"), "{member}");
        }
        assert_eq!(refused(&with(&ec, "crv", json!("secp256k1"))), "an EC key is not on P-256");
        assert_eq!(refused(&with(&ec, "y", json!(X))), "an EC key is not a point of P-256");
        assert_eq!(
            refused(&with(&ec, "alg", json!("PS256"))),
            "a key's alg is not PS256 or ES256, or does not fit its kty"
        );
        assert_eq!(refused(&with(&ec, "x", json!("AAAA"))), "an EC coordinate does not have 32 bytes");
        assert_eq!(refused(&json!({"kty": "oct", "kid": "1"})), "a key is neither RSA nor EC");
        let rsa = |n: usize, e: &str| json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(vec![0xff; n]), "e": e});
        assert_eq!(refused(&rsa(128, "AQAB")), "an RSA modulus is not of 2048 to 4096 bits");
        assert_eq!(refused(&rsa(513, "AQAB")), "an RSA modulus is not of 2048 to 4096 bits");
        assert_eq!(refused(&rsa(256, "Aw")), "an RSA exponent is not 65537");
    }

    #[test]
    fn sets_are_bounded_and_strict() {
        assert!(KeySet::parse(b"{\"keys\":[]}").is_err());
        assert!(KeySet::parse(b"{\"keys\":[],\"keys\":[]}").is_err());
        assert!(KeySet::parse(b"[]").is_err());
        assert!(KeySet::parse(&vec![b' '; LARGEST_SET + 1]).is_err());
        let many = json!({ "keys": vec![json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y}); 21] });
        assert_eq!(
            KeySet::parse(many.to_string().as_bytes()).expect_err("too many").0,
            "the key set has more than 20 keys"
        );
        let mixed = json!({"keys": [{"kty": "RSA", "use": "enc", "n": "AA", "e": "AQAB"}, {"kty": "EC", "crv": "P-256", "x": X, "y": Y}]});
        assert!(KeySet::parse(mixed.to_string().as_bytes()).expect("usable").serves(Alg::Es256));
    }
}
