//! The keys folder: which key signs, since when and until when. `keyring.json` says it; each private key is a file of its own beside it.
//!
//! [`folder`] reads and writes it, all or nothing; [`change`] is what an operator does to it.

pub mod change;
pub mod folder;
pub mod private;
mod sealed;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::jose::life::Life;

/// `keyring.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    version: u8,
    /// Every key there ever was, the first one first.
    pub keys: Vec<Entry>,
    /// What was done, and by whom, the first thing first.
    pub history: Vec<Deed>,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// RFC 7638.
    pub kid: String,
    /// ES256 or PS256.
    pub alg: String,
    /// The file with the private part, as long as there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The public part, as it is published.
    pub public: Map<String, Value>,
    /// Its times.
    pub life: Life,
}

/// Something that somebody did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// The user of the operating system.
    pub by: String,
    /// The command.
    pub did: String,
    /// To which key.
    pub kid: String,
}

/// The version of the file that this program reads and writes.
const VERSION: u8 = 1;

impl Manifest {
    /// One with nothing in it.
    pub const fn empty() -> Self {
        Self { version: VERSION, keys: Vec::new(), history: Vec::new() }
    }

    /// The key of that id, or of one that begins so, if there is exactly one.
    ///
    /// # Errors
    /// There is none, or more than one; it says which.
    pub fn key(&self, kid: &str) -> Result<&Entry, String> {
        if let Some(exact) = self.keys.iter().find(|entry| entry.kid == kid) {
            return Ok(exact);
        }
        let found: Vec<&Entry> = self.keys.iter().filter(|entry| entry.kid.starts_with(kid)).collect();
        match found[..] {
            [entry] if !kid.is_empty() => Ok(entry),
            [] => Err(format!("there is no key {kid}; `countersign keys list` shows them")),
            _ => Err(format!("more than one key begins with {kid:?}; give more of it")),
        }
    }
}
