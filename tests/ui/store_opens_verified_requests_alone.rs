//! A handler cannot remember a request that the gate has not seen.

use countersign::clock::Timestamp;
use countersign::profile::Profile;
use countersign::profile::backchannel::Backchannel;
use countersign::store::Store;

async fn handle(store: &Store, request: Backchannel, profile: &Profile, now: Timestamp) {
    store.open(&request, "alice", (profile, now)).await.unwrap();
}

fn main() {}
