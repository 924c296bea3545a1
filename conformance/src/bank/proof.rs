//! A DPoP proof at one of the bank's APIs (RFC 9449 §4.3, §7.1): that whoever brings a token holds the key that it is bound to. What deploy/bank.md asks of every API.

use std::collections::{BTreeMap, HashSet};
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

/// A proof of this call, whose key may be the wrong one.
pub(super) struct Holder {
    /// What a token would be bound to.
    pub(super) jkt: Digest,
    jti: String,
    until: Timestamp,
}

/// Proofs that were shown with a token of their key, by the second from which on nobody takes them: a minute and a half of them.
#[derive(Default)]
pub(super) struct Shown(Mutex<BTreeMap<Timestamp, HashSet<(Digest, String)>>>);

impl Shown {
    /// Whether it is shown for the first time. Asked last, once the token turned out to be live and bound to the key: who has no token leaves nothing here.
    pub(super) fn first(&self, Holder { jkt, jti, until }: Holder, now: Timestamp) -> bool {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = shown.split_off(&now);
        let proof = (jkt, jti);
        let known = shown.values().any(|proofs| proofs.contains(&proof));
        let full = shown.values().map(HashSet::len).sum::<usize>() >= MOST;
        !known && !full && shown.entry(until).or_default().insert(proof)
    }
}

/// Who made the one proof in `head`, if it is one of this call and of `token`.
pub(super) fn holder(bank: &Bank, head: &Parts, token: &str) -> Option<Holder> {
    let mut headers = head.headers.get_all("dpop").iter();
    let text = headers.next()?.to_str().ok().filter(|_| headers.next().is_none())?;
    let proof = Proof::read(text).ok()?;
    let places = [format!("{}{}", bank.url, head.uri.path())];
    let token = Secret::new(token.to_owned());
    let call =
        Call { method: head.method.as_str(), places: &places, token: Some(&token), now: bank.now(), leeway: AHEAD };
    let proven = proof.of(&call).ok()?;
    Some(Holder { jkt: proven.jkt, jti: proven.jti.to_owned(), until: proven.until })
}
