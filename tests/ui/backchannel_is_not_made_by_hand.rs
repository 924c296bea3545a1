//! An authentication request comes from a signed request object, read by its own parser.

use std::sync::Arc;

use countersign::profile::backchannel::Backchannel;
use countersign::profile::client::Client;

fn forge(client: Arc<Client>, from: Backchannel) -> Backchannel {
    Backchannel { client, ..from }
}

fn main() {}
