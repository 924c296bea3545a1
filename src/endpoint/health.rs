//! Whether this process lives, and whether it can be relied on, for whoever balances the load. Internal listener only.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use crate::endpoint::Server;
use crate::wire::answer::{Health, Life};

/// It answers: it lives. A process that does not has to be started anew.
pub async fn live() -> Json<Life> {
    Json(Life { live: true })
}

/// 200 while requests can be carried out and are wanted, else 503 and why. The answer is as old as the last look at the store, a quarter of a second at most.
pub async fn ready(State(server): State<Arc<Server>>) -> (StatusCode, Json<Health>) {
    let unrecorded = server.audit.is_ready(server.now()).await.err().map(|refusal| format!("audit: {}", refusal.cause));
    let leaving = server.is_leaving().then(|| "it is about to stop".to_owned());
    match leaving.or(server.store.trouble().map(|trouble| format!("store: {trouble}"))).or(unrecorded) {
        None => (StatusCode::OK, Json(Health { ready: true, because: None })),
        because => (StatusCode::SERVICE_UNAVAILABLE, Json(Health { ready: false, because })),
    }
}
