//! Who is who, and asking them: the two calls that the server makes (deploy/bank.md).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use countersign::wire::inbound::PeerCertificate;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::bank::Bank;
use crate::bank::open::Prompt;
use crate::bank::phone::Decision;
use crate::bank::users::{Temper, User};

/// How long people think who need not be told.
const THOUGHT: Duration = Duration::from_secs(1);

/// These two calls are for the server alone: whoever asks shows its certificate (deploy/bank.md).
pub(super) async fn from_the_server(State(bank): State<Arc<Bank>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<PeerCertificate>();
    if peer.is_some_and(|peer| peer.thumbprint == bank.server) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, "this is for the server alone\n").into_response()
}

/// `POST /identify`: whom a till or a token names. An `id_token_hint` says it in the server's words, everything else in the till's.
pub(super) async fn identify(Json(question): Json<Value>) -> Json<Value> {
    let hint = question["hint"].as_str().unwrap_or_default();
    let user = if question["hint_type"] == "id_token_hint" { User::known_as(hint) } else { User::called(hint) };
    Json(user.map_or_else(|| json!({"status": "unknown"}), |user| json!({"status": "known", "sub": user.sub()})))
}

/// `POST /prompt`: shows it on the phone. Those who decide by themselves take a moment to.
pub(super) async fn prompt(State(bank): State<Arc<Bank>>, Json(asked): Json<Value>) -> StatusCode {
    let text = |member: &str| asked[member].as_str().unwrap_or_default().to_owned();
    let Some(user) = User::known_as(&text("sub")) else { return StatusCode::NOT_FOUND };
    let scope: Vec<&str> = asked["scope"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let expires_in = asked["expires_in"].as_u64().and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or_default();
    let (now, auth_req_id) = (bank.now(), text("auth_req_id"));
    let prompt = Prompt {
        client_name: text("client_name"),
        binding_message: text("binding_message"),
        scope: scope.join(" "),
        until: now.plus(expires_in),
        user: user.clone(),
    };
    bank.open.show(auth_req_id.clone(), prompt, now);
    let decision = match user.temper {
        Temper::WaitsToBeTold | Temper::Ignores => return StatusCode::NO_CONTENT,
        Temper::Approves => Decision::Allow,
        Temper::Denies => Decision::Deny,
    };
    tokio::spawn(async move {
        sleep(THOUGHT).await;
        let (status, _) = bank.decide(&auth_req_id, (&user, decision)).await;
        eprintln!("bank: {} has decided by itself; the server says {status}", user.name);
    });
    StatusCode::NO_CONTENT
}
