//! Every clause that the source refuses under is in `conformance/clauses.toml`, with a test that exists or a reason why there is none.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use countersign::profile::assertion::ClientAssertion;
use countersign::profile::backchannel::Backchannel;
use countersign::profile::client_credentials::ClientCredentials;
use countersign::profile::decision::Decision;
use countersign::profile::inspection::Inspection;
use countersign::profile::management::{Management, Replacement};
use countersign::profile::redemption::Redemption;
use countersign::profile::refresh::Refresh;
use countersign::profile::request_object::RequestObject;
use countersign::profile::resource::ResourceCall;
use countersign::profile::revocation::Revocation;
use countersign::profile::standing::Standing;
use countersign::profile::verified::Governed;
use serde::Deserialize;

/// How a clause id starts.
const SPECS: [&str; 18] = [
    "CIBA-",
    "FAPICIBA-",
    "FAPI1A-",
    "FAPI1B-",
    "FAPI2-",
    "CA-",
    "JAR-",
    "OAUTH-",
    "INTRO-",
    "OIDC-",
    "RFC7523-",
    "MTLS-",
    "META-",
    "DCR-",
    "DPOP-",
    "RT-",
    "REV-",
    "IDT-",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clauses {
    clause: Vec<Clause>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clause {
    spec: String,
    id: String,
    says: String,
    #[serde(default)]
    tests: Vec<String>,
    untested: Option<String>,
}

fn clauses() -> Vec<Clause> {
    let text = fs::read_to_string(root().join("conformance/clauses.toml")).expect("it is there");
    toml::from_str::<Clauses>(&text).expect("well-formed").clause
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(folders: &[&str]) -> String {
    let mut pending: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut text = String::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("readable").path()));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            // Flush left, so that a test and its attribute stand on neighbouring lines wherever they are.
            text.extend(fs::read_to_string(&path).expect("UTF-8").lines().flat_map(|line| [line.trim_start(), "\n"]));
        }
    }
    text
}

/// The clause ids among the string literals of the source, and those of every rule.
fn claimed() -> BTreeSet<String> {
    fn rules<T: Governed>() -> impl Iterator<Item = String> {
        T::RULES.iter().map(|rule| rule.clause.to_owned())
    }
    let source = text_of(&["src"]);
    let literals = source
        .split('"')
        .filter(|word| SPECS.iter().any(|spec| word.starts_with(spec)) && !word.contains(char::is_whitespace));
    literals
        .map(str::to_owned)
        .chain(rules::<ClientAssertion>())
        .chain(rules::<RequestObject>())
        .chain(rules::<Backchannel>())
        .chain(rules::<Redemption>())
        .chain(rules::<ClientCredentials>())
        .chain(rules::<Decision>())
        .chain(rules::<Inspection>())
        .chain(rules::<Management>())
        .chain(rules::<Refresh>())
        .chain(rules::<Replacement>())
        .chain(rules::<ResourceCall>())
        .chain(rules::<Revocation>())
        .chain(rules::<Standing>())
        .collect()
}

#[test]
fn every_clause_of_the_source_is_listed() {
    let listed: BTreeSet<String> = clauses().into_iter().map(|clause| clause.id).collect();
    let missing: Vec<_> = claimed().difference(&listed).cloned().collect();
    assert!(missing.is_empty(), "not listed: {missing:?}");
    let strange: Vec<_> = listed.iter().filter(|id| !SPECS.iter().any(|spec| id.starts_with(spec))).collect();
    assert!(strange.is_empty(), "of no spec: {strange:?}");
}

#[test]
fn every_clause_has_a_test_that_exists_or_a_reason() {
    let tests = tests();
    let mut seen = BTreeSet::new();
    for Clause { id, spec, says, tests: named, untested } in clauses() {
        assert!(
            !says.is_empty() && !spec.is_empty() && seen.insert(id.clone()),
            "{id}: says nothing, or is listed twice"
        );
        assert_eq!(
            named.is_empty(),
            untested.is_some_and(|reason| !reason.is_empty()),
            "{id}: either tests, or why there is none"
        );
        for test in named {
            assert!(tests.contains(&test), "{id}: there is no test {test}");
        }
    }
}

/// The names of all tests, and of the modules of the official plan, each of which is a test for some shapes of client.
fn tests() -> BTreeSet<String> {
    let text = text_of(&["tests", "src"]);
    let lines: Vec<&str> = text.lines().collect();
    let written = lines.windows(2).filter_map(|pair| {
        let marked = pair[0] == "#[test]" || pair[0].starts_with("#[tokio::test");
        let name = pair[1].trim_start_matches("async ").strip_prefix("fn ")?.strip_suffix("() {")?;
        marked.then(|| name.to_owned())
    });
    let mirrored = lines.iter().filter_map(|line| {
        let (name, shapes) = line.strip_suffix(',')?.split_once(": ")?;
        ["all", "poll", "ping", "pkj", "mtls"].contains(&shapes).then(|| name.to_owned())
    });
    written.chain(mirrored).collect()
}
