//! The userinfo endpoint (OpenID Connect Core §5.3): who the user is to this client. What else there is to know, the bank's APIs know.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::endpoint::Server;
use crate::error::{Reason, Rejection};
use crate::profile::resource::ResourceCall;
use crate::profile::verified::Verified;
use crate::wire::answer::UserInfo;

/// The `sub`, as the ID token has it.
///
/// # Errors
/// The token is not live, not the caller's, or nobody's.
pub async fn handle(
    State(server): State<Arc<Server>>,
    request: Verified<ResourceCall>,
) -> Result<Json<UserInfo>, Rejection> {
    let (token, client) = server.store.bearer(&request, server.now()).await?;
    // OpenID Connect Core §5.3.1: a token for openid, which a client's own never is.
    let sub = token.sub.ok_or_else(|| {
        let cause = "the token is the client's own";
        let refusal = Rejection::new(Reason::InsufficientScope, "OIDC-5.3.1", cause).under(request.schemes());
        refusal.by(&client.client_id)
    })?;
    Ok(Json(UserInfo { sub: server.sub_for(&client, &sub) }))
}
