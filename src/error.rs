//! The one refusal: [`Rejection`], its [`Reason`], and the table from reason to the wire.
//!
//! Nothing of the request is echoed: descriptions are static, in the characters RFC 6749 §5.2 allows. Clause and cause go to the log.

use http::StatusCode;

/// Why a request was refused, and under which clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What the caller is told.
    pub reason: Reason,
    /// The clause of a spec that was not met, such as `CIBA-7.1`. For the log.
    pub clause: &'static str,
    /// What exactly was wrong. For the log, and static: it can hold nothing of the request.
    pub cause: &'static str,
    /// The registered client that it was, or claimed to be. For the log.
    pub client: Option<String>,
    /// How a token may be brought, where that is what was wrong: each is a challenge in the answer (RFC 9110 §11.6.1).
    pub schemes: &'static [Scheme],
}

/// How a token is brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RFC 6750 §2.1.
    Bearer,
    /// RFC 9449 §7.1.
    Dpop,
}

impl Rejection {
    /// A refusal for `reason` under `clause`. Where it is for a token, that is one of a bearer, unless [`under`](Self::under) says otherwise.
    pub const fn new(reason: Reason, clause: &'static str, cause: &'static str) -> Self {
        let schemes: &[Scheme] = match reason {
            Reason::MissingToken | Reason::InvalidToken | Reason::InsufficientScope => &[Scheme::Bearer],
            _ => &[],
        };
        Self { reason, clause, cause, client: None, schemes }
    }

    /// The same refusal of a call with a token, which may be brought under these schemes.
    #[must_use]
    pub const fn under(mut self, schemes: &'static [Scheme]) -> Self {
        self.schemes = schemes;
        self
    }

    /// The HTTP status: that of the reason, but for a proof that is shown with a token (RFC 9449 §7.1).
    pub const fn status(&self) -> StatusCode {
        match self.reason {
            Reason::InvalidDpopProof | Reason::UseDpopNonce if !self.schemes.is_empty() => StatusCode::UNAUTHORIZED,
            reason => reason.status(),
        }
    }

    /// The same refusal, now that the client is known.
    #[must_use]
    pub fn by(mut self, client: &str) -> Self {
        self.client = Some(client.to_owned());
        self
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident => $status:ident, $error:literal, $description:literal;)+) => {
        /// Everything this server refuses for. A new one has to say here how it looks on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// Every reason, for tests that walk them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The HTTP status.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// The `error` member.
            pub const fn error(self) -> &'static str {
                match self { $(Self::$name => $error,)+ }
            }

            /// The `error_description` member.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$name => $description,)+ }
            }
        }
    };
}

