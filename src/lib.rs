//! countersign, a FAPI-CIBA authorization server.
//!
//! The story of one request. A till opens a TLS connection ([`http::tls`]); the accept loop notes which certificate it proved
//! ([`http::serve`]). It posts a form to `/bc-authorize`: the door ([`http::extract`]) reads at most 64 KiB into an
//! [`Inbound`](wire::inbound::Inbound) and asks the [`Gate`](profile::gate::Gate), which authenticates the client, opens the signed request object,
//! and holds what it asks for against every clause of the profile. Only then is there a [`Verified`](profile::verified::Verified) request, and
//! only with one can a handler ([`endpoint`]) be called. The bank is asked who is meant ([`outbound`]), the request is remembered as a
//! [`Grant`](grant::Grant) ([`store`]), the person is asked, and the till polls `/token` until the person has decided.
//!
//! Imports point down: `cli → config → http → endpoint → store → grant → profile → outbound → jose → wire → audit → telemetry → ground`.

pub mod cli;
pub mod config;
pub mod http;

pub mod endpoint;

pub mod grant;
pub mod store;

pub mod profile;

pub mod outbound;

pub mod jose;
pub mod keys;
pub mod wire;

pub mod audit;

pub mod telemetry;

pub mod clock;
pub mod current;
pub mod error;
pub mod secret;
