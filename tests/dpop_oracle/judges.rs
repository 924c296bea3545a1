//! The two who judge, on the same call with the same token and the same limits.

use countersign::clock::{Clock, System};
use countersign::jose::dpop::{Call, Proof, Unproven};
use countersign::secret::Secret;
use dpop_verifier::{DpopError, DpopVerifier, ReplayContext, ReplayStore};
use futures_util::FutureExt as _;

/// Where the call goes.
pub(crate) const URL: &str = "https://as.example/token";

/// What is used there.
pub(crate) const TOKEN: &str = "a-token-that-opens-something";

/// What one of them says.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Under this thumbprint and `jti`.
    Taken((String, String)),
    Refused(String),
}

pub(crate) fn ours(text: &str) -> Verdict {
    let token = Secret::new(TOKEN.to_owned());
    let places = [URL.to_owned()];
    let call = Call { method: "POST", places: &places, token: Some(&token), now: System.now(), leeway: 10 };
    let refused = |why: &str| Verdict::Refused(why.to_owned());
    match Proof::read(text) {
        Err(Unproven { cause, .. }) => refused(cause),
        Ok(proof) => match proof.of(&call) {
            Err(Unproven { cause, .. }) => refused(cause),
            Ok(shown) => Verdict::Taken((shown.jkt.to_string(), shown.jti.to_owned())),
        },
    }
}

pub(crate) fn theirs(text: &str) -> Verdict {
    let verifier = DpopVerifier::new().with_max_age_seconds(60).with_future_skew_seconds(10);
    match verifier.verify(&mut Anything, text, URL, "POST", Some(TOKEN)).now_or_never().expect("it waits for nothing") {
        Ok(proof) => Verdict::Taken((proof.jkt, proof.jti)),
        Err(why) => Verdict::Refused(why.to_string()),
    }
}

/// Ours is judged without a store, so theirs takes everything as new.
struct Anything;

#[async_trait::async_trait]
impl ReplayStore for Anything {
    async fn insert_once(&mut self, _: [u8; 32], _: ReplayContext<'_>) -> Result<bool, DpopError> {
        Ok(true)
    }
}
