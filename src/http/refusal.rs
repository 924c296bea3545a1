//! How a [`Rejection`] leaves: the shape of RFC 6749 §5.2, whatever `Accept` asks for. What it says is decided in the table of error.rs.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use crate::error::{Reason, Rejection, Scheme};
use crate::jose::dpop::ALGS;
use crate::wire::answer::Problem;

impl IntoResponse for Rejection {
    /// The rejection itself rides along in the response's extensions, for the log.
    fn into_response(self) -> Response {
        let reason = self.reason;
        let problem = Problem { error: reason.error(), error_description: reason.description() };
        let mut response = (self.status(), Json(problem)).into_response();
        if reason == Reason::InvalidClientHeader {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"not offered\""));
        }
        if !self.schemes.is_empty() {
            let challenges: Vec<String> = self.schemes.iter().map(|scheme| challenge(*scheme, reason)).collect();
            let challenges = HeaderValue::try_from(challenges.join(", ")).expect("ASCII");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenges);
        }
        if reason == Reason::TemporarilyUnavailable {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// RFC 6750 §3, RFC 9449 §7.1: the scheme, what is wrong with a token where there was one, and with what a proof may be signed.
fn challenge(scheme: Scheme, reason: Reason) -> String {
    let error = (reason != Reason::MissingToken).then(|| format!("error=\"{}\"", reason.error()));
    let scope = (reason == Reason::InsufficientScope).then(|| "scope=\"openid\"".to_owned());
    let (name, algs) = match scheme {
        Scheme::Bearer => ("Bearer", None),
        Scheme::Dpop => ("DPoP", Some(format!("algs=\"{}\"", ALGS.join(" ")))),
    };
    let parameters: Vec<String> = error.into_iter().chain(scope).chain(algs).collect();
    format!("{name} {}", parameters.join(", ")).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dpop_7_1_a_challenge_says_how_a_token_is_brought_and_what_was_wrong_with_one() {
        use Scheme::{Bearer, Dpop};
        let said = |reason, schemes| {
            let response = Rejection::new(reason, "", "").under(schemes).into_response();
            let header =
                response.headers().get(WWW_AUTHENTICATE).map(|value| value.to_str().expect("ASCII").to_owned());
            (response.status().as_u16(), header)
        };
        let algs = "algs=\"ES256 PS256 Ed25519\"";
        for (reason, schemes, status, challenge) in [
            (Reason::MissingToken, &[Bearer][..], 401, "Bearer".to_owned()),
            (Reason::MissingToken, &[Bearer, Dpop], 401, format!("Bearer, DPoP {algs}")),
            (Reason::InvalidToken, &[Bearer], 401, "Bearer error=\"invalid_token\"".to_owned()),
            (Reason::InvalidToken, &[Dpop], 401, format!("DPoP error=\"invalid_token\", {algs}")),
            (Reason::InvalidDpopProof, &[Dpop], 401, format!("DPoP error=\"invalid_dpop_proof\", {algs}")),
            (Reason::UseDpopNonce, &[Dpop], 401, format!("DPoP error=\"use_dpop_nonce\", {algs}")),
            (
                Reason::InsufficientScope,
                &[Dpop],
                403,
                format!("DPoP error=\"insufficient_scope\", scope=\"openid\", {algs}"),
            ),
            (
                Reason::InvalidRequest,
                &[Bearer, Dpop],
                400,
                format!("Bearer error=\"invalid_request\", DPoP error=\"invalid_request\", {algs}"),
            ),
        ] {
            assert_eq!(said(reason, schemes), (status, Some(challenge)));
        }
        for reason in [Reason::InvalidDpopProof, Reason::UseDpopNonce, Reason::InvalidRequest] {
            assert_eq!(said(reason, &[]), (400, None), "without a token there is no challenge");
        }
    }
}
