//! [`Keyring`]: this server's own signature keys, and the JWK Set that publishes them (RFC 7517 §5, FAPI 1.0 part 2 §8.9).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PSS_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::JoseError;
use josekit::jwk::Jwk;
use josekit::jws::{JwsAlgorithm, JwsSigner};
use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::current::Current;
use crate::jose::alg::Alg;
use crate::jose::jwk::{KeySet, Unusable, thumbprint};
use crate::jose::life::{Life, State};
use crate::secret::Secret;

/// One private key and the algorithm it serves.
#[derive(Clone)]
pub struct SigningKey {
    alg: Alg,
    kid: String,
    public: Jwk,
    engine: Arc<Engine>,
}

enum Engine {
    Elliptic(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// Reads a PKCS#8 key: P-256 serves ES256, RSA of 2048 to 4096 bits serves PS256. The `kid` is the RFC 7638 thumbprint, so that it
    /// follows from the key and no other key has it.
    ///
    /// # Errors
    /// [`Unusable`]: any other key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Unusable> {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            let point = pair.public_key().as_ref();
            let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
            let members = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
            return Self::new(Alg::Es256, members, Engine::Elliptic(pair));
        }
        let pair = RsaKeyPair::from_pkcs8(der)
            .map_err(|_| Unusable("it is neither a P-256 nor an RSA key of 2048 to 4096 bits in PKCS#8"))?;
        if !(256..=512).contains(&pair.public_modulus_len()) {
            return Err(Unusable("an RSA key has to have 2048 to 4096 bits"));
        }
        let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
        let (n, e) = (
            URL_SAFE_NO_PAD.encode(n.big_endian_without_leading_zero()),
            URL_SAFE_NO_PAD.encode(e.big_endian_without_leading_zero()),
        );
        Self::new(Alg::Ps256, json!({"kty": "RSA", "n": n, "e": e}), Engine::Rsa(pair))
    }

    fn new(alg: Alg, members: Value, engine: Engine) -> Result<Self, Unusable> {
        let Value::Object(members) = members else { unreachable!("built as an object above") };
        let mut public = Jwk::from_map(members).expect("it has a kty");
        let kid = thumbprint(&public)?;
        public.set_key_use("sig");
        public.set_algorithm(alg.name());
        public.set_key_id(kid.to_string());
        Ok(Self { alg, kid: kid.to_string(), public, engine: Arc::new(engine) })
    }

    /// The algorithm this key serves.
    pub const fn alg(&self) -> Alg {
        self.alg
    }

    /// RFC 7638.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public part, as it is published.
    pub fn public(&self) -> &Map<String, Value> {
        self.public.as_ref()
    }

    /// Signs `claims` as a JWT.
    ///
    /// # Errors
    /// The engine failed.
    pub fn sign(&self, typ: &str, claims: &Value) -> Result<Secret, Unusable> {
        let header = json!({ "alg": self.alg.name(), "kid": self.kid, "typ": typ });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        JwsSigner::sign(self, signed.as_bytes())
            .map(|signature| Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
            .map_err(|_| Unusable("signing failed"))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.alg.name(), self.kid)
    }
}

impl JwsSigner for SigningKey {
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        &self.alg
    }

    fn key_id(&self) -> Option<&str> {
        Some(&self.kid)
    }

    fn signature_len(&self) -> usize {
        match &*self.engine {
            Engine::Elliptic(_) => 64,
            Engine::Rsa(pair) => pair.public_modulus_len(),
        }
    }

    /// The engine draws the per-signature randomness itself, from the operating system.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        let failed = |_| JoseError::InvalidSignature(Unusable("signing failed").into());
        let random = SystemRandom::new();
        match &*self.engine {
            Engine::Elliptic(pair) => {
                pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()).map_err(failed)
            }
            Engine::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }

    fn box_clone(&self) -> Box<dyn JwsSigner> {
        Box::new(self.clone())
    }
}

/// The keys this server signs with, or did, or will, each with its times; and those whose signatures it knows as its own beside them.
#[derive(Debug)]
pub struct Ring {
    keys: Vec<(SigningKey, Life)>,
    own: Arc<KeySet>,
    kept: bool,
}

impl Ring {
    /// A ring of `keys`, beside the public keys that were `retired`.
    ///
    /// # Errors
    /// [`Unusable`]: no key, or two for one algorithm that sign for good.
    pub fn new(keys: Vec<(SigningKey, Life)>, retired: Option<KeySet>) -> Result<Self, Unusable> {
        if keys.is_empty() {
            return Err(Unusable("there is no signing key"));
        }
        let for_good = |alg: Alg| keys.iter().filter(|(key, life)| key.alg == alg && *life == Life::ALWAYS).count();
        if Alg::ALL.into_iter().any(|alg| for_good(alg) > 1) {
            return Err(Unusable("there are two signing keys for one algorithm"));
        }
        let believed = keys.iter().filter(|(_, life)| life.revoked.is_none());
        let own = KeySet::of_ones_own(believed.map(|(key, _)| key.public()))?;
        Ok(Self { keys, own: Arc::new(own.with(retired)), kept: false })
    }

