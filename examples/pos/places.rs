//! [`Places`]: where everything in this story is, and how it is set up.

use std::path::PathBuf;

use crate::holder::Binding;

/// Three origins on loopback and a folder.
#[derive(Clone)]
pub(crate) struct Places {
    /// The server, for the world.
    pub(crate) issuer: String,
    /// The server, for the bank alone.
    pub(crate) internal: String,
    /// The bank.
    pub(crate) bank: String,
    /// Every certificate and key. Each role opens its own.
    pub(crate) certs: PathBuf,
    /// What the till's tokens are bound to.
    pub(crate) binding: Binding,
}
