//! [`Fault`]: what can go wrong, in words.

/// It is told as it is, after the name of the command.
pub(crate) type Fault = Box<dyn std::error::Error + Send + Sync>;
