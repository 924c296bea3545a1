//! One line in the log for each request, and the headers that every response carries.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::clock::Stopwatch;
use crate::endpoint::Server;
use crate::error::{Reason, Rejection};
use crate::http::proxied::Address;
use crate::http::routes::known;
use crate::http::{framing, nonce};
use crate::profile::client::{Ciba, Delivery, Role};
use crate::profile::once::{Replay as _, Unspent};
use crate::secret::{Entropy, uuid};
use crate::telemetry::context::{self, TRACEPARENT};
use crate::telemetry::metrics::{Answered, Class};

/// FAPI 1.0 part 1 §6.2.1-8.
const INTERACTION: HeaderName = HeaderName::from_static("x-fapi-interaction-id");

/// The route of what leads nowhere.
const NOWHERE: &str = "none";

/// A method that no specification names.
const OTHER: &str = "_OTHER";

/// Which client the gate let through. Rides in the extensions of the request, where the door writes it down.
#[derive(Clone, Default)]
pub(super) struct Who(Arc<OnceLock<String>>);

impl Who {
    /// It was this one.
    pub(super) fn is(&self, client_id: &str) {
        self.0.get_or_init(|| client_id.to_owned());
    }
}

/// What a request uses up. Rides in its extensions, where the door writes it down: whatever the handler left is spent before the answer goes out.
#[derive(Clone, Default)]
pub(super) struct Owes(Arc<OnceLock<Arc<Unspent>>>);

impl Owes {
    /// It was this.
    pub(super) fn note(&self, unspent: Arc<Unspent>) {
        self.0.get_or_init(|| unspent);
    }

    async fn settle(&self, server: &Server, answer: Response) -> Response {
        let left = self.0.get().map(|unspent| unspent.take()).unwrap_or_default();
        match server.store.spend(left).await {
            Ok(()) => answer,
            Err(refusal) => refusal.into_response(),
        }
    }
}

/// Runs `request` in a span of its own, which goes on with the trace of whoever sent it.
pub(super) async fn log(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let method = standard(request.method());
    let route = request.extensions().get::<MatchedPath>().and_then(|path| known(path.as_str())).unwrap_or(NOWHERE);
    let span = tracing::info_span!(
        "request",
        otel.name = named(method, route),
        otel.kind = "server",
        otel.status_code = Empty,
        url.scheme = "https",
        http.request.method = method,
        http.route = (route != NOWHERE).then_some(route),
        http.response.status_code = Empty,
        error.type = Empty,
        countersign.error = Empty,
        countersign.client.id = Empty,
    );
    if let Some(traceparent) = traceparent(request.headers()).filter(|_| !span.is_disabled()) {
        context::follow(&span, traceparent);
    }
    told(server, (request, next), (method, route)).instrument(span).await
}

