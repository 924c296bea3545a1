//! How a [`Rejection`] leaves: the shape of RFC 6749 §5.2, whatever `Accept` asks for. What it says is decided in the table of error.rs.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use crate::error::{Reason, Rejection};
use crate::jose::dpop::ALGS;
use crate::wire::answer::Problem;

impl IntoResponse for Rejection {
    /// The rejection itself rides along in the response's extensions, for the log.
    fn into_response(self) -> Response {
        let reason = self.reason;
        let problem = Problem { error: reason.error(), error_description: reason.description() };
        let mut response = (reason.status(), Json(problem)).into_response();
        if reason == Reason::InvalidClientHeader {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"not offered\""));
        }
        if reason == Reason::MissingToken {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if reason == Reason::InvalidToken {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
        }
        if let Reason::InvalidDpopProofHere | Reason::UseDpopNonceHere | Reason::InvalidDpopToken = reason {
            let challenge = format!("DPoP error=\"{}\", algs=\"{}\"", reason.error(), ALGS.join(" "));
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::try_from(challenge).expect("ASCII"));
        }
        if reason == Reason::InsufficientScope {
            let challenge = HeaderValue::from_static("Bearer error=\"insufficient_scope\", scope=\"openid\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        if reason == Reason::TemporarilyUnavailable {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response.extensions_mut().insert(self);
        response
    }
}
