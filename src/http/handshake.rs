//! Why a connection did not come to its first request, and what all of them came to, as a word to count.

use std::io;

use rustls::{Error, ProtocolVersion, ServerConnection};

use crate::outbound::Failed;
use crate::telemetry::metrics::Handshake;

/// Why a connection was not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("{0}")]
    Unannounced(Failed),
    #[error("its address has as many connections as it may")]
    Crowded,
    #[error("{0}")]
    Tls(io::Error),
}

/// What one came to that was done.
pub(super) fn done(connection: &ServerConnection) -> Handshake {
    match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => Handshake::Tls12,
        _ => Handshake::Tls13,
    }
}

/// What one came to that was not.
pub(super) fn failed(refused: &Refused) -> Handshake {
    match refused {
        Refused::Unannounced(_) => Handshake::Unannounced,
        Refused::Crowded => Handshake::Crowded,
        Refused::Tls(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            None => Handshake::BrokeOff,
            Some(Error::PeerIncompatible(_)) => Handshake::Incompatible,
            Some(Error::AlertReceived(_)) => Handshake::Alert,
            Some(_) => Handshake::Malformed,
        },
    }
}
