//! [`documents`]: what a YAML file of this repository says, as JSON. A member that is named twice fails.

use std::fs;

use serde_json::Value;

use crate::deployment::shipped;

/// Each document of the file called `name`.
#[track_caller]
pub(crate) fn documents(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(shipped(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}
