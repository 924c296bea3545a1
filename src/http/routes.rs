//! The route table as data, and the routers made of it: one for the world, one for the bank.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::header::{CACHE_CONTROL, HeaderValue};
use tower_http::catch_panic::CatchPanicLayer;

use crate::endpoint::{Server, backchannel, decision, discovery, introspect, token};
use crate::error::{Reason, Rejection};
use crate::http::{framing, line};
use crate::profile::issuer::path;

/// Who may reach a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The world.
    Public,
    /// The bank, on the internal listener.
    Internal,
}

/// One route.
pub struct Route {
    /// On which listener.
    pub side: Side,
    /// The only method it answers.
    pub method: &'static str,
    /// Where.
    pub path: &'static str,
    /// Whether it answers anyone. The others answer verified requests alone.
    pub open: bool,
    serves: fn() -> MethodRouter<Arc<Server>>,
}

/// Everything this server answers.
pub const ROUTES: &[Route] = &[
    Route {
        side: Side::Public,
        method: "GET",
        path: path::OPENID_CONFIGURATION,
        open: true,
        serves: || get(discovery::metadata),
    },
    Route {
        side: Side::Public,
        method: "GET",
        path: path::OAUTH_METADATA,
        open: true,
        serves: || get(discovery::metadata),
    },
    Route { side: Side::Public, method: "GET", path: path::JWKS, open: true, serves: || get(discovery::jwks) },
    Route {
        side: Side::Public,
        method: "POST",
        path: path::BACKCHANNEL,
        open: false,
        serves: || post(backchannel::handle),
    },
    Route { side: Side::Public, method: "POST", path: path::TOKEN, open: false, serves: || post(token::handle) },
    Route {
        side: Side::Public,
        method: "POST",
        path: path::INTROSPECTION,
        open: false,
        serves: || post(introspect::handle),
    },
    Route {
        side: Side::Internal,
        method: "POST",
        path: path::DECISION,
        open: false,
        serves: || post(decision::handle),
    },
];

/// The router for one side. A panic ends one request with a 500 and no word about why.
pub fn router(side: Side, server: &Arc<Server>) -> Router {
    ROUTES
        .iter()
        .filter(|route| route.side == side)
        .fold(Router::new(), |router, route| router.route(route.path, cached((route.serves)(), route.open)))
        .fallback(|| async { Rejection::new(Reason::NotFound, "HTTP", "no such route") })
        .method_not_allowed_fallback(|| async {
            Rejection::new(Reason::MethodNotAllowed, "CIBA-7.1-1", "another method")
        })
        .layer(from_fn(framing::unambiguous))
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(from_fn_with_state(server.clone(), line::log))
        .with_state(server.clone())
}

/// What anyone may read may be kept for five minutes; nothing else is kept at all (RFC 6749 §5.1).
fn cached(route: MethodRouter<Arc<Server>>, open: bool) -> MethodRouter<Arc<Server>> {
    let keep = |mut response: Response| async {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        response
    };
    if open { route.layer(map_response(keep)) } else { route }
}

fn panicked() -> Response {
    Rejection::new(Reason::ServerError, "HTTP", "a handler panicked").into_response()
}
