//! What a TLS handshake came to, as a word to count.

use std::io;

use rustls::{Error, ProtocolVersion, ServerConnection};

use crate::telemetry::metrics::Handshake;

/// What it was agreed on.
pub(super) fn done(connection: &ServerConnection) -> Handshake {
    match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => Handshake::Tls12,
        _ => Handshake::Tls13,
    }
}

/// Why it was not done.
pub(super) fn failed(error: &io::Error) -> Handshake {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        None => Handshake::BrokeOff,
        Some(Error::PeerIncompatible(_)) => Handshake::Incompatible,
        Some(Error::AlertReceived(_)) => Handshake::Alert,
        Some(_) => Handshake::Malformed,
    }
}
