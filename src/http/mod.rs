//! Transport: bytes in, bytes out. No decision of the protocol is made here.

pub mod extract;
mod finished;
mod framing;
mod handshake;
mod line;
mod nonce;
pub mod proxied;
mod refusal;
pub mod routes;
pub mod serve;
pub mod tls;
