//! Header and claims as a fuzzer has them, signed, and judged by ours and by `dpop-verifier`: a difference that `tests/dpop_oracle/differences.rs` does not know is a crash.
//! In the two lines of an input, `JWK` stands for the key, `NOW` for the time and `ATH` for the digest of the token.

#![no_main]

#[allow(dead_code, reason = "the test shows that each difference is one")]
#[path = "../../dpop_oracle/differences.rs"]
mod differences;
#[path = "../../dpop_oracle/judged.rs"]
mod judged;
#[path = "../../dpop_oracle/judges.rs"]
mod judges;
#[allow(dead_code, reason = "the test makes mistakes of its own")]
#[path = "../../dpop_oracle/made.rs"]
mod made;

use std::sync::LazyLock;

use countersign::clock::{Clock, System};
use countersign::secret::Digest;
use libfuzzer_sys::fuzz_target;

use crate::judges::TOKEN;
use crate::made::{Draft, Signer};

static SIGNERS: LazyLock<[Signer; 2]> = LazyLock::new(|| [Signer::p256(), Signer::edwards("Ed25519")]);

fuzz_target!(|text: &str| {
    let Some((header, claims)) = text.split_once('\n') else { return };
    let ath = Digest::of(TOKEN.as_bytes()).to_string();
    let claims = claims.replace("NOW", &System.now().seconds().to_string()).replace("ATH", &ath);
    for signer in SIGNERS.iter() {
        let header = header.replace("JWK", &signer.header()["jwk"].to_string());
        judged::judged(&Draft { header, claims: claims.clone() }, signer);
    }
});
