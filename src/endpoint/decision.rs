//! The decision interface (CIBA §8): the bank brings what the person decided. Internal listener only.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use crate::endpoint::Server;
use crate::error::Rejection;
use crate::outbound::ping::Notice;
use crate::profile::decision::Decision;
use crate::profile::verified::Verified;
use crate::store::requests::Decided;

/// Takes the decision. 204: it is stored, and the next poll finds it. Then, and not before, a client that wants to be told is told (CIBA §10.2).
///
/// # Errors
/// Unknown, settled, or another user's.
pub async fn handle(State(server): State<Arc<Server>>, decision: Verified<Decision>) -> Result<StatusCode, Rejection> {
    let Decided { client_id, client_notification_token, expires_at } =
        server.store.decide(&decision, server.now()).await?;
    if let (Some(pings), Some(token)) = (&server.pings, client_notification_token) {
        pings.send(Notice { client_id, token, auth_req_id: decision.auth_req_id().clone(), until: expires_at });
    }
    Ok(StatusCode::NO_CONTENT)
}
