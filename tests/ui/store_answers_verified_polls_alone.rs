//! A handler cannot collect an approval for a caller the gate has not seen.

use countersign::clock::Timestamp;
use countersign::profile::redemption::Redemption;
use countersign::store::Store;

async fn handle(store: &Store, request: Redemption, now: Timestamp) {
    store.poll(&request, now).await.unwrap();
}

fn main() {}
