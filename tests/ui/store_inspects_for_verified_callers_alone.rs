//! A handler cannot look into a token for a caller the gate has not seen.

use countersign::clock::Timestamp;
use countersign::profile::inspection::Inspection;
use countersign::store::Store;

async fn handle(store: &Store, request: Inspection, now: Timestamp) {
    store.inspect(&request, now).await.unwrap();
}

fn main() {}
