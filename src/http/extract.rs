//! The only door: a handler that takes a [`Verified<T>`] gets it from here, and here asks the gate.

use std::sync::Arc;
use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};

use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::endpoint::Server;
use crate::error::{Reason, Rejection};
use crate::http::line::{Owes, Who};
use crate::http::proxied::Address;
use crate::profile::gate;
use crate::profile::verified::Verified;
use crate::wire::inbound::{Authorization, Inbound, PeerCertificate};

/// The largest body.
const LARGEST: usize = 64 * 1024;

/// How long a body may take to arrive. Rides in the extensions of each request, where the listener put it.
#[derive(Clone, Copy, Debug)]
pub struct BodyDeadline(pub Duration);

impl<T: gate::Request> FromRequest<Arc<Server>> for Verified<T> {
    type Rejection = Rejection;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Self, Rejection> {
        let who = request.extensions().get::<Who>().cloned();
        let owes = request.extensions().get::<Owes>().cloned().unwrap_or_default();
        let verified: Self = server.gate.verify(inbound(request).await?).await?;
        owes.note(verified.unspent());
        if let (Some(who), Some(client_id)) = (who, verified.client_id()) {
            who.is(client_id);
        }
        Ok(verified)
    }
}

async fn inbound(request: Request) -> Result<Inbound, Rejection> {
    let (parts, body) = request.into_parts();
    let too_large = || Rejection::new(Reason::ContentTooLarge, "limits", "the body is larger than 64 KiB");
    if body.size_hint().lower() > LARGEST as u64 {
        return Err(too_large());
    }
    let limited = Limited::new(body, LARGEST).collect();
    let collected = match parts.extensions.get::<BodyDeadline>() {
        None => limited.await,
        Some(BodyDeadline(within)) => {
            let late = |_| Rejection::new(Reason::RequestTimeout, "limits", "the body did not arrive in time");
            tokio::time::timeout(*within, limited).await.map_err(late)?
        }
    };
    let body: Bytes = collected
        .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => too_large(),
            None => Rejection::new(Reason::InvalidRequest, "limits", "the body broke off"),
        })?
        .to_bytes();
    let mut content_types = parts.headers.get_all(CONTENT_TYPE).iter();
    let content_type = content_types.next().filter(|_| content_types.next().is_none());
    let content_type = content_type.and_then(|value| value.to_str().ok());
    // More than one are as bad as any number of them.
    let dpop = parts.headers.get_all("dpop").iter().take(2);
    Ok(Inbound {
        dpop: dpop.map(|value| value.to_str().unwrap_or_default().to_owned()).collect(),
        method: parts.method,
        query: parts.uri.query().is_some_and(|query| !query.is_empty()),
        content_type: content_type.map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()),
        authorization: authorization(&parts.headers),
        place: parts.uri.path().rsplit('/').next().unwrap_or_default().to_owned(),
        accept: media_types(&parts.headers),
        certificate: parts.extensions.get::<PeerCertificate>().cloned(),
        address: parts.extensions.get().map(|Address(address)| *address),
        body,
    })
}

fn authorization(headers: &HeaderMap) -> Option<Authorization> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next()?;
    Some(match (first.to_str(), values.next()) {
        (_, Some(_)) => Authorization::Several,
        (Ok(value), None) => Authorization::parse(value),
        (Err(_), None) => Authorization::Other,
    })
}

/// RFC 9110 §12.4.2: a weight of nothing.
const NOT_WANTED: [&str; 5] = ["q=0", "q=0.", "q=0.0", "q=0.00", "q=0.000"];

fn media_types(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let types = values.flat_map(|value| value.split(','));
    let wanted = types
        .map(str::to_ascii_lowercase)
        .filter(|one| !one.split(';').skip(1).any(|part| NOT_WANTED.contains(&part.trim())));
    wanted.map(|one| one.split(';').next().unwrap_or_default().trim().to_owned()).collect()
}
