//! Who holds a request against the rules is the gate, nobody else.

use countersign::clock::Timestamp;
use countersign::profile::Profile;
use countersign::profile::decision::Decision;
use countersign::profile::verified::{Verified, conform};

fn mint(request: Decision, profile: &Profile, now: Timestamp) -> Verified<Decision> {
    conform(request, profile, now).unwrap()
}

fn main() {}
