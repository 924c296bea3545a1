//! What must not be seen and what must not be guessed: [`Secret`], its [`Digest`], and [`Entropy`].

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::aead::{AES_256_GCM, AES_256_GCM_SIV, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A string that never reaches a log: no `Serialize`, and `Debug` prints `[redacted]`. Wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes `value` out of sight.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// 256 bits of `entropy` as 43 characters of base64url: an `auth_req_id` or an access token (CIBA §7.3, RFC 6749 §10.10).
    pub fn draw(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        entropy.fill(bytes.as_mut());
        Self::new(URL_SAFE_NO_PAD.encode(bytes.as_ref()))
    }

    /// Whether [`draw`](Self::draw) could have made it; anything else was never issued, and need not be looked up.
    pub fn could_be_drawn(&self) -> bool {
        self.0.len() == 43 && self.0.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    }

    /// The value itself, on its way to the one who may have it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the store keeps in its place.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

impl PartialEq for Secret {
    /// In time that depends on the length alone.
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// SHA-256 of something, written as base64url: how secrets are stored and certificates are named (RFC 8705 §3.1 `x5t#S256`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0_u8; 32];
        out.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(out)
    }

    /// The digest of several parts, each preceded by its length, so that no two lists of parts share one.
    pub fn of_parts(parts: &[&str]) -> Self {
        let mut joined = Vec::new();
        for part in parts {
            joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
            joined.extend_from_slice(part.as_bytes());
        }
        Self::of(&joined)
    }

    /// A number that follows from it, for drawing lots.
    pub fn lot(&self) -> u64 {
        self.0.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A digest that was taken apart before.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("a SHA-256 digest is 43 letters, digits, - and _")
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A [`Secret`] under lock, for the store: it opens with the secret it was sealed under and with nothing else. The store has neither.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(String);

impl Sealed {
    /// Locks `secret` under `key`, which is drawn anew for each and locks nothing else: that is what lets the nonce be fixed.
    pub fn under(key: &Secret, secret: &Secret) -> Self {
        Self(URL_SAFE_NO_PAD.encode(encrypt((&AES_256_GCM, &sealing_key(key)), secret.reveal().as_bytes())))
    }

    /// What is inside; `None` under another key.
    pub fn open(&self, key: &Secret) -> Option<Secret> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).ok()?;
        decrypt((&AES_256_GCM, &sealing_key(key)), bytes).map(Secret::new)
    }
}

fn sealing_key(key: &Secret) -> Digest {
    Digest::of_parts(&["sealed", key.reveal()])
}

/// Turns names into pseudonyms and back: the same name is always the same pseudonym, and who has not the key learns its length and no more.
#[derive(Clone)]
pub struct Pseudonyms(Secret);

impl Pseudonyms {
    /// Pseudonyms under `key`. With another key, everybody has another name.
    pub const fn under(key: Secret) -> Self {
        Self(key)
    }

    /// How `name` is known in `sector`. AES-GCM-SIV is made to bear the same nonce twice: it then shows that two names are one, which is the point.
    pub fn hide(&self, sector: &str, name: &str) -> String {
        URL_SAFE_NO_PAD.encode(encrypt((&AES_256_GCM_SIV, &self.key(sector)), name.as_bytes()))
    }

    /// Who is known as `pseudonym` in `sector`.
    pub fn name(&self, sector: &str, pseudonym: &str) -> Option<String> {
        decrypt((&AES_256_GCM_SIV, &self.key(sector)), URL_SAFE_NO_PAD.decode(pseudonym).ok()?)
    }

    fn key(&self, sector: &str) -> Digest {
        Digest::of_parts(&["pairwise", self.0.reveal(), sector])
    }
}

/// A key for codes that whoever has it can make and tell from others, and nobody else can (RFC 2104, with SHA-256).
#[derive(Clone)]
pub struct Mac(hmac::Key);

