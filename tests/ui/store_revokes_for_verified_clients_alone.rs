//! A handler cannot end a token for someone the gate has not seen.

use countersign::profile::revocation::Revocation;
use countersign::store::Store;

async fn handle(store: &Store, request: Revocation) {
    store.revoke(&request).await.unwrap();
}

fn main() {}
