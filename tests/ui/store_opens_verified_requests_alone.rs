//! A handler cannot remember a request that the gate has not seen.

use countersign::clock::Timestamp;
use countersign::profile::backchannel::Backchannel;
use countersign::store::Store;

async fn handle(store: &Store, request: Backchannel, now: Timestamp) {
    store.open(&request, "alice", now).await.unwrap();
}

fn main() {}
