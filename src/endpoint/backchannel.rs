//! The backchannel authentication endpoint (CIBA §7).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::endpoint::Server;
use crate::error::{Reason, Rejection};
use crate::outbound::Failed;
use crate::profile::backchannel::Backchannel;
use crate::profile::verified::Verified;
use crate::store::Opened;
use crate::wire::answer::Acknowledgement;
use crate::wire::bank::{Identified, Identify, Prompt};

/// Finds out who is meant, remembers the request, has the person asked, and answers before they act.
///
/// # Errors
/// CIBA §13.
pub async fn handle(
    State(server): State<Arc<Server>>,
    request: Verified<Backchannel>,
) -> Result<Json<Acknowledgement>, Rejection> {
    let sub = identify(&server, &request).await?;
    let by = |refusal: Rejection| refusal.by(&request.client().client_id);
    let opened = server.store.open(&request, &sub, server.now()).await.map_err(by)?;
    if let Err(unasked) = prompt(&server, &request, (&sub, &opened)).await {
        server.store.withdraw(&opened, server.now()).await.map_err(by)?;
        return Err(unasked);
    }
    let Opened { auth_req_id, expires_in, interval } = opened;
    Ok(Json(Acknowledgement { auth_req_id, expires_in, interval }))
}

/// CIBA §7.2: a hint that names nobody, or somebody who may not be asked, ends here; nobody is prompted.
async fn identify(server: &Server, request: &Verified<Backchannel>) -> Result<String, Rejection> {
    let (client, hint) = (request.client(), request.hint());
    let question = Identify { hint_type: hint.hint_type, hint: &hint.value, client_id: &client.client_id };
    let refused = |reason, clause, cause| Err(Rejection::new(reason, clause, cause).by(&client.client_id));
    match server.authenticator.identify(&question).await {
        Ok(Identified::Known { sub }) => Ok(sub),
        Ok(Identified::Unknown {}) => refused(Reason::UnknownUserId, "CIBA-7.1-27", "the bank knows no such user"),
        Ok(Identified::Refused {}) => {
            refused(Reason::AccessForbidden, "CIBA-13-11", "the bank does not let this user be asked")
        }
        Err(Failed(cause)) => refused(Reason::TemporarilyUnavailable, "CIBA-7.2-4", cause),
    }
}

/// CIBA §8: everything the person has to see.
async fn prompt(
    server: &Server,
    request: &Verified<Backchannel>,
    (sub, opened): (&str, &Opened),
) -> Result<(), Rejection> {
    let client = request.client();
    let prompt = Prompt {
        auth_req_id: opened.auth_req_id.reveal(),
        sub,
        client_id: &client.client_id,
        client_name: &client.client_name,
        scope: &request.scope(),
        binding_message: request.binding_message(),
        acr_values: request.acr_values(),
        request_context: request.request_context(),
        expires_in: opened.expires_in,
    };
    server.authenticator.prompt(&prompt).await.map_err(|Failed(cause)| {
        Rejection::new(Reason::TemporarilyUnavailable, "CIBA-8-2", cause).by(&client.client_id)
    })
}
