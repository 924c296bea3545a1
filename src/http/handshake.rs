//! Why a connection did not come to its first request, and what all of them came to, as a word to count.

use std::io;

use rustls::{Error, ProtocolVersion};
use tokio::time::error::Elapsed;

use crate::http::serve::Guest;
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

/// What it came to.
pub(super) fn outcome(opened: &Result<Result<Guest, Refused>, Elapsed>) -> Handshake {
    match opened {
        Err(_) => Handshake::TimedOut,
        Ok(Ok(guest)) => match guest.stream.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => Handshake::Tls12,
            _ => Handshake::Tls13,
        },
        Ok(Err(Refused::Unannounced(_))) => Handshake::Unannounced,
        Ok(Err(Refused::Crowded)) => Handshake::Crowded,
        Ok(Err(Refused::Tls(error))) => match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            None => Handshake::BrokeOff,
            Some(Error::PeerIncompatible(_)) => Handshake::Incompatible,
            Some(Error::AlertReceived(_)) => Handshake::Alert,
            Some(_) => Handshake::Malformed,
        },
    }
}
