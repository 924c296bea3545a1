//! The decision interface (CIBA §8): the bank brings what the person decided. Internal listener only.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use crate::audit::Event;
use crate::endpoint::Server;
use crate::error::{Reason, Rejection};
use crate::profile::decision::{Decision, Verdict};
use crate::profile::verified::Verified;

/// Takes the decision. It is recorded before it counts, so that nothing is ever issued without a record of who let it. 204: it is stored, and the next poll
/// finds it. Then, and not before, a client that wants to be told is told (CIBA §10.2).
///
/// # Errors
/// Unknown, settled, or another user's.
pub async fn handle(State(server): State<Arc<Server>>, decision: Verified<Decision>) -> Result<StatusCode, Rejection> {
    let deciding = server.store.decide(&decision, server.now()).await?;
    let (request, client_id) = (decision.auth_req_id().digest(), deciding.client_id.as_str());
    let decided = match decision.verdict() {
        Verdict::Approve(_) => Event::Approved { request, client_id },
        Verdict::Deny => Event::Denied { request, client_id },
    };
    server.record(decided, decision.address()).await?;
    let settled = server.store.settle(&deciding, server.now()).await;
    if settled.as_ref().is_err_and(|refusal| refusal.reason == Reason::AlreadySettled) {
        server.record(Event::CameTooLate { request, client_id }, decision.address()).await?;
    }
    settled?;
    if let (Some(pings), Some(notice)) = (&server.pings, deciding.notice) {
        pings.send(notice);
    }
    Ok(StatusCode::NO_CONTENT)
}