    /// The same, of which `keyring.json` has the times: it is never replaced by one that has none.
    #[must_use]
    pub fn kept(self) -> Self {
        Self { kept: true, ..self }
    }

    /// The key for `alg` at `now`: of those that sign, the newest. By a clock that was put back nobody may sign yet; then it is the first that will. Where nobody will, it is the one that signed last, for
    /// as long as it is published: what cannot be verified is not signed.
    fn key(&self, alg: Alg, now: Timestamp) -> Option<&(SigningKey, Life)> {
        let at = |state: State| self.keys.iter().filter(move |(key, life)| key.alg == alg && life.state(now) == state);
        let active = at(State::Active).max_by_key(|(_, life)| life.signs_from);
        let first =
            || at(State::Next).filter(|(_, life)| life.signs_from.is_some()).min_by_key(|(_, life)| life.signs_from);
        let last = || at(State::Retiring).max_by_key(|(_, life)| life.signs_until);
        active.or_else(first).or_else(last)
    }

    /// The algorithms for which some key signs, or will, for good.
    fn algs(&self) -> Vec<Alg> {
        let for_good = |life: &Life| life.revoked.is_none() && life.signs_from.is_some() && life.signs_until.is_none();
        let signs = |alg: &Alg| self.keys.iter().any(|(key, life)| key.alg == *alg && for_good(life));
        Alg::ALL.into_iter().filter(signs).collect()
    }
}

/// The [`Ring`] in force, which may be replaced while it is in use.
#[derive(Clone, Debug)]
pub struct Keyring(Current<Ring>);

impl Keyring {
    /// One that begins with `ring`.
    pub fn new(ring: Ring) -> Self {
        Self(Current::new(ring))
    }

    /// Has what is in force in `other` be in force here, from now on.
    ///
    /// # Errors
    /// [`Unusable`]: it has no key for an algorithm that this server offers to its clients, or has lost its times, and everything stays as it was.
    pub fn follow(&self, other: &Self) -> Result<(), Unusable> {
        if self.0.value().kept && !other.0.value().kept {
            return Err(Unusable("keyring.json is gone, and with it which key signs; put it back"));
        }
        let offered = other.algs();
        if self.algs().iter().any(|alg| !offered.contains(alg)) {
            return Err(Unusable("there is no key any more for an algorithm that is offered; that takes a restart"));
        }
        self.0.follow(&other.0);
        Ok(())
    }

    /// The public keys of all that this server ever signed with and stands by, as far as it remembers.
    pub fn own(&self) -> Arc<KeySet> {
        self.0.value().own.clone()
    }

    /// The key for `alg` at `now`.
    pub fn key(&self, alg: Alg, now: Timestamp) -> Option<SigningKey> {
        self.0.value().key(alg, now).map(|(key, _)| key.clone())
    }

    /// Since when that key signs, where anybody knows.
    pub fn signs_since(&self, alg: Alg, now: Timestamp) -> Option<Timestamp> {
        let since = self.0.value().key(alg, now).and_then(|(_, life)| life.signs_from);
        since.filter(|since| Some(*since) != Life::ALWAYS.signs_from)
    }

    /// The algorithms for which some key signs, or will, for good.
    pub fn algs(&self) -> Vec<Alg> {
        self.0.value().algs()
    }

