//! A poll comes from what arrived, read by its own parser.

use countersign::profile::redemption::Redemption;
use countersign::profile::sender::Sender;
use countersign::secret::Secret;

fn forge(sender: Sender, auth_req_id: Secret) -> Redemption {
    Redemption { sender, auth_req_id: Some(auth_req_id) }
}

fn main() {}
