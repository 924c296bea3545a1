//! A request for new tokens comes from an authenticated client, read by its own parser.

use countersign::profile::refresh::Refresh;
use countersign::profile::sender::Sender;
use countersign::secret::Secret;

fn forge(sender: Sender, refresh_token: Secret) -> Refresh {
    Refresh { sender, refresh_token: Some(refresh_token), scope: None }
}

fn main() {}
