//! The token endpoint (CIBA §10.1).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::endpoint::{Server, mint};
use crate::error::Rejection;
use crate::profile::redemption::Redemption;
use crate::profile::verified::Verified;
use crate::wire::answer::Tokens;

/// Signs first, then spends the grant, then answers: a crash costs the client a new request, never the bank a second token.
///
/// # Errors
/// CIBA §11.
pub async fn handle(
    State(server): State<Arc<Server>>,
    request: Verified<Redemption>,
) -> Result<Json<Tokens>, Rejection> {
    let now = server.now();
    let by = |refusal: Rejection| refusal.by(&request.sender().client.client_id);
    let ready = server.store.poll(&request, now).await.map_err(by)?;
    let minted = mint::tokens(&server, (&request, &ready), now).map_err(by)?;
    server.store.redeem(ready, (&minted.answer.access_token, &minted.record), now).await.map_err(by)?;
    Ok(Json(minted.answer))
}
