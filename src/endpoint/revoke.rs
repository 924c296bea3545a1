//! The revocation endpoint (RFC 7009).

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use crate::audit::Event;
use crate::endpoint::Server;
use crate::error::Rejection;
use crate::profile::revocation::Revocation;
use crate::profile::verified::Verified;

/// Ends the caller's token. 200 for every other token too, which stays as it is: nothing tells an unknown one from another client's.
///
/// # Errors
/// The store could not say: the token may be live.
pub async fn handle(State(server): State<Arc<Server>>, request: Verified<Revocation>) -> Result<StatusCode, Rejection> {
    let client_id = &request.client().client_id;
    let by = |refusal: Rejection| refusal.by(client_id);
    if server.store.revoke(&request).await.map_err(by)? {
        let revoked = Event::Revoked { token: request.token().digest(), client_id };
        server.record(revoked, request.address()).await.map_err(by)?;
    }
    Ok(StatusCode::OK)
}
