//! The words of the specs: what arrives, what leaves, and the strict parsers between. No decision is made here.

pub mod answer;
pub mod bank;
pub mod form;
pub mod inbound;
pub mod json;
pub mod metadata;

/// A text could not be read as what it claims to be. The words are for the log, and static: they can hold nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);
