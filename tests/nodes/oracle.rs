//! [`Oracle`]: what has to be true of what all servers recorded and of what the tills got, whatever happened meanwhile.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

use countersign::secret::Digest;
use serde_json::Value;

/// Tokens that a till got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) auth_req_id: String,
    pub(crate) access_token: String,
}

/// What all servers recorded.
pub(crate) struct Oracle {
    events: Vec<Value>,
}

impl Oracle {
    /// Reads `files`, each line of which is an event.
    pub(crate) fn of(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let texts: Vec<String> = files.into_iter().map(|file| fs::read_to_string(file).expect("it is there")).collect();
        let event = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("no event: {line}"));
        Self { events: texts.iter().flat_map(|text| text.lines()).map(event).collect() }
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |event| event["event"] == name)
    }

    /// Holds `got` against what was recorded; returns the requests whose tokens were issued and reached nobody.
    ///
    /// One request is issued for once, after it was approved for the same client; every token that a till got was issued for its request; no token is
    /// there twice.
    pub(crate) fn holds(&self, got: &[Got]) -> HashSet<String> {
        let mut approved: HashMap<&str, Vec<&Value>> = HashMap::new();
        for event in self.all("approved") {
            approved.entry(text(event, "request")).or_default().push(event);
        }
        let mut issued: HashMap<&str, &Value> = HashMap::new();
        let mut tokens = HashSet::new();
        for event in self.all("issued") {
            let before = issued.insert(text(event, "request"), event);
            assert!(before.is_none(), "issued twice: {event} and {before:?}");
            assert!(tokens.insert(text(event, "access_token")), "a token twice: {event}");
            let yes = approved.get(text(event, "request")).into_iter().flatten();
            let fits =
                |yes: &Value| yes["client_id"] == event["client_id"] && yes["at"].as_i64() <= event["at"].as_i64();
            assert!(yes.into_iter().any(|yes| fits(yes)), "issued without a yes: {event}");
        }
        let mut reached = HashSet::new();
        for Got { auth_req_id, access_token } in got {
            let request = digest(auth_req_id);
            let event = issued.get(request.as_str()).unwrap_or_else(|| panic!("nobody recorded {request}"));
            assert_eq!(text(event, "access_token"), digest(access_token), "another token was recorded for {request}");
            assert!(reached.insert(request), "two tills have tokens for one request: {event}");
        }
        issued.keys().filter(|request| !reached.contains(**request)).map(|request| (*request).to_owned()).collect()
    }

    /// How many events of that name there are.
    pub(crate) fn count(&self, name: &'static str) -> usize {
        self.all(name).count()
    }
}

/// What is recorded of a secret.
pub(crate) fn digest(secret: &str) -> String {
    Digest::of(secret.as_bytes()).to_string()
}

fn text<'a>(event: &'a Value, member: &str) -> &'a str {
    event[member].as_str().unwrap_or_else(|| panic!("no {member}: {event}"))
}
