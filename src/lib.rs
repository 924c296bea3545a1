//! x
pub mod clock;
pub mod error;
pub mod grant;
pub mod jose;
pub mod profile;
pub mod secret;
pub mod store;
pub mod wire;
