//! [`judged`]: what both say of a proof, and that they differ for a known reason alone.

use serde_json::Value;

use crate::differences::{Difference, STRICTER, WIDER};
use crate::judges::{self, Verdict};
use crate::made::{Draft, Signer};

/// What a difference is told from.
pub(crate) struct Seen {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    pub(crate) text: String,
}

/// Both judge it. Where they differ, a difference of the list has to be why.
#[track_caller]
pub(crate) fn judged(draft: &Draft, signer: &Signer) -> Verdict {
    let text = draft.signed(signer);
    let (ours, theirs) = (judges::ours(&text), judges::theirs(&text));
    let known = |list: &[Difference]| {
        let seen = Seen { header: loose(&draft.header), claims: loose(&draft.claims), text: text.clone() };
        list.iter().any(|difference| (difference.applies)(&seen))
    };
    match (&ours, &theirs) {
        (Verdict::Taken(one), Verdict::Taken(other)) => assert_eq!(one, other, "one key, two names: {draft:?}"),
        (Verdict::Taken(_), Verdict::Refused(why)) => {
            assert!(known(WIDER), "we take what they refuse ({why}): {draft:?}");
        }
        (Verdict::Refused(why), Verdict::Taken(_)) => {
            assert!(known(STRICTER), "they take what we refuse ({why}): {draft:?}");
        }
        (Verdict::Refused(_), Verdict::Refused(_)) => {}
    }
    ours
}

/// As JSON, if it is any; of two members of a name, one is here.
pub(crate) fn loose(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
