//! [`Heard`]: an answer, and what every answer has to look like.

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::task::JoinSet;

/// What came back.
#[derive(Debug)]
pub(crate) struct Heard {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The JSON body, or null.
    pub(crate) body: Value,
    /// The body, byte for byte.
    pub(crate) text: String,
}

impl Heard {
    /// Sends `request`.
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self::new(status, headers, response.text().await.expect("a body"))
    }

    /// What `text` says, which is JSON or nothing.
    pub(crate) fn new(status: u16, headers: HeaderMap, text: String) -> Self {
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
        };
        Self { status, headers, body, text }
    }

    /// Sends all of `requests` at once.
    pub(crate) async fn all(requests: Vec<RequestBuilder>) -> Vec<Self> {
        requests.into_iter().map(Self::of).collect::<JoinSet<_>>().join_all().await
    }

    /// RFC 6749 §5.2, CIBA §13: `status`, `error`, a description in the allowed characters and nothing else, uncached JSON.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, error: &str) {
        assert_eq!((self.status, &self.body["error"]), (status, &error.into()), "{self:#?}");
        let members: Vec<&str> = self.body.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(members, ["error", "error_description"]);
        let description = self.body["error_description"].as_str().expect("a string");
        assert!(description.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)), "{description}");
        self.is_uncached_json();
    }

    /// 200, and the body.
    #[track_caller]
    pub(crate) fn ok(&self) -> &Value {
        assert_eq!(self.status, 200, "{self:#?}");
        self.is_uncached_json();
        &self.body
    }

    /// A string member of a 200.
    #[track_caller]
    pub(crate) fn text(&self, member: &str) -> String {
        self.ok()[member].as_str().unwrap_or_else(|| panic!("no {member}: {self:#?}")).to_owned()
    }

    /// 200, for anyone to read and keep for five minutes.
    #[track_caller]
    pub(crate) fn published(&self) -> &Value {
        assert_eq!(self.status, 200, "{self:#?}");
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(self.headers["cache-control"], "public, max-age=300");
        &self.body
    }

    /// How many of `heard` have this status and this error, or none.
    pub(crate) fn count(heard: &[Self], status: u16, error: Option<&str>) -> usize {
        heard.iter().filter(|one| one.status == status && one.body["error"].as_str() == error).count()
    }

    #[track_caller]
    fn is_uncached_json(&self) {
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(self.headers["cache-control"], "no-store");
        assert!(self.headers.contains_key("date") && self.headers.contains_key("x-fapi-interaction-id"));
    }
}
