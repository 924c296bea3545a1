//! A DPoP proof at one of the bank's APIs (RFC 9449 §4.3, §7.1): that whoever brings a token holds the key that it is bound to. What deploy/bank.md asks of every API.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::request::Parts;
use countersign::clock::Timestamp;
use countersign::jose::claims::is_an_id;
use countersign::jose::dpop::{Proof, is_same_place};
use countersign::secret::Digest;

use crate::bank::Bank;

/// How old a proof may be, and how far its clock may run ahead, in seconds.
const OLDEST: i64 = 60;
const AHEAD: i64 = 30;

/// More proofs than anybody makes in a minute and a half. Nobody is let in beyond that.
const MOST: usize = 100_000;

/// Proofs that were shown, and until when they could be shown again.
#[derive(Default)]
pub(super) struct Shown(Mutex<HashMap<(Digest, String), Timestamp>>);

impl Shown {
    /// Whether it is shown for the first time.
    fn first(&self, proof: (Digest, String), (until, now): (Timestamp, Timestamp)) -> bool {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|_, until| now <= *until);
        shown.len() < MOST && shown.insert(proof, until).is_none()
    }
}

/// The thumbprint of the key that made the one proof in `head`, if it is one of this call and of `token`.
pub(super) fn holder(bank: &Bank, head: &Parts, token: &str) -> Option<Digest> {
    let mut headers = head.headers.get_all("dpop").iter();
    let text = headers.next()?.to_str().ok().filter(|_| headers.next().is_none())?;
    let (proof, now) = (Proof::read(text).ok()?, bank.now());
    let claims = proof.claims();
    let text = |name| claims.string(name).ok().flatten();
    let (jti, iat) = (text("jti").filter(|jti| is_an_id(jti))?, claims.time("iat").ok().flatten()?);
    let place = format!("{}{}", bank.url, head.uri.path());
    let holds = text("htm") == Some(head.method.as_str())
        && text("htu").is_some_and(|htu| is_same_place(htu, &place))
        && text("ath") == Some(&Digest::of(token.as_bytes()).to_string())
        && (-AHEAD..=OLDEST).contains(&now.since(iat));
    let until = iat.plus(u32::try_from(OLDEST).unwrap_or_default());
    (holds && bank.shown.first((proof.jkt(), jti.to_owned()), (until, now))).then(|| proof.jkt())
}
