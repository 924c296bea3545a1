//! What an attacker puts where a signature belongs, and tokens bent after signing.

use std::fs;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::jose::keyring::SigningKey;
use josekit::jws::JwsSigner;
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::bank::{pkcs8, pki};
use crate::token::Draft;

/// A way to sign.
pub(crate) type Forgery = fn(&SigningKey, &[u8]) -> Vec<u8>;

/// A way to change a finished token.
pub(crate) type Mangle = fn(String) -> String;

/// The right signature.
pub(crate) fn honest(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    JwsSigner::sign(key, message).expect("signs")
}

/// RFC 7515 §A.5: no signature at all.
pub(crate) fn nothing(_: &SigningKey, _: &[u8]) -> Vec<u8> {
    Vec::new()
}

/// As many zeros as a signature has bytes: for ECDSA, the r = s = 0 of CVE-2022-21449.
pub(crate) fn zeros(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    vec![0; honest(key, message).len()]
}

/// Each byte of the signature XOR 0x5A, as the conformance suite breaks it.
pub(crate) fn inverted(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    honest(key, message).into_iter().map(|byte| byte ^ 0x5A).collect()
}

/// The last bit of the signature turned.
pub(crate) fn one_bit_off(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let mut signature = honest(key, message);
    *signature.last_mut().expect("not empty") ^= 1;
    signature
}

/// The signature without its last byte.
pub(crate) fn cut(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let mut signature = honest(key, message);
    signature.pop();
    signature
}

/// The signature with a byte too many.
pub(crate) fn drawn_out(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    [honest(key, message), vec![0]].concat()
}

/// A right signature with a character in it that base64url and base64 spell differently.
pub(crate) fn dashed(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let differs = |signature: &Vec<u8>| URL_SAFE_NO_PAD.encode(signature).contains(['-', '_']);
    std::iter::repeat_with(|| honest(key, message)).find(differs).expect("each signature is another")
}

/// RSASSA-PKCS1-v1_5 with till 7's own RSA key.
pub(crate) fn rs256(_: &SigningKey, message: &[u8]) -> Vec<u8> {
    let pair = RsaKeyPair::from_pkcs8(pkcs8("till-ps256.key").secret_pkcs8_der()).expect("an RSA key");
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).expect("signs");
    signature
}

/// ECDSA with till 7's own key, right but for its encoding: DER, where RFC 7518 §3.4 has r and s side by side.
pub(crate) fn der(_: &SigningKey, message: &[u8]) -> Vec<u8> {
    let own = pkcs8("till-es256.key");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, own.secret_pkcs8_der()).expect("an EC key");
    let random: &dyn rand::SecureRandom = &SystemRandom::new();
    pair.sign(random, message).expect("signs").as_ref().to_vec()
}

/// HMAC with the public key as the world sees it: its JWK.
pub(crate) fn hmac_of_jwk(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    hmac_of(json!(key.public()).to_string().as_bytes(), message)
}

/// HMAC with the bytes of the public key: the modulus, or the coordinate x.
pub(crate) fn hmac_of_number(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let number = key.public().get("n").or(key.public().get("x")).and_then(Value::as_str).expect("a public key");
    hmac_of(&URL_SAFE_NO_PAD.decode(number).expect("base64url"), message)
}

/// HMAC with the PEM of till 7's public EC key.
pub(crate) fn hmac_of_es256_pem(_: &SigningKey, message: &[u8]) -> Vec<u8> {
    hmac_of(public_pem("till-es256.key").as_bytes(), message)
}

/// HMAC with the PEM of till 7's public RSA key.
pub(crate) fn hmac_of_ps256_pem(_: &SigningKey, message: &[u8]) -> Vec<u8> {
    hmac_of(public_pem("till-ps256.key").as_bytes(), message)
}

fn public_pem(file: &str) -> String {
    let private = fs::read_to_string(pki().join(file)).expect("a key");
    KeyPair::from_pem(&private).expect("a key").public_key_pem()
}

fn hmac_of(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

/// The same bytes in another spelling: the last character with a stray bit set.
pub(crate) fn stray_bit(mut token: String) -> String {
    let last = token.pop().expect("not empty");
    token.push(match last {
        'A' => 'B',
        'Q' => 'R',
        'g' => 'h',
        'w' => 'x',
        other => panic!("{other} does not end 64 or 256 bytes"),
    });
    token
}

/// The token with its signature in plain base64.
pub(crate) fn plain_base64(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').expect("dots");
    format!("{signed}.{}", signature.replace('-', "+").replace('_', "/"))
}

/// The token with `from` in its payload replaced by `to`, under the old signature.
pub(crate) fn reworded(token: &str, from: &str, to: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).expect("base64url")).expect("UTF-8");
    assert!(claims.contains(from), "{claims}");
    format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.replace(from, to)), parts[2])
}

/// The payload with `name` in it twice, each time as it was.
pub(crate) fn doubled_claim(draft: Draft, name: &str) -> Draft {
    let text = Value::from(draft.claims().clone()).to_string();
    let twin = format!("{{{}:{},", json!(name), draft.claims()[name]);
    let doubled = text.replacen('{', &twin, 1);
    draft.raw_claims(doubled)
}

/// The header with `name` in it twice, each time as it was.
pub(crate) fn doubled_header(draft: Draft, key: &SigningKey, name: &str) -> Draft {
    let header = json!({"alg": key.alg().name(), "kid": key.key_id()});
    let twin = format!("{{{}:{},", json!(name), header[name]);
    draft.raw_header(header.to_string().replacen('{', &twin, 1))
}

/// The longest token of at most `longest` bytes that padding makes of `draft`, and one that is just longer.
pub(crate) fn around(draft: &Draft, longest: usize) -> (String, String) {
    let padded = |n: usize| draft.clone().with("padding", "p".repeat(n)).finish();
    let mut room = (longest - padded(0).len()) / 4 * 3 - 3;
    while padded(room + 1).len() <= longest {
        room += 1;
    }
    (padded(room), padded(room + 1))
}
