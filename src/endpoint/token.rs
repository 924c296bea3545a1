//! The token endpoint (CIBA §10.1, RFC 6749 §4.4, §6).

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::audit::Event;
use crate::endpoint::Server;
use crate::endpoint::mint::Minted;
use crate::error::Rejection;
use crate::profile::client_credentials::ClientCredentials;
use crate::profile::exchange::Exchange;
use crate::profile::redemption::Redemption;
use crate::profile::refresh::Refresh;
use crate::profile::verified::Verified;
use crate::wire::answer::Tokens;

/// Tokens for an approval or for a refresh token, or one in the client's own name.
///
/// # Errors
/// CIBA §11, RFC 6749 §5.2.
pub async fn handle(State(server): State<Arc<Server>>, request: Verified<Exchange>) -> Result<Json<Tokens>, Rejection> {
    let client_id = request.client_id().map(str::to_owned);
    let exchanged = match request.into_grant() {
        Exchange::Ciba(request) => redeem(&server, &request).await,
        Exchange::RefreshToken(request) => refresh(&server, &request).await,
        Exchange::ClientCredentials(request) => issue(&server, &request).await,
    };
    exchanged.map(Json).map_err(|refusal| Rejection { client: client_id, ..refusal })
}

/// Signs first, then spends the grant, then records it, then answers: a crash costs the client a new request, never the bank a second token.
async fn redeem(server: &Server, request: &Verified<Redemption>) -> Result<Tokens, Rejection> {
    let now = server.now();
    let ready = server.store.poll(request, now).await?;
    // Before the approval is spent, not after.
    server.audit.is_ready(now).await?;
    let minted = Minted::of_approval(server, (request.sender(), &ready), now)?;
    server.store.redeem(ready, &minted.issued(), now).await?;
    let client_id = &request.sender().client.client_id;
    let (access_token, refresh_token) = minted.issued().digests();
    let issued = Event::Issued { request: request.auth_req_id().digest(), client_id, access_token, refresh_token };
    hand_out(server, minted, (issued, request.address())).await
}

/// Nothing leaves before it is recorded; what cannot be recorded is taken back.
async fn hand_out(
    server: &Server,
    minted: Minted,
    (event, address): (Event<'_>, Option<IpAddr>),
) -> Result<Tokens, Rejection> {
    if let Err(refusal) = server.record(event, address).await {
        server.store.take_back(&minted.issued(), server.now()).await;
        return Err(refusal);
    }
    Ok(minted.into_answer())
}

async fn refresh(server: &Server, request: &Verified<Refresh>) -> Result<Tokens, Rejection> {
    let now = server.now();
    let standing = server.store.refreshable(request, now).await?;
    let digest = request.refresh_token().digest();
    let minted = Minted::of_refresh(server, (request.sender(), &standing, digest), now)?;
    server.store.refresh(&standing, &minted.issued(), now).await?;
    let client_id = &request.sender().client.client_id;
    let (access_token, _) = minted.issued().digests();
    let refreshed = Event::Refreshed { refresh_token: digest, client_id, access_token };
    hand_out(server, minted, (refreshed, request.address())).await
}

async fn issue(server: &Server, request: &Verified<ClientCredentials>) -> Result<Tokens, Rejection> {
    let now = server.now();
    let minted = Minted::of_client(server, (request.sender(), request.scope(&server.profile)), now);
    server.store.issue(request, &minted.issued(), now).await?;
    let client_id = &request.sender().client.client_id;
    let (access_token, _) = minted.issued().digests();
    let issued = Event::IssuedToClient { client_id, access_token };
    hand_out(server, minted, (issued, request.address())).await
}
