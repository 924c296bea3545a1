//! Who is locked, the bank says, under its certificate.

use countersign::profile::standing::Standing;

fn forge(sub: String) -> Standing {
    Standing { sub, locked: false }
}

fn main() {}
