//! What is inside a proof is seen through the methods for its kind alone.

use countersign::profile::decision::Decision;
use countersign::profile::verified::Verified;

fn inside(decision: Verified<Decision>) -> Decision {
    decision.into_request()
}

fn main() {}
