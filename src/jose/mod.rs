//! Signatures: the only folder that names a JOSE crate. josekit is the object model, aws-lc-rs the engine under its traits.
//!
//! josekit's own contexts and validators never meet input from outside: they keep the last of two members, take `crit: []`, and pass a token
//! that has no `exp`. A compact JWS is therefore read by [`jws`], and josekit's traits are where the engine plugs in.

pub mod alg;
pub mod claims;
pub mod dpop;
mod htu;
pub mod jwk;
pub mod jws;
pub mod keyring;
pub mod life;
