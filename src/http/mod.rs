//! Transport: bytes in, bytes out. No decision of the protocol is made here.

pub mod extract;
pub mod framing;
pub mod line;
pub mod refusal;
pub mod routes;
pub mod serve;
pub mod tls;
