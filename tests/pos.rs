//! The point-of-sale example, run as a newcomer would: it tells its story to the end, and nothing it tells is a secret.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;

/// All at once, however few cores there are: they spend their time waiting for the next poll.
#[test]
fn the_story_is_told_whichever_way_it_goes() {
    thread::scope(|scope| {
        scope.spawn(one_purchase_is_approved_and_one_denied);
        scope.spawn(with_dpop_a_key_stands_for_the_certificate);
        scope.spawn(with_deny_the_till_hears_access_denied);
        scope.spawn(with_phone_the_keyboard_decides);
        scope.spawn(with_phone_the_end_of_the_input_is_a_no);
    });
}

fn one_purchase_is_approved_and_one_denied() {
    let story = tell(&[], "");
    in_order(
        &story,
        &[
            "POST /bc-authorize",
            "PS256",
            "POST /identify",
            "POST /prompt",
            "Till 7: 42.90",
            "HTTP/1.1 400 Bad Request",
            "authorization_pending",
            "Corner Shop, till 7 asks to",
            "see your balance (accounts)",
            "Till 7: 42.90",
            "phone → bank         yes",
            "POST /decision",
            "HTTP/1.1 204 No Content",
            "HTTP/1.1 200 OK",
            "access_token",
            "expires_in    300",
            "id_token",
            "The ID token holds",
            "GET /accounts",
            "HTTP/1.1 200 OK",
            "balance  1204.50 EUR",
            "thief → bank         GET /accounts",
            "HTTP/1.1 401 Unauthorized",
            "Bearer error=\"invalid_token\"",
            "HTTP/1.1 400 Bad Request",
            "invalid_grant",
            "Till 7: 980.00",
            "authorization_pending",
            "phone → bank         no",
            "access_denied",
            "What just happened",
        ],
    );
}

fn with_dpop_a_key_stands_for_the_certificate() {
    let story = tell(&["--dpop"], "");
    in_order(
        &story,
        &[
            "a third that its tokens",
            "POST /token",
            "TLS certificate   none",
            "DPoP",
            "with the public key, signed with ES256,",
            "htm, htu",
            "POST https://localhost:",
            "use_dpop_nonce",
            "DPoP-Nonce",
            "wants to see that the proof was made just now",
            "POST /token",
            "nonce",
            "made just now: ",
            "authorization_pending",
            "token_type    DPoP",
            "Authorization    DPoP ",
            "htm, htu",
            "GET https://localhost:",
            "ath",
            "this token: its SHA-256 ",
            "The token is bound to key",
            "same: go on.",
            "balance  1204.50 EUR",
            "thief → bank         GET /accounts",
            "The token is bound to key",
            "Another:",
            "HTTP/1.1 401 Unauthorized",
            "DPoP error=\"invalid_token\"",
            "invalid_grant",
            "access_denied",
            "with the till's key alone",
        ],
    );
}

fn with_deny_the_till_hears_access_denied() {
    let story = tell(&["--deny"], "");
    in_order(&story, &["authorization_pending", "phone → bank         no", "access_denied", "What just happened"]);
    assert!(!story.contains("access_token") && !story.contains("/accounts HTTP"), "there is no token:\n{story}");
}

fn with_phone_the_keyboard_decides() {
    let story = tell(&["--phone"], "perhaps\ny\nn\n");
    in_order(
        &story,
        &[
            "authorization_pending",
            "Approve \"Till 7: 42.90\"? Type y or n, then Enter: perhaps",
            "Approve \"Till 7: 42.90\"? Type y or n, then Enter: y",
            "phone → bank         yes",
            "access_token",
            "balance  1204.50 EUR",
            "HTTP/1.1 401 Unauthorized",
            "invalid_grant",
            "Approve \"Till 7: 980.00\"? Type y or n, then Enter: n",
            "access_denied",
        ],
    );
}

fn with_phone_the_end_of_the_input_is_a_no() {
    let story = tell(&["--phone"], "");
    in_order(&story, &["no (end of input)", "access_denied", "no (end of input)", "access_denied"]);
    assert!(!story.contains("access_token"), "there is no token:\n{story}");
}

/// What the example prints into a pipe, with `options` and with `typed` on its standard input.
fn tell(options: &[&str], typed: &str) -> String {
    let mut child = Command::new(example())
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    child.stdin.take().expect("piped").write_all(typed.as_bytes()).expect("it fits into the pipe");
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the example ends");
    let story = String::from_utf8(stdout).expect("the story is text");
    assert!(status.success(), "{status}\n{}\n{story}", String::from_utf8_lossy(&stderr));
    assert_eq!(String::from_utf8_lossy(&stderr), "", "the server has nothing to complain about");
    assert!(!story.contains('\u{1b}'), "a pipe is not coloured");
    let (long, wide) = (story.split(|c: char| !of_a_token(c)).find(|word| word.len() >= 43), widest(&story));
    assert_eq!(long, None, "nothing as long as a token is printed whole");
    assert!(wide <= 100, "{wide} columns");
    story
}

/// `cargo test` builds the examples; `cargo test --test pos` alone does not.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("tests are built into target/<profile>/deps");
    let example = profile.join("examples").join("pos");
    assert!(example.exists(), "{} is missing: run `cargo build --example pos` first", example.display());
    example
}

fn in_order(story: &str, milestones: &[&str]) {
    let mut rest = story;
    for milestone in milestones {
        let Some((_, after)) = rest.split_once(milestone) else {
            panic!("{milestone:?} does not come where it should:\n{story}")
        };
        rest = after;
    }
}

fn of_a_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn widest(story: &str) -> usize {
    story.lines().map(|line| line.chars().count()).max().unwrap_or_default()
}
