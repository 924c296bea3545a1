//! Whoever shows a DPoP proof is given the nonce for the next one, whatever else the answer is (RFC 9449 §8, §8.2, §9).

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderName;
use http::header::HeaderValue;

use crate::endpoint::Server;
use crate::error::{Reason, Rejection};
use crate::profile::issuer::path;
use crate::profile::nonce::Side;

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Adds the nonce to the answer of an endpoint that looks at proofs.
pub(super) async fn fresh(server: &Server, request: Request, next: Next) -> Response {
    let side = match request.uri().path() {
        path::TOKEN => Some(Side::Token),
        path::USERINFO => Some(Side::Resource),
        _ => None,
    };
    let side = side.filter(|_| request.headers().contains_key("dpop"));
    let mut response = next.run(request).await;
    // Whose tokens are bound by certificate is not told to make a better proof.
    let unasked = response.extensions().get::<Rejection>().is_some_and(|it| it.reason == Reason::NoCertificate);
    if let Some(nonce) = side.filter(|_| !unasked).and_then(|side| server.nonce(side)) {
        response.headers_mut().insert(DPOP_NONCE, HeaderValue::try_from(nonce).expect("base64url"));
    }
    response
}
