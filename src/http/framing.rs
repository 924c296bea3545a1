//! A request that two readers could take for different ones is refused (RFC 9112 §3.2, §6.1, §11.2).

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};

use crate::error::{Reason, Rejection};

/// One `Host`, and a body whose length is said beforehand: a transfer coding beside a length is how requests are smuggled, and what a chunked
/// request came with is not shown here.
///
/// # Errors
/// Two readers could take it for different ones.
pub(super) fn unambiguous(request: &Request) -> Result<(), Rejection> {
    let headers = request.headers();
    if headers.get_all(HOST).iter().count() != 1 {
        return Err(Rejection::new(Reason::InvalidRequest, "HTTP", "there is no Host, or more than one"));
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if request.uri().authority().is_some_and(|authority| host != Some(authority.as_str())) {
        return Err(Rejection::new(Reason::InvalidRequest, "HTTP", "the URI names another Host"));
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(Rejection::new(Reason::LengthRequired, "HTTP", "the body has a transfer coding"));
    }
    Ok(())
}

/// Where the next request would begin, nobody can say: the connection ends.
pub(super) fn refuse(rejection: Rejection) -> Response {
    ([(CONNECTION, "close")], rejection).into_response()
}