    /// The public keys at `now`: `kid`, `use` and `alg` in each, so that one key matches each token (OpenID Connect Core §10.1).
    pub fn jwks(&self, now: Timestamp) -> Value {
        let ring = self.0.value();
        let published = ring.keys.iter().filter(|(_, life)| life.state(now).is_published());
        json!({ "keys": published.map(|(key, _)| key.public()).collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::jws::Compact;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn ring(keys: Vec<SigningKey>) -> Result<Keyring, Unusable> {
        Ring::new(keys.into_iter().map(|key| (key, Life::ALWAYS)).collect(), None).map(Keyring::new)
    }

    fn keys() -> Vec<SigningKey> {
        let ec = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        let rsa = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).expect("a key");
        vec![
            SigningKey::from_pkcs8(&ec.serialize_der()).expect("usable"),
            SigningKey::from_pkcs8(&rsa.serialize_der()).expect("usable"),
        ]
    }

    #[test]
    fn what_the_ring_signs_its_published_keys_verify_and_only_those() {
        let own = ring(keys()).expect("one of each");
        let published = KeySet::parse(own.jwks(NOW).to_string().as_bytes()).expect("public keys");
        let others =
            KeySet::parse(ring(keys()).expect("one of each").jwks(NOW).to_string().as_bytes()).expect("public keys");
        for alg in Alg::ALL {
            let token = own.key(alg, NOW).expect("both").sign("JWT", &json!({"sub": "alice"})).expect("signs");
            let read = |token| Compact::parse(token, 8192).expect("well-formed");
            assert_eq!(read(token.reveal()).verify(&published, alg).expect("ours").string("sub"), Ok(Some("alice")));
            assert!(read(token.reveal()).verify(&others, alg).is_err());
        }
    }

    #[test]
    fn rfc7638_3_1_the_kid_is_the_thumbprint() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let Value::Object(members) = json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"})
        else {
            panic!("an object")
        };
        let jwk = Jwk::from_map(members).expect("it has a kty");
        assert_eq!(thumbprint(&jwk).expect("RSA").to_string(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn a_ring_needs_exactly_one_key_for_each_algorithm_it_serves() {
        assert!(ring(Vec::new()).is_err());
        assert!(ring([keys(), keys()].concat()).is_err());
        assert!(SigningKey::from_pkcs8(b"not a key").is_err());
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
        assert!(SigningKey::from_pkcs8(&p384.serialize_der()).is_err());
    }

    #[test]
    fn of_several_keys_the_newest_that_signs_does_and_what_was_revoked_is_not_ones_own() {
        let at = |seconds| Some(Timestamp::from_seconds(seconds));
        let life = |from, until, revoked| Life {
            published: Timestamp::from_seconds(500),
            signs_from: from,
            signs_until: until,
            verifies_until: until,
            revoked,
        };
        let [es, _] = &keys()[..] else { panic!("one of each") };
        let [other, _] = &keys()[..] else { panic!("one of each") };
        let [third, _] = &keys()[..] else { panic!("one of each") };
        let ring = |lives: [Life; 3]| {
            let keys = [es, other, third].into_iter().cloned().zip(lives).collect();
            Keyring::new(Ring::new(keys, None).expect("they go together"))
        };
        let ends = |until| Life { verifies_until: at(1_500), ..life(at(600), at(until), None) };
        let own = ring([life(at(600), at(1_000), None), life(at(1_000), None, None), life(at(1), None, at(2))]);
        let signs = |seconds| own.key(Alg::Es256, Timestamp::from_seconds(seconds)).expect("one").kid().to_owned();
        assert_eq!((signs(999), signs(1_000)), (es.kid().to_owned(), other.kid().to_owned()));
        assert_eq!(signs(599), es.kid(), "a clock that was put back finds the first one");
        let token = third.sign("JWT", &json!({"sub": "alice"})).expect("signs");
        assert!(Compact::parse(token.reveal(), 8192).expect("well-formed").verify(&own.own(), Alg::Es256).is_err());
        let published = own.jwks(Timestamp::from_seconds(1_000)).to_string();
        assert!(published.contains(other.kid()) && !published.contains(es.kid()) && !published.contains(third.kid()));
        let both = ring([life(at(600), None, None), life(at(700), None, None), life(at(1), None, at(2))]);
        assert_eq!(both.key(Alg::Es256, NOW).expect("one").kid(), other.kid(), "the newest");
        let without = ring([life(None, None, None), life(None, None, None), life(at(1), None, at(2))]);
        assert!(own.follow(&without).is_err(), "nobody would sign");
        let ending = ring([ends(900), ends(1_000), life(at(1), None, at(2))]);
        assert!(ending.algs().is_empty() && own.follow(&ending).is_err(), "nobody will sign");
        let last = |seconds| ending.key(Alg::Es256, Timestamp::from_seconds(seconds)).map(|key| key.kid().to_owned());
        assert_eq!(last(1_499).as_deref(), Some(other.kid()), "it is published for as long");
        assert_eq!(last(1_500), None, "nobody could verify it");
        assert_eq!(signs(1_000), other.kid());
    }

    #[test]
    fn a_ring_that_has_lost_its_times_is_not_taken() {
        let with_times = || {
            let always = keys().into_iter().map(|key| (key, Life::ALWAYS)).collect();
            Keyring::new(Ring::new(always, None).expect("one of each").kept())
        };
        let (kept, loose) = (with_times(), ring(keys()).expect("one of each"));
        assert!(kept.follow(&loose).is_err_and(|why| why.to_string().contains("keyring.json is gone")));
        kept.follow(&with_times()).expect("it has them");
        loose.follow(&kept).expect("it has none to lose");
    }

    #[test]
    fn since_when_a_key_signs_is_said_where_anybody_knows() {
        let at = |from| Life { signs_from: Some(Timestamp::from_seconds(from)), ..Life::published(NOW) };
        let since = |life| {
            let keys = keys().into_iter().map(|key| (key, life)).collect();
            Keyring::new(Ring::new(keys, None).expect("a ring")).signs_since(Alg::Es256, NOW)
        };
        assert_eq!(since(at(900)), Some(Timestamp::from_seconds(900)));
        let rotated = Life { signs_until: Some(NOW.plus(60)), ..Life::ALWAYS };
        assert_eq!((since(Life::ALWAYS), since(rotated)), (None, None), "it was there before its times were kept");
    }
}