reasons! {
    /// RFC 6749 §5.2, CIBA §13: malformed, missing, doubled or contradictory.
    InvalidRequest => BAD_REQUEST, "invalid_request", "The request is missing something, malformed, or contradicts itself.";
    /// The same: there is no certificate to bind the token to (FAPI 1.0 part 2 §5.2.2-5).
    NoCertificate => BAD_REQUEST, "invalid_request", "The token request has no client certificate.";
    /// RFC 6749 §5.2, CIBA §13: the client did not authenticate.
    InvalidClient => UNAUTHORIZED, "invalid_client", "Client authentication failed.";
    /// RFC 6749 §5.2: the same, by a client that tried the Authorization header, which no registered method uses.
    InvalidClientHeader => UNAUTHORIZED, "invalid_client", "Clients do not authenticate by header here.";
    /// RFC 6749 §5.2, CIBA §11: unknown, spent, or issued to another client.
    InvalidGrant => BAD_REQUEST, "invalid_grant", "The grant is not valid for this client.";
    /// RFC 6749 §5.2, CIBA §13: a scope that is unknown, malformed or not this client's.
    InvalidScope => BAD_REQUEST, "invalid_scope", "The scope is malformed or not allowed for this client.";
    /// RFC 6749 §5.2: the client may not use this grant or endpoint.
    UnauthorizedClient => BAD_REQUEST, "unauthorized_client", "This client may not do that.";
    /// RFC 6749 §5.2.
    UnsupportedGrantType => BAD_REQUEST, "unsupported_grant_type", "This grant_type is not offered.";
    /// CIBA §11: no decision yet.
    AuthorizationPending => BAD_REQUEST, "authorization_pending", "The user has not decided yet.";
    /// CIBA §11: no decision yet, and asked too soon; wait five seconds longer from now on.
    SlowDown => BAD_REQUEST, "slow_down", "The user has not decided yet; poll less often.";
    /// CIBA §11.
    ExpiredToken => BAD_REQUEST, "expired_token", "The authentication request has expired.";
    /// CIBA §11: the user, or the bank, said no.
    AccessDenied => BAD_REQUEST, "access_denied", "The request was denied.";
    /// CIBA §13: refused by policy, without asking the user.
    AccessForbidden => FORBIDDEN, "access_denied", "The request was refused.";
    /// CIBA §13.
    UnknownUserId => BAD_REQUEST, "unknown_user_id", "The hint does not name a known user.";
    /// CIBA §13.
    ExpiredLoginHintToken => BAD_REQUEST, "expired_login_hint_token", "The login_hint_token has expired.";
    /// CIBA §13: the user has a code and the request has none.
    MissingUserCode => BAD_REQUEST, "missing_user_code", "The user_code is missing.";
    /// CIBA §13.
    InvalidUserCode => BAD_REQUEST, "invalid_user_code", "The user_code is not right.";
    /// CIBA §13.
    InvalidBindingMessage => BAD_REQUEST, "invalid_binding_message", "The binding_message cannot be shown as it is.";
    /// RFC 6750 §3.1: the token is live, and not for this.
    InsufficientScope => FORBIDDEN, "insufficient_scope", "The token is not for this.";
    /// RFC 6750 §3.1: nobody said anything about a token, so the challenge says nothing about one.
    MissingToken => UNAUTHORIZED, "invalid_token", "The token is missing, expired, revoked, or not the caller's.";
    /// RFC 6750 §3.1: a token that is not good here.
    InvalidToken => UNAUTHORIZED, "invalid_token", "The token is missing, expired, revoked, or not the caller's.";
    /// RFC 9449 §5, §7.1: the proof is missing, or does not hold. With a token, it is 401.
    InvalidDpopProof => BAD_REQUEST, "invalid_dpop_proof", "The DPoP proof is missing or does not hold.";
    /// RFC 9449 §8, §9: the proof has to carry the nonce in this answer. With a token, it is 401.
    UseDpopNonce => BAD_REQUEST, "use_dpop_nonce", "The DPoP proof has to have the nonce of the DPoP-Nonce header.";
    /// RFC 7591 §3.2.2.
    InvalidClientMetadata => BAD_REQUEST, "invalid_client_metadata", "A member of the client metadata is missing or not acceptable here.";
    /// RFC 7591 §3.2.2.
    InvalidSoftwareStatement => BAD_REQUEST, "invalid_software_statement", "The software_statement is missing or does not hold.";
    /// RFC 7591 §3.2.2.
    UnapprovedSoftwareStatement => BAD_REQUEST, "unapproved_software_statement", "The issuer of the software_statement is not known here.";
    /// The bank decided about a request that does not exist. Decision interface only.
    UnknownDecision => NOT_FOUND, "unknown_auth_req_id", "There is no such authentication request.";
    /// The bank decided twice, or too late. Decision interface only.
    AlreadySettled => CONFLICT, "already_settled", "The authentication request is decided or has expired.";
    /// RFC 9110 §15.5.5.
    NotFound => NOT_FOUND, "not_found", "There is nothing here.";
    /// RFC 9110 §15.5.6.
    MethodNotAllowed => METHOD_NOT_ALLOWED, "invalid_request", "This endpoint does not answer that method.";
    /// RFC 9110 §15.5.12.
    LengthRequired => LENGTH_REQUIRED, "invalid_request", "The body has to come with a Content-Length.";
    /// RFC 9110 §15.5.14.
    ContentTooLarge => PAYLOAD_TOO_LARGE, "invalid_request", "The body is too large.";
    /// RFC 9110 §15.5.9.
    RequestTimeout => REQUEST_TIMEOUT, "invalid_request", "The body took too long to arrive.";
    /// RFC 6749 §4.1.2.1: unsure, so no answer; nothing was granted.
    TemporarilyUnavailable => SERVICE_UNAVAILABLE, "temporarily_unavailable", "The server cannot answer just now. Try again shortly.";
    /// RFC 6749 §4.1.2.1: our fault.
    ServerError => INTERNAL_SERVER_ERROR, "server_error", "The server failed. Nothing was granted.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6749_5_2_every_description_has_only_allowed_characters() {
        let allowed = |b: u8| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        for reason in Reason::ALL {
            assert!(reason.description().bytes().all(allowed), "{reason:?}");
            assert!(reason.error().bytes().all(allowed), "{reason:?}");
        }
    }

    #[test]
    fn ciba_11_polling_is_never_answered_with_429_or_503() {
        for reason in [Reason::AuthorizationPending, Reason::SlowDown, Reason::ExpiredToken, Reason::AccessDenied] {
            assert_eq!(reason.status(), StatusCode::BAD_REQUEST, "{reason:?}");
        }
    }
}
