//! A proof does not come from outside.

use countersign::profile::redemption::Redemption;
use countersign::profile::verified::Verified;

fn read<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Verified<Redemption>, D::Error> {
    serde::Deserialize::deserialize(from)
}

fn main() {}
