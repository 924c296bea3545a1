//! [`judged`]: what both say of a proof, and that they differ for a known reason alone.

use countersign::clock::{Clock, System};
use serde_json::Value;

use crate::differences::{Difference, STRICTER, WIDER};
use crate::judges::{self, Verdict};
use crate::made::{Draft, Signer};

/// What a difference is told from.
pub(crate) struct Seen {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    pub(crate) text: String,
    /// When it was judged.
    pub(crate) now: i64,
}

impl Seen {
    pub(crate) fn of(draft: &Draft, text: &str) -> Self {
        let (header, claims) = (loose(&draft.header), loose(&draft.claims));
        Self { header, claims, text: text.to_owned(), now: System.now().seconds() }
    }
}

/// Both judge it. Where they differ, a difference of the list has to be why; and where that is but a way of saying it, they may not differ about the same said plainly.
#[track_caller]
pub(crate) fn judged(draft: &Draft, signer: &Signer) -> Verdict {
    let text = draft.signed(signer);
    let (ours, theirs) = (judges::ours(&text), judges::theirs(&text));
    let seen = Seen::of(draft, &text);
    let known = |list: &'static [Difference]| list.iter().filter(|difference| (difference.applies)(&seen));
    match (&ours, &theirs) {
        (Verdict::Taken(one), Verdict::Taken(other)) => assert_eq!(one, other, "one key, two names: {draft:?}"),
        (Verdict::Taken(_), Verdict::Refused(why)) => {
            assert!(known(WIDER).next().is_some(), "we take what they refuse ({why}): {draft:?}");
            let (mut plain, mut other) = (draft.clone(), None);
            for difference in known(WIDER) {
                other = (difference.plainly)(&mut plain).or(other);
            }
            let text = plain.signed(other.as_ref().unwrap_or(signer));
            let theirs = judges::theirs(&text);
            assert!(matches!(theirs, Verdict::Taken(_)), "we take what they refuse ({theirs:?}): {draft:?}");
        }
        (Verdict::Refused(why), Verdict::Taken(_)) => {
            assert!(known(STRICTER).next().is_some(), "they take what we refuse ({why}): {draft:?}");
        }
        (Verdict::Refused(_), Verdict::Refused(_)) => {}
    }
    ours
}

/// As JSON, if it is any; of two members of a name, one is here.
pub(crate) fn loose(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
