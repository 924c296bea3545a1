//! A token is given back by an authenticated client, whose request its own parser reads.

use std::sync::Arc;

use countersign::profile::client::Client;
use countersign::profile::revocation::Revocation;
use countersign::secret::Secret;

fn forge(client: Arc<Client>, token: Secret) -> Revocation {
    Revocation { client, token: Some(token) }
}

fn main() {}
