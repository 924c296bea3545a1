//! A proof does not come from nothing.

use countersign::profile::redemption::Redemption;
use countersign::profile::verified::Verified;

fn main() {
    let _ = <Verified<Redemption> as Default>::default();
}
