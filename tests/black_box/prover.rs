//! A till whose tokens are bound by DPoP (RFC 9449): a bank that has it, and the proofs that it makes.

use std::io::Write as _;
use std::path::Path;

use countersign::http::serve::Limits;
use countersign::jose::keyring::SigningKey;
use countersign::profile::FAPI_CIBA_ID1;
use countersign::secret::Digest;
use http::HeaderValue;
use serde_json::{Value, json};

use crate::bank::{Bank, client, key};
use crate::heard::Heard;
use crate::token::Draft;
use crate::tpp::Tpp;
use crate::wired::{and_another, switched_on};

/// What the profiles say that ship.
const REQUIRED: &str = "dpop_nonce = \"required\"";

/// What a challenge says of how proofs are signed.
pub(crate) const ALGS: &str = "algs=\"ES256 PS256 Ed25519\"";

/// A bank with everything on, and a client, till 11, whose tokens are bound by DPoP.
pub(crate) fn with_till11(shipped: &str) -> String {
    let on = switched_on(shipped, "https://localhost:1/ping");
    format!("{}\ndpop_bound_access_tokens = true\n", and_another(&on, "till-11").trim_end())
}

/// The same, where a proof may have no nonce: so each shows what is wrong with it, and nothing else.
pub(crate) fn on(shipped: &str) -> String {
    lenient(&with_till11(shipped))
}

/// The same configuration under a profile in which a proof may have no nonce.
pub(crate) fn lenient(config: &str) -> String {
    nonces(config, "lenient")
}

fn nonces(config: &str, how: &str) -> String {
    assert!(FAPI_CIBA_ID1.contains(REQUIRED));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut file = tempfile::NamedTempFile::new_in(folder).expect("a file");
    let profile = FAPI_CIBA_ID1.replace(REQUIRED, &format!("dpop_nonce = \"{how}\""));
    file.write_all(profile.as_bytes()).expect("written");
    // Whoever else wrote it wrote the same.
    let path = folder.join(format!("nonces-{how}.toml"));
    file.persist(&path).expect("named");
    config.replace("\"fapi-ciba-id1\"", &format!("\"{}\"", path.display()))
}

pub(crate) async fn open() -> Bank {
    Bank::with(Limits::default(), on).await
}

/// A bank as it ships: no proof does without a nonce.
pub(crate) async fn strict() -> Bank {
    Bank::with(Limits::default(), with_till11).await
}

/// A bank without nonces.
pub(crate) async fn without_nonces() -> Bank {
    Bank::with(Limits::default(), |shipped| nonces(&with_till11(shipped), "off")).await
}

/// What it says the next proof has to have.
#[track_caller]
pub(crate) fn nonce(heard: &Heard) -> String {
    let mut offered = heard.headers.get_all("dpop-nonce").iter();
    let (Some(nonce), None) = (offered.next(), offered.next()) else { panic!("one nonce: {heard:#?}") };
    nonce.to_str().expect("ASCII").to_owned()
}

/// Till 11, which shows no certificate.
pub(crate) fn till11(bank: &Bank) -> Tpp<'_> {
    Tpp::new(bank, "till-11", (key("till8.key"), key("till8.key")), None)
}

/// The public part of `key`, as a proof brings it along.
pub(crate) fn jwk(key: &SigningKey) -> Value {
    let mut jwk = key.public().clone();
    jwk.retain(|name, _| ["kty", "crv", "x", "y", "n", "e"].contains(&name.as_str()));
    jwk.into()
}

/// A good proof by `key`.
pub(crate) fn proof(bank: &Bank, key: &SigningKey, (method, path): (&str, &str)) -> Draft {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let jti = format!("proof-{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
    let htu = format!("{}{path}", bank.issuer);
    let claims = json!({"jti": jti, "htm": method, "htu": htu, "iat": bank.now()});
    Draft::new(claims, key.clone()).without_header("kid").header("typ", "dpop+jwt").header("jwk", jwk(key))
}

pub(crate) fn for_token(bank: &Bank, key: &SigningKey) -> Draft {
    proof(bank, key, ("POST", "/token"))
}

/// Polls with these `DPoP` headers.
pub(crate) async fn poll(till: &Tpp<'_>, auth_req_id: &str, proofs: &[&str]) -> Heard {
    let request = till.poll_http(auth_req_id, |request| {
        for proof in proofs {
            request.headers_mut().append("dpop", HeaderValue::from_str(proof).expect("ASCII"));
        }
    });
    Heard::of(request).await
}

/// An approved request.
pub(crate) async fn approved(bank: &Bank, till: &Tpp<'_>) -> String {
    let auth_req_id = till.auth_req_id().await;
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    auth_req_id
}

pub(crate) async fn tokens(bank: &Bank, key: &SigningKey) -> Heard {
    let till = till11(bank);
    let auth_req_id = approved(bank, &till).await;
    poll(&till, &auth_req_id, &[&for_token(bank, key).finish()]).await
}

/// Asks who the user is, with `token` under `scheme` and perhaps a proof.
pub(crate) async fn userinfo(bank: &Bank, (scheme, token): (&str, &str), proof: Option<Draft>) -> Heard {
    let request = client(None).get(bank.url("/userinfo")).header("authorization", format!("{scheme} {token}"));
    Heard::of(proof.iter().fold(request, |request, proof| request.header("dpop", proof.finish()))).await
}

pub(crate) fn at_resource(bank: &Bank, key: &SigningKey, token: &str) -> Draft {
    proof(bank, key, ("GET", "/userinfo")).with("ath", Digest::of(token.as_bytes()).to_string())
}

/// Refused at a resource, with the challenge that goes with it (RFC 9449 §7.1).
#[track_caller]
pub(crate) fn challenged(heard: &Heard, error: &str) {
    assert_eq!((heard.status, heard.body["error"].as_str()), (401, Some(error)), "{heard:#?}");
    let challenge = heard.headers["www-authenticate"].to_str().expect("ASCII");
    assert_eq!(challenge, format!("DPoP error=\"{error}\", {ALGS}"));
}
