//! What was counted and measured, for a Prometheus that comes for it. Internal listener only.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use crate::endpoint::Server;

/// All of it, as text.
pub async fn expose(State(server): State<Arc<Server>>) -> Response {
    let (media_type, text) = server.metrics.exposition();
    ([(CONTENT_TYPE, media_type)], text).into_response()
}