impl Mac {
    /// With `key`, whatever its length.
    pub fn under(key: &Secret) -> Self {
        Self(hmac::Key::new(HMAC_SHA256, key.reveal().as_bytes()))
    }

    /// Another key, which is made of this one and tells nothing of it.
    #[must_use]
    pub fn derived(&self, purpose: &str) -> Self {
        Self(hmac::Key::new(HMAC_SHA256, hmac::sign(&self.0, purpose.as_bytes()).as_ref()))
    }

    /// The code of `text`, in 43 characters.
    pub fn code(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, text.as_bytes()))
    }

    /// Whether `code` is that of `text`; in time that says nothing of how much of it is right.
    pub fn made(&self, code: &str, text: &str) -> bool {
        let code = URL_SAFE_NO_PAD.decode(code);
        code.is_ok_and(|code| hmac::verify(&self.0, text.as_bytes(), &code).is_ok())
    }
}

/// Locks what lies where others may read: who has not the key learns its length and no more.
#[derive(Clone)]
pub struct Vault(Secret, &'static str);

impl Vault {
    /// For what the servers of one issuer hand on to each other through the store. What is locked under `key` opens under `key`.
    pub const fn under(key: Secret) -> Self {
        Self(key, "vault")
    }

    /// For private keys on the disk.
    pub const fn of_keys(key: Secret) -> Self {
        Self(key, "keys")
    }

    /// Another secret, which whoever has the key has too.
    pub fn derived(&self, purpose: &str) -> Secret {
        Secret::new(Digest::of_parts(&[self.1, self.0.reveal(), purpose]).to_string())
    }

    /// `text`, locked. The same text locked twice is the same, which AES-GCM-SIV is made to bear.
    pub fn lock(&self, text: &str) -> Vec<u8> {
        encrypt((&AES_256_GCM_SIV, &self.key()), text.as_bytes())
    }

    /// What is inside `locked`; `None` under another key.
    pub fn unlock(&self, locked: &[u8]) -> Option<Secret> {
        decrypt((&AES_256_GCM_SIV, &self.key()), locked.to_vec()).map(Secret::new)
    }

    fn key(&self) -> Digest {
        Digest::of_parts(&[self.1, self.0.reveal()])
    }
}

fn encrypt((algorithm, key): (&'static Algorithm, &Digest), plain: &[u8]) -> Vec<u8> {
    let mut bytes = plain.to_vec();
    cipher(algorithm, key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut bytes)
        .expect("a short text can be encrypted");
    bytes
}

fn decrypt((algorithm, key): (&'static Algorithm, &Digest), mut bytes: Vec<u8>) -> Option<String> {
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let plain = cipher(algorithm, key).open_in_place(nonce, Aad::empty(), &mut bytes).ok()?;
    String::from_utf8(plain.to_vec()).ok()
}

fn cipher(algorithm: &'static Algorithm, key: &Digest) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(algorithm, key.bytes()).expect("a digest is as long as a key"))
}

/// Where unguessable bytes come from.
pub trait Entropy: Send + Sync {
    /// Fills `buffer`.
    fn fill(&self, buffer: &mut [u8]);
}

/// A new UUID of version 4 (RFC 9562 §5.4).
pub fn uuid(entropy: &dyn Entropy) -> String {
    let mut bytes = [0_u8; 16];
    entropy.fill(&mut bytes);
    let bits = (u128::from_be_bytes(bytes) & !(0xf << 76) & !(0b11 << 62)) | (0x4 << 76) | (0b10 << 62);
    let group = |at: u32, digits: u32| (bits >> (4 * at)) & ((1 << (4 * digits)) - 1);
    format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", group(24, 8), group(20, 4), group(16, 4), group(12, 4), group(0, 12))
}

/// The operating system's generator, through aws-lc-rs.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Entropy for System {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that draws")]
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("the operating system has a random generator, or nothing here is safe");
    }
}

/// Bytes that repeat from one run to the next, for tests. Guessable: never for a server that anyone relies on.
#[derive(Debug, Default)]
pub struct Seeded(std::sync::atomic::AtomicU64);

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let draw = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            chunk.copy_from_slice(&Digest::of(&draw.to_be_bytes()).0[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = Secret::new("hunter2".into());
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn a_drawn_secret_has_43_characters_and_no_twin() {
        let (one, two) = (Secret::draw(&System), Secret::draw(&System));
        assert_eq!(one.reveal().len(), 43);
        assert!(one != two);
    }

    #[test]
    fn what_is_sealed_opens_under_its_own_key_alone() {
        let (key, other) = (Secret::draw(&System), Secret::draw(&System));
        let sealed = Sealed::under(&key, &Secret::new("hunter2".into()));
        assert_eq!(sealed.open(&key).map(|secret| secret.reveal().to_owned()).as_deref(), Some("hunter2"));
        assert!(sealed.open(&other).is_none());
        assert!(!format!("{sealed:?}").contains("hunter2"));
        assert!(Sealed("AAAA".into()).open(&key).is_none());
    }

    #[test]
    fn a_vault_opens_under_its_own_key_alone() {
        let vault = Vault::under(Secret::new("k".repeat(32)));
        let mut locked = vault.lock("hunter2");
        assert!(!locked.windows(7).any(|window| window == b"hunter2"));
        assert_eq!(vault.unlock(&locked).map(|text| text.reveal().to_owned()).as_deref(), Some("hunter2"));
        assert!(Vault::under(Secret::new("l".repeat(32))).unlock(&locked).is_none());
        locked[0] ^= 1;
        assert!(vault.unlock(&locked).is_none());
    }

    /// RFC 4231 §4.3.
    #[test]
    fn rfc2104_a_code_is_known_by_its_own_key_alone() {
        let mac = Mac::under(&Secret::new("Jefe".into()));
        let code = mac.code("what do ya want for nothing?");
        assert_eq!(code, "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM");
        assert!(mac.made(&code, "what do ya want for nothing?") && !mac.made(&code, "what do ya want for nothing!"));
        let derived = mac.derived("x");
        assert!(
            !derived.made(&code, "what do ya want for nothing?") && derived.code("x") == mac.derived("x").code("x")
        );
        assert!(derived.code("x") != mac.derived("y").code("x"));
        for odd in ["", "x", &code[1..], &format!("{code}="), &format!("{code}A")] {
            assert!(!mac.made(odd, "what do ya want for nothing?"), "{odd}");
        }
    }

    #[test]
    fn oidc_8_1_a_pseudonym_is_stable_differs_by_sector_and_leads_back() {
        let names = Pseudonyms::under(Secret::new("k".repeat(32)));
        let at = |sector| names.hide(sector, "alice-248289761001");
        assert_eq!(at("a.example"), at("a.example"));
        assert_ne!(at("a.example"), at("b.example"));
        assert_ne!(at("a.example"), names.hide("a.example", "alice-248289761002"));
        assert_eq!(names.name("a.example", &at("a.example")).as_deref(), Some("alice-248289761001"));
        assert_eq!(names.name("b.example", &at("a.example")), None);
        assert_eq!(Pseudonyms::under(Secret::new("l".repeat(32))).name("a.example", &at("a.example")), None);
    }

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        assert_ne!(Digest::of_parts(&["ab", "c"]), Digest::of_parts(&["a", "bc"]));
        assert_ne!(Digest::of_parts(&["a"]), Digest::of_parts(&["a", ""]));
    }

    #[test]
    fn a_digest_survives_being_written_and_read() {
        let digest = Digest::of(b"certificate");
        let text = serde_json::to_string(&digest).expect("a digest is a string");
        assert_eq!(serde_json::from_str::<Digest>(&text).expect("as written"), digest);
        assert!(serde_json::from_str::<Digest>("\"AAAA\"").is_err());
    }
}
