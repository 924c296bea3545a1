//! A DPoP proof at one of the bank's APIs (RFC 9449 §4.3, §7.1): that whoever brings a token holds the key that it is bound to. What deploy/bank.md asks of every API.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::request::Parts;
use countersign::clock::Timestamp;
use countersign::jose::dpop::{Call, Proof};
use countersign::secret::{Digest, Secret};

use crate::bank::Bank;

/// How far a till's clock may run ahead, in seconds.
const AHEAD: u32 = 30;

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
    let proof = Proof::read(text).ok()?;
    let places = [format!("{}{}", bank.url, head.uri.path())];
    let token = Secret::new(token.to_owned());
    let call =
        Call { method: head.method.as_str(), places: &places, token: Some(&token), now: bank.now(), leeway: AHEAD };
    let proven = proof.of(&call).ok()?;
    bank.shown.first((proven.jkt, proven.jti.to_owned()), (proven.until, call.now)).then_some(proven.jkt)
}
