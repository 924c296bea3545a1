//! The standing interface: the bank says that a user is locked, or no longer is. Internal listener only.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use crate::audit::Event;
use crate::endpoint::Server;
use crate::error::Rejection;
use crate::profile::standing::Standing;
use crate::profile::verified::Verified;
use crate::secret::Digest;

/// Takes the bank's word. 204: it holds from now on. A lock holds even where it cannot be recorded, which the bank hears, and says it again; what lifts one is recorded before it does.
///
/// # Errors
/// The store could not remember it.
pub async fn handle(State(server): State<Arc<Server>>, word: Verified<Standing>) -> Result<StatusCode, Rejection> {
    let user = Digest::of(word.sub().as_bytes());
    if word.locked() {
        server.store.hear(&word, server.now()).await?;
        server.record(Event::Locked { user }, word.address()).await?;
    } else {
        server.record(Event::Good { user }, word.address()).await?;
        server.store.hear(&word, server.now()).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
