//! A handler cannot renew anything for someone the gate has not seen.

use countersign::clock::Timestamp;
use countersign::profile::refresh::Refresh;
use countersign::store::Store;

async fn handle(store: &Store, request: Refresh, now: Timestamp) {
    store.refreshable(&request, now).await.unwrap();
}

fn main() {}
