//! New metadata for a client stands on a verified token and on a whole new registration.

use countersign::profile::management::{Management, Replacement};
use countersign::profile::registration::Registration;
use countersign::profile::verified::Verified;

fn forge(of: Verified<Management>, with: Registration) -> Replacement {
    Replacement { of, with }
}

fn main() {}
