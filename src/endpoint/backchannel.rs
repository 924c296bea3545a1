//! The backchannel authentication endpoint (CIBA §7).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::audit::Event;
use crate::endpoint::Server;
use crate::error::{Reason, Rejection};
use crate::outbound::Failed;
use crate::profile::backchannel::Backchannel;
use crate::profile::hint::Hint;
use crate::profile::verified::Verified;
use crate::secret::Secret;
use crate::store::requests::Opened;
use crate::wire::answer::Acknowledgement;
use crate::wire::bank::{Identified, Identify, Prompt};

/// OpenID Connect Core §2.
const LONGEST_SUB: usize = 255;

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
    let client_id = &request.client().client_id;
    let event = Event::Requested { request: opened.auth_req_id.digest(), client_id };
    let requested = server.record(event, request.address()).await;
    let asked = match requested.map_err(by) {
        Ok(()) => prompt(&server, &request, (&sub, &opened)).await,
        Err(unrecorded) => Err(unrecorded),
    };
    if let Err(unasked) = asked {
        if let Err(late) = withdraw(&server, &request, &opened).await {
            tracing::warn!(
                client = request.client().client_id,
                cause = late.cause,
                "an unasked request stays as it is"
            );
        }
        return Err(unasked);
    }
    let Opened { auth_req_id, expires_in, interval } = opened;
    Ok(Json(Acknowledgement { auth_req_id, expires_in, interval }))
}

/// Closes a request that nobody was asked about: whatever comes of it comes too late.
async fn withdraw(server: &Server, request: &Verified<Backchannel>, opened: &Opened) -> Result<(), Rejection> {
    let withdrawn = server.store.withdraw(opened, server.now()).await?;
    server.store.settle(&withdrawn, server.now()).await?;
    let event = Event::Withdrawn { request: opened.auth_req_id.digest(), client_id: &request.client().client_id };
    server.record(event, request.address()).await
}

/// CIBA §7.2: a hint that names nobody, or somebody who may not be asked, ends here; nobody is prompted.
async fn identify(server: &Server, request: &Verified<Backchannel>) -> Result<String, Rejection> {
    let (client, hint) = (request.client(), request.hint());
    let by = |refusal: Rejection| refusal.by(&client.client_id);
    let code = request.user_code();
    if code.is_some() {
        server.store.try_code(request, server.now()).await.map_err(by)?;
    }
    let sub = match (ask_who(server, request, hint).await, code) {
        (found, None) => found.map_err(by)?,
        (Ok(sub), Some(_)) => {
            server.store.code_was_right(request, server.now()).await.map_err(by)?;
            sub
        }
        (Err(wrong), Some(_)) if wrong.reason == Reason::InvalidUserCode => return Err(by(wrong)),
        (Err(other), Some(_)) => {
            server.store.code_was_not_judged(request, server.now()).await.map_err(by)?;
            return Err(by(other));
        }
    };
    if server.sub_for(client, &sub).len() > LONGEST_SUB {
        return Err(by(Rejection::new(
            Reason::TemporarilyUnavailable,
            "OIDC-8",
            "the sub is too long for a pseudonym",
        )));
    }
    Ok(sub)
}

/// The one question there is about a hint.
async fn ask_who(server: &Server, request: &Verified<Backchannel>, hint: &Hint) -> Result<String, Rejection> {
    let question = Identify {
        hint_type: hint.hint_type,
        hint: &hint.value,
        hint_issuer: hint.once.as_ref().map(|once| once.iss.as_str()),
        client_id: &request.client().client_id,
        user_code: request.user_code().map(Secret::reveal),
        user_code_possible: request.client().ciba().is_some_and(|ciba| ciba.user_code),
    };
    let refused = |reason, clause, cause| Err(Rejection::new(reason, clause, cause));
    match server.authenticator.identify(&question).await {
        Ok(Identified::Known { sub }) => Ok(sub),
        Ok(Identified::MissingUserCode {}) => {
            refused(Reason::MissingUserCode, "CIBA-7.1-32", "the bank wants the user's code")
        }
        Ok(Identified::InvalidUserCode {}) => {
            refused(Reason::InvalidUserCode, "CIBA-7.1-33", "the bank says that the code is wrong")
        }
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
