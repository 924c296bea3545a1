//! One verification is one proof.

use countersign::profile::redemption::Redemption;
use countersign::profile::verified::Verified;

fn twice(request: &Verified<Redemption>) -> Verified<Redemption> {
    Clone::clone(request)
}

fn main() {}