/// Runs `request`, then tells of it in the log, the metrics and its span: whose address (the log alone), method, route, status, what was refused and under which clause. Never a header, a parameter or a query.
async fn told(
    server: Arc<Server>,
    (mut request, next): (Request, Next),
    (method, route): (&'static str, &'static str),
) -> Response {
    let started = Stopwatch::start();
    let interaction = interaction(request.headers().get(&INTERACTION), server.entropy());
    let address = request.extensions().get().map(|Address(address)| tracing::field::display(*address));
    let who = Who::default();
    let owes = Owes::default();
    request.extensions_mut().insert(who.clone());
    request.extensions_mut().insert(owes.clone());
    // What a request uses up is used up, also where a handler panicked.
    let answer = caught(inside(&server, request, next), &interaction).await;
    let mut response = caught(owes.settle(&server, answer), &interaction).await;
    let refused = response.extensions_mut().remove::<Rejection>();
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(INTERACTION, HeaderValue::from_str(&interaction).expect("a UUID is ASCII"));
    let status = response.status().as_u16();
    let took = started.elapsed();
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let error = refused.as_ref().map(|refused| refused.reason.error());
    let (clause, cause) = refused.as_ref().map(|refused| (refused.clause, refused.cause)).unzip();
    let client = refused.as_ref().and_then(|refused| refused.client.as_ref()).or(who.0.get());
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                method,
                route,
                status,
                micros,
                interaction,
                address,
                client,
                error,
                clause,
                cause,
                "request"
            )
        };
    }
    if status >= 500 {
        line!(error);
    } else {
        line!(info);
    }
    server.metrics.answered(route, &Answered { method, status, error, class: class(&server, client), took });
    let span = Span::current();
    span.record("http.response.status_code", status);
    span.record("countersign.client.id", client);
    span.record("countersign.error", error);
    if status >= 500 {
        span.record("error.type", status.to_string());
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// What every route has before its own: no ambiguity, and the nonce for the next proof.
async fn inside(server: &Server, request: Request, next: Next) -> Response {
    match framing::unambiguous(&request) {
        Ok(()) => nonce::fresh(server, request, next).await,
        Err(ambiguous) => framing::refuse(ambiguous),
    }
}

/// A panic ends one request with a 500, and no word about why. It is told of by itself: what the request uses up may yet be refused, and answered so.
async fn caught(answering: impl Future<Output = Response>, interaction: &str) -> Response {
    AssertUnwindSafe(answering).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(interaction, "a handler panicked");
        Rejection::new(Reason::ServerError, "HTTP", "a handler panicked").into_response()
    })
}

/// What kind of client `client_id` is, where a request got so far that it is known.
fn class(server: &Server, client_id: Option<&String>) -> Class {
    let client = client_id.and_then(|client_id| server.store.at_hand(client_id));
    client.map_or(Class::Nobody, |client| match &client.role {
        Role::ResourceServer { .. } => Class::ResourceServer,
        Role::Ciba(Ciba { delivery: Delivery::Poll, .. }) => Class::Poll,
        Role::Ciba(Ciba { delivery: Delivery::Ping(_), .. }) => Class::Ping,
    })
}

/// The name of a span (OpenTelemetry's conventions for HTTP).
fn named(method: &str, route: &str) -> String {
    let method = if method == OTHER { "HTTP" } else { method };
    if route == NOWHERE { method.to_owned() } else { format!("{method} {route}") }
}

/// The one `traceparent`, if there is one (W3C Trace Context §3.2).
fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let first = values.next().filter(|_| values.next().is_none())?;
    first.to_str().ok()
}

/// The method, if it is one that a specification names: any other is a word of the caller's.
const fn standard(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => OTHER,
    }
}

/// The caller's id if it is a UUID (RFC 9562 §4), else a new one.
fn interaction(given: Option<&HeaderValue>, entropy: &dyn Entropy) -> String {
    given.and_then(|value| value.to_str().ok()).filter(|id| is_uuid(id)).map_or_else(|| uuid(entropy), str::to_owned)
}

fn is_uuid(id: &str) -> bool {
    let groups: Vec<&str> = id.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Seeded, System};

    #[test]
    fn fapi1b_6_2_1_8_a_uuid_is_echoed_and_anything_else_replaced() {
        let echoed = "C770aef3-6784-41F7-8e0e-ff5f97bddb3a";
        assert_eq!(interaction(Some(&HeaderValue::from_static(echoed)), &System), echoed);
        for bad in [
            "",
            "x",
            "c770aef3678441f78e0eff5f97bddb3a",
            "c770aef3-6784-41f7-8e0e-ff5f97bddb3g",
            "c770aef3-6784-41f7-8e0e-ff5f97bddb3a1",
        ] {
            let made = interaction(Some(&HeaderValue::from_static(bad)), &System);
            assert!(is_uuid(&made) && made != bad, "{bad}");
        }
    }

    #[test]
    fn rfc9562_5_4_a_new_uuid_says_it_is_of_version_4() {
        let entropy = Seeded::default();
        for _ in 0..64 {
            let made = uuid(&entropy);
            assert_eq!(&made[14..15], "4", "{made}");
            assert!("89ab".contains(&made[19..20]), "{made}");
        }
    }
}
