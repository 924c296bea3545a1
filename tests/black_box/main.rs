//! Black box: a till, a bank and an attacker speak HTTP over TLS to a server on port 0, whose clock stands still until it is told to move.
//!
//! A test is named after the clause it shows; `conformance/clauses.toml` lists which.

mod bank;
mod forged;
mod heard;
mod raw;
mod teller;
mod token;
mod tpp;
mod trial;

mod assertion_claims;
mod assertion_replay;
mod assertion_signature;
mod backchannel;
mod backchannel_http;
mod binding_message;
mod certificate_auth;
mod client_auth;
mod decision;
mod discovery;
mod framing;
mod hint;
mod introspection;
mod limits;
mod logs;
mod no_bypass;
mod polling;
mod race;
mod redemption;
mod request_object;
mod request_replay;
mod request_signature;
mod request_times;
mod token_endpoint;
mod transport;
mod webhook;
