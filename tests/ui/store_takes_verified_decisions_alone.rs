//! A handler cannot settle a request on the word of someone the gate has not seen.

use countersign::clock::Timestamp;
use countersign::profile::decision::Decision;
use countersign::store::Store;

async fn handle(store: &Store, decision: Decision, now: Timestamp) {
    store.decide(&decision, now).await.unwrap();
}

fn main() {}
