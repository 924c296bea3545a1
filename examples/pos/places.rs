//! [`Places`]: where everything in this story is.

use std::path::PathBuf;

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
}
