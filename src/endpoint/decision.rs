//! The decision interface (CIBA §8): the bank brings what the person decided. Internal listener only.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use crate::endpoint::Server;
use crate::error::Rejection;
use crate::profile::decision::Decision;
use crate::profile::verified::Verified;

/// Takes the decision. 204: it is stored, and the next poll finds it.
///
/// # Errors
/// Unknown, settled, or another user's.
pub async fn handle(State(server): State<Arc<Server>>, decision: Verified<Decision>) -> Result<StatusCode, Rejection> {
    server.store.decide(&decision, server.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
