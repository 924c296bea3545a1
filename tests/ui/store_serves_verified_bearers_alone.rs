//! A handler cannot look a token up for someone who has not shown what it is bound to.

use countersign::clock::Timestamp;
use countersign::profile::resource::ResourceCall;
use countersign::store::Store;

async fn handle(store: &Store, request: ResourceCall, now: Timestamp) {
    store.bearer(&request, now).await.unwrap();
}

fn main() {}
