//! [`Entry`]: a line of the suite's log that says what was wrong.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How bad it is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Warning,
    Failure,
    Interrupted,
    Review,
}

/// What one condition found.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    pub(crate) level: Level,
    /// The condition.
    pub(crate) condition: String,
    /// The clauses that it checks, as the suite names them.
    pub(crate) requirements: Vec<String>,
    pub(crate) says: String,
}

impl Entry {
    /// What the runner itself has to say about a module.
    pub(crate) fn ours(says: String) -> Self {
        Self { level: Level::Failure, condition: "conformance".to_owned(), requirements: Vec::new(), says }
    }

    /// Reads a line of the log; of those that say nothing bad, nothing.
    pub(crate) fn read(line: &Value) -> Option<Self> {
        let level = match line["result"].as_str()? {
            "WARNING" => Level::Warning,
            "FAILURE" => Level::Failure,
            "INTERRUPTED" => Level::Interrupted,
            "REVIEW" => Level::Review,
            _ => return None,
        };
        let text = |member: &str| line[member].as_str().unwrap_or_default();
        let requirements = line["requirements"].as_array().into_iter().flatten();
        let mut says = text("msg").to_owned();
        for member in ["expected", "actual", "error", "error_description"] {
            match &line[member] {
                Value::Null => {}
                Value::String(value) => says.extend(["; ", member, ": ", &shortened(value)]),
                value => says.extend(["; ", member, ": ", &shortened(&value.to_string())]),
            }
        }
        Some(Self {
            level,
            condition: shortened(text("src")),
            requirements: requirements.filter_map(Value::as_str).map(shortened).collect(),
            says: shortened(&says),
        })
    }
}

/// No more of a module than anybody reads, and whether there was more.
pub(super) fn bounded(mut entries: Vec<Entry>) -> Vec<Entry> {
    const MOST: usize = 100;
    if entries.len() > MOST {
        let more = entries.len() - MOST;
        entries.truncate(MOST);
        entries.push(Entry::ours(format!("{more} more of the kind are in the log")));
    }
    entries
}

/// Enough to understand it, and nothing that a terminal would take for an order; the log has the rest.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 600;
    let text = text.replace(|c: char| c.is_control() || turns(c), " ");
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain("…".chars()).collect() }
}

/// Whether what follows `c` is shown in another order than it is written, or `c` is not shown at all (Unicode annex 9, general category Cf).
const fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_that_says_what_is_wrong_is_read_with_its_condition_and_requirement() {
        let line = json!({"_id": "1", "msg": "Invalid http status", "result": "FAILURE", "actual": 400, "expected": 200, "requirements": ["CIBA-7.3"], "src": "CheckStatus"});
        let entry = Entry::read(&line).expect("it is one");
        assert_eq!((entry.level, entry.condition.as_str()), (Level::Failure, "CheckStatus"));
        assert_eq!(entry.requirements, ["CIBA-7.3"]);
        assert_eq!(entry.says, "Invalid http status; expected: 200; actual: 400");
    }

    #[test]
    fn lines_that_say_nothing_bad_are_left_out_and_bare_ones_are_read_all_the_same() {
        for line in [
            json!({"result": "SUCCESS", "msg": "fine"}),
            json!({"msg": "no result"}),
            json!("text"),
            json!({"result": 7}),
        ] {
            assert_eq!(Entry::read(&line), None, "{line}");
        }
        let bare = Entry::read(&json!({"result": "WARNING"})).expect("a warning");
        assert_eq!((bare.condition.as_str(), bare.says.as_str(), bare.requirements.len()), ("", "", 0));
        let long = Entry::read(&json!({"result": "REVIEW", "msg": "é".repeat(10_000)})).expect("a review");
        assert_eq!(long.says.chars().count(), 601);
        let orders =
            Entry::read(&json!({"result": "REVIEW", "msg": "a\u{1b}[2Jb\u{202e}c\u{feff}d\u{2066}e\u{200b}f"}));
        assert_eq!(orders.expect("a review").says, "a [2Jb c d e f");
    }

    #[test]
    fn of_many_lines_the_first_are_kept_and_that_there_were_more() {
        let many = |count: usize| bounded(vec![Entry::ours("it".to_owned()); count]);
        assert_eq!(many(100).len(), 100);
        let kept = many(107);
        assert_eq!((kept.len(), kept[100].says.as_str()), (101, "7 more of the kind are in the log"));
    }
}
