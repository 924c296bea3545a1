//! The registration endpoint (RFC 7591) and each client's own (RFC 7592). What is changed is recorded before it is, so that no client is ever another than the records say.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use crate::audit::Event;
use crate::endpoint::Server;
use crate::error::Rejection;
use crate::profile::Profile;
use crate::profile::enrolled::Enrolled;
use crate::profile::issuer::path;
use crate::profile::management::{Management, Replacement};
use crate::profile::registration::Registration;
use crate::profile::verified::Verified;
use crate::secret::Secret;
use crate::wire::answer::Registered;

/// A new client: 201, with the id and the token that are drawn for it (RFC 7591 §3.2.1).
///
/// # Errors
/// The store could not remember it.
pub async fn create(
    State(server): State<Arc<Server>>,
    request: Verified<Registration>,
) -> Result<(StatusCode, Json<Registered>), Rejection> {
    let address = request.address();
    let (members, stated) = request.into_members();
    let (client_id, token) = (Secret::draw(server.entropy()), Secret::draw(server.entropy()));
    let enrolled = Enrolled::new(client_id.reveal().to_owned(), token.digest(), (members, stated), server.now());
    server.record(Event::Registered { client_id: &enrolled.client_id }, address).await?;
    server.store.enrol(&enrolled).await?;
    Ok((StatusCode::CREATED, Json(registered(&server.profile, enrolled, token))))
}

/// The registration as it is (RFC 7592 §2.1).
///
/// # Errors
/// None of its own.
pub async fn read(
    State(server): State<Arc<Server>>,
    request: Verified<Management>,
) -> Result<Json<Registered>, Rejection> {
    Ok(Json(registered(&server.profile, request.enrolled().clone(), request.token().clone())))
}

/// The registration as it shall be (RFC 7592 §2.2).
///
/// # Errors
/// It was deleted meanwhile, or the store could not remember it.
pub async fn update(
    State(server): State<Arc<Server>>,
    request: Verified<Replacement>,
) -> Result<Json<Registered>, Rejection> {
    let address = request.address();
    let (enrolled, token) = request.into_enrolled();
    let client_id = &enrolled.client_id;
    server.record(Event::Replaced { client_id }, address).await?;
    if let Err(refusal) = server.store.replace(&enrolled).await {
        server.record(Event::NotDone { by: client_id, did: "replaced" }, address).await?;
        return Err(refusal);
    }
    Ok(Json(registered(&server.profile, enrolled, token)))
}

/// No registration any more (RFC 7592 §2.3): 204, and what the client was given ends with it.
///
/// # Errors
/// It was deleted before, or the store could not forget it.
pub async fn delete(State(server): State<Arc<Server>>, request: Verified<Management>) -> Result<StatusCode, Rejection> {
    let client_id = &request.enrolled().client_id;
    server.record(Event::Deleted { client_id }, request.address()).await?;
    if let Err(refusal) = server.store.unregister(client_id, server.now()).await {
        server.record(Event::NotDone { by: client_id, did: "deleted" }, request.address()).await?;
        return Err(refusal);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// What a client is told of its registration (RFC 7591 §3.2.1, RFC 7592 §3).
pub fn registered(profile: &Profile, enrolled: Enrolled, registration_access_token: Secret) -> Registered {
    let place = profile.issuer().url(path::REGISTRATION);
    Registered {
        registration_client_uri: format!("{place}/{}", enrolled.client_id),
        client_id: enrolled.client_id,
        client_id_issued_at: enrolled.issued_at.seconds(),
        registration_access_token,
        members: enrolled.members,
    }
}
