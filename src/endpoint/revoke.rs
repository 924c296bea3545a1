//! The revocation endpoint (RFC 7009).

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use crate::endpoint::Server;
use crate::error::Rejection;
use crate::profile::revocation::Revocation;
use crate::profile::verified::Verified;

/// Ends the caller's token. 200 for every other token too, which stays as it is: nothing tells an unknown one from another client's.
///
/// # Errors
/// The store could not say: the token may be live.
pub async fn handle(State(server): State<Arc<Server>>, request: Verified<Revocation>) -> Result<StatusCode, Rejection> {
    server.store.revoke(&request).await.map_err(|refusal| refusal.by(&request.client().client_id))?;
    Ok(StatusCode::OK)
}
