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

/// Takes the bank's word. 204: it holds from now on.
///
/// # Errors
/// The store could not remember it.
pub async fn handle(State(server): State<Arc<Server>>, word: Verified<Standing>) -> Result<StatusCode, Rejection> {
    server.store.hear(&word, server.now()).await?;
    let user = Digest::of(word.sub().as_bytes());
    let heard = if word.locked() { Event::Locked { user } } else { Event::Good { user } };
    server.record(heard, word.address()).await?;
    Ok(StatusCode::NO_CONTENT)
}
