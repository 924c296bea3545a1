//! DPoP proofs, judged by ours and by `dpop-verifier`: whatever one takes and the other does not is in `differences.rs`, with a reason.

mod differences;
mod judged;
mod judges;
mod made;

use serde_json::{Map, Value, json};

use crate::differences::{STRICTER, WIDER};
use crate::judged::{Seen, judged};
use crate::judges::{TOKEN, URL, Verdict};
use crate::made::{Draft, Maker, Signer};

fn taken(draft: &Draft, signer: &Signer) -> bool {
    matches!(judged(draft, signer), Verdict::Taken(_))
}

#[test]
fn a_good_proof_is_taken_by_both_under_one_thumbprint() {
    for signer in [Signer::p256(), Signer::edwards("Ed25519")] {
        let draft = Draft::good(&signer);
        assert!(taken(&draft, &signer));
    }
    let signer = Signer::p256();
    assert!(matches!(judges::theirs(&Draft::good(&signer).signed(&signer)), Verdict::Taken(_)));
}

/// A difference that nothing shows is a line that is no longer true.
#[test]
fn every_difference_of_the_list_is_one() {
    for (list, ours) in [(STRICTER, false), (WIDER, true)] {
        for difference in list {
            let signer = (difference.signer)();
            let mut draft = Draft::good(&signer);
            (difference.example)(&mut draft);
            let text = draft.signed(&signer);
            let (one, other) = (judges::ours(&text), judges::theirs(&text));
            assert_eq!(matches!(one, Verdict::Taken(_)), ours, "{}: ours says {one:?}", difference.reason);
            assert_eq!(matches!(other, Verdict::Taken(_)), !ours, "{}: theirs says {other:?}", difference.reason);
            assert!(
                (difference.applies)(&Seen::of(&draft, &text)),
                "{}: it does not say that of its own example",
                difference.reason
            );
        }
    }
}

/// Each member of header, key and claims: away, and with each of these in its place.
#[test]
fn no_value_in_place_of_another_divides_them_unawares() {
    let values = [
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(""),
        json!("a"),
        json!("A".repeat(300)),
        json!("A".repeat(43)),
        json!(" POST"),
        json!("post"),
        json!("ES256"),
        json!("EdDSA"),
        json!("Ed25519"),
        json!("PS256"),
        json!("none"),
        json!("HS256"),
        json!("DPOP+JWT"),
        json!(URL),
        json!("https://AS.example:443/./token?a=b#c"),
        json!("http://as.example/token"),
        json!([]),
        json!({}),
    ];
    let (mut judgements, mut good) = (0, 0);
    for signer in [Signer::p256(), Signer::edwards("Ed25519"), Signer::rsa()] {
        let draft = Draft::good(&signer);
        let (header, claims) = (object(&draft.header), object(&draft.claims));
        for value in std::iter::once(None).chain(values.iter().map(Some)) {
            let extra = ["crit", "kid", "b64", "d", "x5u"].map(str::to_owned);
            for name in header.keys().cloned().chain(extra) {
                let draft = Draft { header: changed(&header, &name, value), ..draft.clone() };
                good += usize::from(taken(&draft, &signer));
                judgements += 1;
            }
            let jwk = header["jwk"].as_object().expect("a key");
            for name in jwk.keys().cloned().chain(["d", "k", "p", "kid", "use", "alg"].map(str::to_owned)) {
                let jwk: Value = serde_json::from_str(&changed(jwk, &name, value)).expect("JSON");
                let draft = Draft { header: changed(&header, "jwk", Some(&jwk)), ..draft.clone() };
                good += usize::from(taken(&draft, &signer));
                judgements += 1;
            }
            for name in claims.keys().cloned().chain(["nonce", "exp", "nbf", "aud"].map(str::to_owned)) {
                let draft = Draft { claims: changed(&claims, &name, value), ..draft.clone() };
                good += usize::from(taken(&draft, &signer));
                judgements += 1;
            }
        }
    }
    assert!(judgements > 900 && good > 50 && good < judgements / 2, "{good} of {judgements} are taken");
}

/// The text of header or claims with a few characters changed, and signed again: what a hand-made client could send.
#[test]
fn no_typing_mistake_divides_them_unawares() {
    let mut maker = Maker::new(0x5eed);
    let mut good = 0;
    for signer in [Signer::p256(), Signer::edwards("Ed25519")] {
        for _ in 0..6_000 {
            let mut draft = Draft::good(&signer);
            let in_header = maker.one_in(2);
            maker.mistype(if in_header { &mut draft.header } else { &mut draft.claims });
            good += usize::from(taken(&draft, &signer));
        }
    }
    assert!(good > 100, "{good} are taken: the mistakes are too coarse to show anything");
}

/// The finished text with characters changed: nothing is signed again, so next to nothing holds.
#[test]
fn no_noise_on_the_way_divides_them_unawares() {
    let mut maker = Maker::new(0xbad);
    let signer = Signer::p256();
    for _ in 0..4_000 {
        let mut text = Draft::good(&signer).signed(&signer);
        let whole = text.clone();
        maker.mistype(&mut text);
        for verdict in [judges::ours(&text), judges::theirs(&text)] {
            assert!(text == whole || matches!(verdict, Verdict::Refused(_)), "{text}");
        }
    }
}

#[test]
fn both_want_the_token_that_comes_with_it() {
    let signer = Signer::p256();
    let other = Draft::of_token(&signer, "another token");
    assert!(!taken(&other, &signer));
    assert!(taken(&Draft::of_token(&signer, TOKEN), &signer));
}

fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("an object")
}

fn changed(object: &Map<String, Value>, name: &str, value: Option<&Value>) -> String {
    let mut object = object.clone();
    match value {
        None => object.remove(name),
        Some(value) => object.insert(name.to_owned(), value.clone()),
    };
    Value::Object(object).to_string()
}
