//! The decision interface (CIBA §8): the bank brings what the person decided. Internal listener only.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use crate::audit::Event;
use crate::endpoint::Server;
use crate::error::Rejection;
use crate::profile::decision::{Decision, Verdict};
use crate::profile::verified::Verified;

/// Records the decision, then takes it: nobody finds what is not recorded, and of several at once all are recorded and one is taken. 204: it is stored, and
/// the next poll finds it. Then, and not before, a client that wants to be told is told (CIBA §10.2).
///
/// # Errors
/// Unknown, settled, or another user's.
pub async fn handle(State(server): State<Arc<Server>>, decision: Verified<Decision>) -> Result<StatusCode, Rejection> {
    let now = server.now();
    let decidable = server.store.decidable(&decision, now).await?;
    let (request, client_id) = (decision.auth_req_id().digest(), decidable.client_id());
    let decided = match decision.verdict() {
        Verdict::Approve(_) => Event::Approved { request, client_id },
        Verdict::Deny => Event::Denied { request, client_id },
    };
    server.record(decided).await?;
    if let (Some(notice), Some(pings)) = (server.store.decide(decidable, now).await?, &server.pings) {
        pings.send(notice);
    }
    Ok(StatusCode::NO_CONTENT)
}
