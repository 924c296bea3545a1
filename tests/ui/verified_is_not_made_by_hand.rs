//! A proof cannot be written down: its fields are private.

use countersign::profile::verified::Verified;

fn main() {
    let _: Verified<&str> = Verified { request: "trust me", unspent: std::sync::Arc::default(), address: None };
}
