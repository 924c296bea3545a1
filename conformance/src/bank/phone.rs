//! The phone: who is asked decides here, or somebody for them, by the approval URL of the suite (`automated_ciba_approval_url`) or on the page.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::json;

use crate::bank::Bank;
use crate::bank::users::{Temper, User};

/// What somebody decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allow,
    Deny,
}

/// What is asked of the phone. The suite's words: `allow`, `deny`.
#[derive(Deserialize)]
pub(super) struct Told {
    #[serde(default)]
    id: String,
    #[serde(default, rename = "do")]
    action: String,
}

/// `POST /approve?id={auth_req_id}&do={action}`: 204 when the server has taken the decision, and a browser is sent back to the page; 202, and nothing happens, for who never answers. 404: nobody is asked in such a request, or not any
/// more. 502: the server cannot be reached. What it answers otherwise is passed on.
pub(super) async fn approve(State(bank): State<Arc<Bank>>, Query(told): Query<Told>, headers: HeaderMap) -> Response {
    let decision = match told.action.as_str() {
        "allow" => Decision::Allow,
        "deny" => Decision::Deny,
        _ => return (StatusCode::BAD_REQUEST, "do has to be allow or deny\n").into_response(),
    };
    let Some(prompt) = bank.open.of(&told.id, bank.now()) else {
        return (StatusCode::NOT_FOUND, "nobody is asked that, or not any more\n").into_response();
    };
    if prompt.user.temper == Temper::Ignores {
        return (StatusCode::ACCEPTED, "never-answers has heard, and does nothing\n").into_response();
    }
    let decided = bank.decide(&told.id, (&prompt.user, decision)).await;
    let accepts = headers.get(ACCEPT).and_then(|accepts| accepts.to_str().ok()).unwrap_or_default();
    if decided.0 == StatusCode::NO_CONTENT && accepts.contains("text/html") {
        return Redirect::to("/").into_response();
    }
    decided.into_response()
}

impl Bank {
    /// Brings a decision to the server, and forgets the prompt once the server has an opinion on it.
    pub(super) async fn decide(
        &self,
        auth_req_id: &str,
        (user, decision): (&User, Decision),
    ) -> (StatusCode, &'static str) {
        let acr = &self.settings.acr;
        let body = match decision {
            Decision::Allow => {
                json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": user.sub(), "acr": acr})
            }
            Decision::Deny => json!({"auth_req_id": auth_req_id, "decision": "deny"}),
        };
        let request = self.http.post(&self.settings.decision).header("content-type", "application/json");
        let Ok(answer) = request.body(body.to_string()).send().await else {
            return (StatusCode::BAD_GATEWAY, "the server cannot be reached; nothing is decided\n");
        };
        match answer.status() {
            StatusCode::NO_CONTENT => {
                self.open.close(auth_req_id);
                (StatusCode::NO_CONTENT, "")
            }
            StatusCode::NOT_FOUND => {
                self.open.close(auth_req_id);
                (StatusCode::NOT_FOUND, "the server knows of no such request\n")
            }
            StatusCode::CONFLICT => {
                self.open.close(auth_req_id);
                (StatusCode::CONFLICT, "it was decided before, or it is too late\n")
            }
            status => (status, "the server has not taken the decision\n"),
        }
    }
}

/// `GET /`: who is asked what, with two buttons each. What clients wrote is shown as text.
pub(super) async fn screen(State(bank): State<Arc<Bank>>) -> impl IntoResponse {
    let mut page = String::from(HEAD);
    let shown = bank.open.shown(bank.now());
    if shown.is_empty() {
        page.push_str("<p>Nobody is asked anything now.</p>");
    }
    for (id, prompt) in shown {
        let (user, client, message) =
            (escaped(&prompt.user.name), escaped(&prompt.client_name), escaped(&prompt.binding_message));
        let scope = escaped(&prompt.scope);
        // The server draws ids of letters, digits, - and _ alone; whatever else comes is not made a link of.
        let id = id.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect::<String>();
        let written = write!(
            page,
            "<section><h2>{user}</h2><p><b>{client}</b> asks for {scope}</p><blockquote>{message}</blockquote>\
             <form method=post action=\"/approve?id={id}&amp;do=allow\"><button>Approve</button></form>\
             <form method=post action=\"/approve?id={id}&amp;do=deny\"><button>Deny</button></form></section>"
        );
        written.expect("a string has room");
    }
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";
    ([(CONTENT_SECURITY_POLICY, policy)], Html(page))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const HEAD: &str = "<!doctype html><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>Sandbox bank</title>\
    <style>body{font:1rem system-ui;max-width:40rem;margin:2rem auto;color-scheme:light dark}section{border:1px solid;padding:0 1rem 1rem;margin:1rem 0}form{display:inline}</style>\
    <h1>Sandbox bank</h1>";
