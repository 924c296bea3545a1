//! Black box: a till, a bank and an attacker speak HTTP over TLS to a server on port 0, whose clock stands still until it is told to move.
//!
//! A test is named after the clause it shows; `conformance/clauses.toml` lists which.

mod bank;
mod heard;
mod raw;
mod teller;
mod token;
mod tpp;

mod backchannel;
mod framing;
mod limits;
mod no_bypass;
mod transport;
mod webhook;
