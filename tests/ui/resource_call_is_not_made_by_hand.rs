//! A token that is used here comes with what its caller holds, both read from what arrived.

use countersign::error::Scheme;
use countersign::profile::resource::{Held, ResourceCall};
use countersign::secret::Secret;

fn forge(token: Secret, held: Held, schemes: &'static [Scheme]) -> ResourceCall {
    ResourceCall { token: Some(token), held, schemes }
}

fn main() {}
