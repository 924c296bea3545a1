//! A handler cannot lock or unlock a user on the word of someone the gate has not seen.

use countersign::clock::Timestamp;
use countersign::profile::standing::Standing;
use countersign::store::Store;

async fn handle(store: &Store, request: Standing, now: Timestamp) {
    store.hear(&request, now).await.unwrap();
}

fn main() {}
