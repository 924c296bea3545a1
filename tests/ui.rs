//! What must not compile: each file in `ui/` tries one way around the gate or into a secret, and its `.stderr` says how the compiler refuses it.
//!
//! After a change of wording in the compiler: `TRYBUILD=overwrite cargo test --test ui`, then read what changed.

#[test]
fn nothing_goes_around_the_gate_and_no_secret_is_shown() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
