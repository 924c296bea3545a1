//! [`Section`]: one table of the file, read key by key. Whatever is wrong is noted and reading goes on, so that one run finds every fault.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;

use toml::{Table, Value};

use crate::wire::json::Object;

/// One thing that is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key, as in `clients[0].jwks`.
    pub key: String,
    /// What is wrong and what to do.
    pub says: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.says)
    }
}

/// A fault was noted, so there is no value.
pub struct Noted;

/// The faults found so far.
#[derive(Debug, Default)]
pub struct Faults(RefCell<Vec<Fault>>);

impl Faults {
    /// All of them, in the order in which they were found.
    pub fn found(&self) -> Vec<Fault> {
        self.0.borrow().clone()
    }
}

/// A table of the file. What is read is taken out; what is left at the [end](Self::end) is unknown.
pub struct Section<'a> {
    at: String,
    table: Table,
    faults: &'a Faults,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub const fn root(table: Table, faults: &'a Faults) -> Self {
        Self { at: String::new(), table, faults }
    }

    /// Notes what is wrong with `key`.
    pub fn fault(&self, key: &str, says: &str) {
        self.faults.0.borrow_mut().push(Fault { key: self.name(key), says: says.to_owned() });
    }

    /// A table that has to be there.
    pub fn section(&mut self, key: &str) -> Option<Self> {
        self.required(key, "a section", |value| if let Value::Table(table) = value { Some(table) } else { None })
            .map(|table| self.inner(key, table))
    }

    /// A table that may be there.
    pub fn optional_section(&mut self, key: &str) -> Option<Self> {
        if self.table.contains_key(key) { self.section(key) } else { None }
    }

    /// A list of tables, `[[key]]`; absent is empty.
    pub fn sections(&mut self, key: &str) -> Vec<Self> {
        match self.table.remove(key) {
            None => Vec::new(),
            Some(Value::Array(entries)) if entries.iter().all(Value::is_table) => {
                let tables = entries
                    .into_iter()
                    .filter_map(|entry| if let Value::Table(table) = entry { Some(table) } else { None });
                tables.enumerate().map(|(at, table)| self.inner(&format!("{key}[{at}]"), table)).collect()
            }
            Some(_) => {
                self.fault(key, &format!("has to be a list of sections, each headed [[{key}]]"));
                Vec::new()
            }
        }
    }

    /// A string that has to be there.
    pub fn string(&mut self, key: &str) -> Option<String> {
        self.required(key, "a string that is not empty", |value| match value {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        })
    }

    /// Those of `keys` that are there, as JSON.
    pub fn members(&mut self, keys: &[&str]) -> Object {
        let found = keys.iter().filter_map(|key| Some((*key, self.table.remove(*key)?)));
        found.filter_map(|(key, value)| Some((key.to_owned(), serde_json::to_value(value).ok()?))).collect()
    }

    /// A switch that may be there.
    pub fn optional_flag(&mut self, key: &str) -> Option<bool> {
        let there = self.table.contains_key(key);
        there.then(|| self.required(key, "true or false", |value| value.as_bool())).flatten()
    }

    /// A string that may be there.
    pub fn optional_string(&mut self, key: &str) -> Option<String> {
        if self.table.contains_key(key) { self.string(key) } else { None }
    }

    /// Whether there is anything under `key`.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A string, left where it is.
    pub fn peek(&self, key: &str) -> Option<&str> {
        self.table.get(key).and_then(Value::as_str)
    }

    /// A list of strings that has to be there and not be empty.
    pub fn strings(&mut self, key: &str) -> Option<Vec<String>> {
        self.required(key, "a list of strings, at least one", |value| match value {
            Value::Array(entries) if !entries.is_empty() => {
                entries
                    .into_iter()
                    .map(|entry| {
                        if let Value::String(text) = entry { Some(text).filter(|text| !text.is_empty()) } else { None }
                    })
                    .collect()
            }
            _ => None,
        })
    }

    /// A list of strings that may be there.
    pub fn optional_strings(&mut self, key: &str) -> Option<Vec<String>> {
        if self.table.contains_key(key) { self.strings(key) } else { None }
    }

    /// A whole number that has to be there.
    pub fn number(&mut self, key: &str, within: RangeInclusive<u64>) -> Option<u64> {
        let expected = format!("a whole number from {} to {}", within.start(), within.end());
        self.required(key, &expected, |value| {
            value.as_integer().and_then(|number| u64::try_from(number).ok()).filter(|number| within.contains(number))
        })
    }

    /// A whole number that may be there.
    pub fn optional_number(&mut self, key: &str, within: RangeInclusive<u64>) -> Option<u64> {
        if self.table.contains_key(key) { self.number(key, within) } else { None }
    }

    /// One of a few words.
    pub fn choice<T: Clone>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let expected = format!("one of: {}", words.join(", "));
        self.required(key, &expected, |value| {
            let word = value.as_str()?;
            choices.iter().find(|(known, _)| *known == word).map(|(_, choice)| choice.clone())
        })
    }

    /// Notes every key that nobody read.
    pub fn end(self) {
        for key in self.table.keys() {
            self.fault(key, "is not known here; remove it, or check its spelling and its section");
        }
    }

    fn required<T>(&mut self, key: &str, expected: &str, read: impl FnOnce(Value) -> Option<T>) -> Option<T> {
        match self.table.remove(key) {
            None => {
                self.fault(key, &format!("is missing; give {expected}"));
                None
            }
            Some(value) => {
                let found = read(value);
                if found.is_none() {
                    self.fault(key, &format!("has to be {expected}"));
                }
                found
            }
        }
    }

    fn inner(&self, key: &str, table: Table) -> Self {
        Self { at: self.name(key), table, faults: self.faults }
    }

    /// What `key` is called in the whole file.
    pub(super) fn name(&self, key: &str) -> String {
        match (self.at.as_str(), key) {
            ("", key) => key.to_owned(),
            (at, "") => at.to_owned(),
            (at, key) => format!("{at}.{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_in_one_run() {
        let faults = Faults::default();
        let table = "a = 1\nb = []\nc = 'x'\nd = 900\nstray = 1\n[s]\nlost = 2\n[[t]]\nx = ''\n".parse().expect("TOML");
        let mut root = Section::root(table, &faults);
        root.string("a");
        root.strings("b");
        root.choice("c", &[("y", ()), ("z", ())]);
        root.number("d", 1..=5);
        root.string("gone");
        root.section("s").expect("there").end();
        for mut entry in root.sections("t") {
            entry.string("x");
            entry.end();
        }
        root.end();
        let lines: Vec<String> = faults.found().iter().map(Fault::to_string).collect();
        assert_eq!(
            lines,
            [
                "a: has to be a string that is not empty",
                "b: has to be a list of strings, at least one",
                "c: has to be one of: y, z",
                "d: has to be a whole number from 1 to 5",
                "gone: is missing; give a string that is not empty",
                "s.lost: is not known here; remove it, or check its spelling and its section",
                "t[0].x: has to be a string that is not empty",
                "stray: is not known here; remove it, or check its spelling and its section",
            ]
        );
    }
}
