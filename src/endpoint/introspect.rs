//! The introspection endpoint (RFC 7662), for the bank's APIs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::endpoint::Server;
use crate::error::Rejection;
use crate::profile::inspection::Inspection;
use crate::profile::sender::Binding;
use crate::profile::verified::Verified;
use crate::store::AccessToken;
use crate::wire::answer::{Confirmation, Introspection, Live};

/// Says what a token is, to the resource server it is for. RFC 7662 §2.2: everything else is one identical `{"active":false}`.
///
/// # Errors
/// The store could not say.
pub async fn handle(
    State(server): State<Arc<Server>>,
    request: Verified<Inspection>,
) -> Result<Json<Introspection>, Rejection> {
    let found = server.store.inspect(&request, server.now()).await?;
    let live = found.and_then(|token| live(&server, &request, token));
    Ok(Json(live.map_or(Introspection::Inactive { active: false }, |live| Introspection::Active(Box::new(live)))))
}

/// What the caller may see of `token`: the scopes that concern it, or nothing at all.
fn live(server: &Server, request: &Verified<Inspection>, token: AccessToken) -> Option<Live> {
    let caller = request.caller();
    let scope: Vec<String> = token.scope.into_iter().filter(|scope| caller.scope().contains(scope)).collect();
    let Binding::Certificate(thumbprint) = token.cnf;
    (!scope.is_empty()).then(|| Live {
        active: true,
        iss: server.profile.issuer().issuer.clone(),
        aud: caller.client_id.clone(),
        client_id: token.client_id,
        sub: token.sub,
        scope: scope.join(" "),
        token_type: "Bearer",
        iat: token.iat.seconds(),
        exp: token.exp.seconds(),
        auth_time: token.auth_time.seconds(),
        acr: token.acr,
        cnf: Confirmation { x5t_s256: thumbprint },
    })
}
