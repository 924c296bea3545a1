//! The authorization endpoint, which is not one: this server asks people on their phones, never in a browser (RFC 6749 §3.1, CIBA §4).

use axum::response::Html;
use http::StatusCode;

const PAGE: &str = "<!doctype html>
<html lang=\"en\"><meta charset=\"utf-8\"><title>Not here</title>
<h1>Nothing is authorized here</h1>
<p>This server asks people on a phone they already trust, and never in a browser. An application that sent you here is set up wrongly: it should use the
backchannel authentication endpoint of OpenID Connect CIBA. If you followed a link, nothing was shared and nothing happened.</p>
</html>
";

/// The same page for every call; nothing of it is read, and nobody is sent anywhere.
pub async fn refuse() -> (StatusCode, Html<&'static str>) {
    (StatusCode::BAD_REQUEST, Html(PAGE))
}
