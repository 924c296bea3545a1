//! The route table as data, and the routers made of it: one for the world, one for the bank.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{MethodRouter, any, delete, get, post, put};
use http::header::{CACHE_CONTROL, HeaderValue};

use crate::endpoint::{
    Server, authorization, backchannel, decision, discovery, health, introspect, metrics, register, revoke, standing,
    token, userinfo,
};
use crate::error::{Reason, Rejection};
use crate::http::line;
use crate::profile::issuer::path;

/// Who may reach a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The world.
    Public,
    /// The bank, on the internal listener.
    Internal,
}

/// Whom a route answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Whoever asks.
    Anyone,
    /// Those whose request the gate has verified.
    Verified,
    /// Nobody: every call gets the same error.
    Nobody,
}

/// One route.
pub struct Route {
    /// On which listener.
    pub side: Side,
    /// The method, unless it answers nobody. A path with several has a route for each.
    pub method: &'static str,
    /// Where.
    pub path: &'static str,
    /// Whom it answers.
    pub answers: Answers,
    serves: fn() -> MethodRouter<Arc<Server>>,
}

/// Everything this server answers.
pub const ROUTES: &[Route] = &[
    Route {
        side: Side::Public,
        method: "GET",
        path: path::OPENID_CONFIGURATION,
        answers: Answers::Anyone,
        serves: || get(discovery::metadata),
    },
    Route {
        side: Side::Public,
        method: "GET",
        path: path::OAUTH_METADATA,
        answers: Answers::Anyone,
        serves: || get(discovery::metadata),
    },
    Route {
        side: Side::Public,
        method: "GET",
        path: path::JWKS,
        answers: Answers::Anyone,
        serves: || get(discovery::jwks),
    },
    Route {
        side: Side::Public,
        method: "GET",
        path: path::AUTHORIZATION,
        answers: Answers::Nobody,
        serves: || any(authorization::refuse),
    },
    Route {
        side: Side::Public,
        method: "POST",
        path: path::BACKCHANNEL,
        answers: Answers::Verified,
        serves: || post(backchannel::handle),
    },
    Route {
        side: Side::Public,
        method: "POST",
        path: path::TOKEN,
        answers: Answers::Verified,
        serves: || post(token::handle),
    },
    Route {
        side: Side::Public,
        method: "POST",
        path: path::INTROSPECTION,
        answers: Answers::Verified,
        serves: || post(introspect::handle),
    },
    Route {
        side: Side::Public,
        method: "POST",
        path: path::REVOCATION,
        answers: Answers::Verified,
        serves: || post(revoke::handle),
    },
    Route {
        side: Side::Public,
        method: "GET",
        path: path::USERINFO,
        answers: Answers::Verified,
        serves: || get(userinfo::handle),
    },
    Route {
        side: Side::Public,
        method: "POST",
        path: path::USERINFO,
        answers: Answers::Verified,
        serves: || post(userinfo::handle),
    },
    Route {
        side: Side::Public,
        method: "POST",
        path: path::REGISTRATION,
        answers: Answers::Verified,
        serves: || post(register::create),
    },
    Route {
        side: Side::Public,
        method: "GET",
        path: path::MANAGEMENT,
        answers: Answers::Verified,
        serves: || get(register::read),
    },
    Route {
        side: Side::Public,
        method: "PUT",
        path: path::MANAGEMENT,
        answers: Answers::Verified,
        serves: || put(register::update),
    },
    Route {
        side: Side::Public,
        method: "DELETE",
        path: path::MANAGEMENT,
        answers: Answers::Verified,
        serves: || delete(register::delete),
    },
    Route {
        side: Side::Internal,
        method: "POST",
        path: path::DECISION,
        answers: Answers::Verified,
        serves: || post(decision::handle),
    },
    Route {
        side: Side::Internal,
        method: "POST",
        path: path::STANDING,
        answers: Answers::Verified,
        serves: || post(standing::handle),
    },
    Route {
        side: Side::Internal,
        method: "GET",
        path: path::LIVE,
        answers: Answers::Anyone,
        serves: || get(health::live),
    },
    Route {
        side: Side::Internal,
        method: "GET",
        path: path::READY,
        answers: Answers::Anyone,
        serves: || get(health::ready),
    },
    Route {
        side: Side::Internal,
        method: "GET",
        path: path::METRICS,
        answers: Answers::Anyone,
        serves: || get(metrics::expose),
    },
];

/// The router for one side.
pub fn router(side: Side, server: &Arc<Server>) -> Router {
    ROUTES
        .iter()
        .filter(|route| route.side == side)
        .fold(Router::new(), |router, route| router.route(route.path, cached(route)))
        .fallback(|| async { Rejection::new(Reason::NotFound, "HTTP", "no such route") })
        .method_not_allowed_fallback(|| async {
            Rejection::new(Reason::MethodNotAllowed, "CIBA-7.1-1", "another method")
        })
        .layer(from_fn_with_state(server.clone(), line::log))
        .with_state(server.clone())
}

/// The path of a route, as it is in the table.
pub(super) fn known(path: &str) -> Option<&'static str> {
    ROUTES.iter().find(|route| route.path == path).map(|route| route.path)
}

/// How long what is published may be known by heart, in seconds.
pub const PUBLISHED_FOR: u32 = 300;

/// What anyone in the world may read may be kept for five minutes; nothing else is kept at all (RFC 6749 §5.1).
fn cached(Route { side, answers, serves, .. }: &Route) -> MethodRouter<Arc<Server>> {
    let keep = |mut response: Response| async {
        let kept = HeaderValue::try_from(format!("public, max-age={PUBLISHED_FOR}")).expect("ASCII");
        response.headers_mut().insert(CACHE_CONTROL, kept);
        response
    };
    if (*side, *answers) == (Side::Public, Answers::Anyone) { serves().layer(map_response(keep)) } else { serves() }
}
