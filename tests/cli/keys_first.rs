//! `countersign keys` where there is no key yet.

use std::fs;

use crate::deployment::err;
use crate::keys::Keys;
use crate::serving::Serving;

#[test]
fn the_first_key_of_an_empty_folder_signs_at_once_and_the_next_does_not() {
    let keys = Keys::new();
    let folder = keys.0.certs().join("keys");
    fs::remove_dir_all(&folder).expect("removed");
    fs::create_dir(&folder).expect("made");
    let listed = keys.tried(&["list"]);
    assert!(!listed.status.success() && err(&listed).contains("`countersign keys generate` makes the first key"));
    assert!(keys.refused(2, &["rotate"]).contains("nothing is signed like that here"));
    assert!(keys.done(&["generate", "--alg", "ES256", "--dry-run"]).contains("nothing was done"));
    keys.done(&["generate", "--alg", "ES256"]);
    keys.done(&["generate", "--alg", "PS256"]);
    assert_eq!(keys.of("ES256").keys().collect::<Vec<_>>(), ["active"]);
    let waiting = keys.of("PS256")["next"].concat();
    keys.done(&["promote", "--now", "--yes", &waiting]);
    assert_eq!(keys.of("PS256")["active"], [waiting]);
    assert!(keys.0.check().status.success());
    Serving::start(&keys.0);
}

#[test]
fn a_key_of_ones_own_may_be_the_first() {
    let keys = Keys::new();
    let folder = keys.0.certs().join("keys");
    fs::remove_dir_all(&folder).expect("removed");
    fs::create_dir(&folder).expect("made");
    let own = keys.0.certs().join("till-es256.key");
    keys.done(&["import", own.to_str().expect("UTF-8")]);
    assert_eq!(keys.of("ES256").keys().collect::<Vec<_>>(), ["active"]);
}
