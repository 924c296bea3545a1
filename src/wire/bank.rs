//! What we ask of the bank, and what it may answer. The bank serves `POST {url}/identify` and `POST {url}/prompt`; deploy/bank.md is its manual.

use serde::{Deserialize, Serialize};

/// `POST {url}/identify`: who is this?
#[derive(Serialize)]
pub struct Identify<'a> {
    /// Which hint of CIBA §7.1 the client sent: `login_hint`, `id_token_hint` or `login_hint_token`.
    pub hint_type: &'a str,
    /// Its value: the client's words for a `login_hint`, and for the other two the `sub` in a token that was checked.
    pub hint: &'a str,
    /// Whose word a `login_hint_token` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint_issuer: Option<&'a str>,
    /// Who asks.
    pub client_id: &'a str,
    /// The user's code, if the client sent one. To be compared with a slow hash, and never kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_code: Option<&'a str>,
    /// Whether the client can be asked for one: it is registered for user codes.
    pub user_code_possible: bool,
}

/// The bank's answer to [`Identify`].
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "status", rename_all = "snake_case", deny_unknown_fields)]
pub enum Identified {
    /// A user in good standing. `sub` is 1–255 printable ASCII characters (OpenID Connect Core §2).
    Known {
        /// The user's identifier, stable and never reassigned.
        sub: String,
    },
    /// Nobody. (With braces, so that serde refuses members here too.)
    Unknown {},
    /// Somebody who must not be asked: locked, closed, barred from this client.
    Refused {},
    /// Somebody who is asked only by those who know the code, and there was none.
    MissingUserCode {},
    /// The same, and it was wrong.
    InvalidUserCode {},
}

/// `POST {url}/prompt`: please ask this user. Everything the person must see (CIBA §8), and what the bank answers with.
#[derive(Serialize)]
pub struct Prompt<'a> {
    /// The request, to be named in the decision.
    pub auth_req_id: &'a str,
    /// The user to ask, and no other.
    pub sub: &'a str,
    /// Who asks.
    pub client_id: &'a str,
    /// Who asks, in words a person knows.
    pub client_name: &'a str,
    /// What they ask for.
    pub scope: &'a [String],
    /// The text the consumption device shows too, to be shown unchanged.
    pub binding_message: &'a str,
    /// The authentication context classes the client would like, best first.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub acr_values: &'a [String],
    /// What the client says of the circumstances. Untrusted: it may raise a doubt, never settle one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_context: Option<&'a serde_json::Value>,
    /// Seconds left to decide.
    pub expires_in: u32,
}

/// OpenID Connect Core §2: a `sub` has at most 255 ASCII characters; here, printable ones.
pub fn is_sub(sub: &str) -> bool {
    (1..=255).contains(&sub.len()) && sub.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}
