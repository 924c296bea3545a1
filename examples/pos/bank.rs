//! [`Bank`]: it knows alice, reaches her phone, brings her decisions to countersign, and keeps her accounts. One HTTPS listener for its webhook
//! and its API. Of countersign it uses only what any bank would: the webhook, `/decision` and `/introspect`. deploy/bank.md is the manual.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use countersign::clock::{self, Clock, Timestamp};
use countersign::secret::Digest;
use http::{HeaderMap, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::accounts::{ALICE, Accounts, Refused};
use crate::caller::Caller;
use crate::listener::Peer;
use crate::message::{Message, Role};
use crate::places::Places;
use crate::story::{Story, Told};

/// The proof of.
const SHOWN: &str = "countersign.pem, the only certificate this webhook answers";

const WEBHOOK: (Role, Role) = (Role::Countersign, Role::Bank);
const SERVER: (Role, Role) = (Role::Bank, Role::Countersign);

/// The bank.
pub(crate) struct Bank {
    caller: Caller,
    /// The only certificate that the webhook answers.
    countersign: Digest,
    decision: String,
    accounts: Accounts,
    phone: mpsc::Sender<Prompt>,
    /// Who was asked, for each `auth_req_id`. Nobody else can answer it. (A real bank would forget those that have run out.)
    asked: Mutex<HashMap<String, String>>,
    story: Story,
}

/// `POST /identify`.
#[derive(Deserialize)]
struct Identify {
    hint_type: String,
    hint: String,
    client_id: String,
}

/// `POST /prompt`: whom to ask, and everything they have to see.
#[derive(Deserialize)]
struct Ask {
    auth_req_id: String,
    sub: String,
    client_name: String,
    scope: Vec<String>,
    binding_message: String,
    expires_in: u32,
}

/// What arrives on a phone.
pub(crate) struct Prompt {
    pub(crate) auth_req_id: String,
    pub(crate) client_name: String,
    pub(crate) scope: Vec<String>,
    pub(crate) binding_message: String,
    pub(crate) expires_at: Timestamp,
}

/// What alice says.
#[derive(Clone, Copy)]
pub(crate) enum Verdict {
    Approve,
    Deny,
}

/// What became of it.
pub(crate) enum Taken {
    Stored,
    /// The request had run out.
    TooLate,
}

impl Bank {
    /// The bank, and what comes out at alice's phone.
    pub(crate) fn open(places: &Places, story: Story) -> Told<(Arc<Self>, mpsc::Receiver<Prompt>)> {
        let (phone, prompts) = mpsc::channel(8);
        let countersign = CertificateDer::from_pem_file(places.certs.join("countersign.pem"))?;
        let bank = Self {
            caller: Caller::with_certificate(&places.certs, "bank")?,
            countersign: Digest::of(&countersign),
            decision: format!("{}/decision", places.internal),
            accounts: Accounts::new(places, story.clone())?,
            phone,
            asked: Mutex::default(),
            story,
        };
        Ok((Arc::new(bank), prompts))
    }

    /// Everything it answers: the webhook for countersign alone, the API for whoever has a token.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/identify", post(identify))
            .route("/prompt", post(prompt))
            .route_layer(from_fn_with_state(self.clone(), by_countersign))
            .route("/accounts", get(accounts))
            .with_state(self.clone())
    }

    /// Puts a question on the phone of the one it is for, and of nobody else. Whether that has worked.
    fn ring(&self, ask: Ask) -> bool {
        let Ask { auth_req_id, sub, client_name, scope, binding_message, expires_in } = ask;
        if sub != ALICE {
            return false;
        }
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(auth_req_id.clone(), sub);
        let expires_at = clock::System.now().plus(expires_in);
        self.phone.try_send(Prompt { auth_req_id, client_name, scope, binding_message, expires_at }).is_ok()
    }

    /// `POST /decision` (CIBA §8): brings what alice said. Who she is, the bank knows; her phone has no say in that.
    pub(crate) async fn decide(&self, auth_req_id: &str, verdict: Verdict) -> Told<Taken> {
        let sub = self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(auth_req_id);
        let sub = sub.ok_or("the phone answers what nobody was asked")?;
        let body = match verdict {
            Verdict::Approve => json!({
                "auth_req_id": auth_req_id,
                "decision": "approve",
                "sub": sub,
                "acr": "urn:bank:acr:app-pin",
                "auth_time": clock::System.now(),
            }),
            Verdict::Deny => json!({ "auth_req_id": auth_req_id, "decision": "deny" }),
        };
        let answer = self.caller.post_json(&self.decision, &body).await?;
        self.story.say(&[
            Message::request(SERVER, "POST /decision HTTP/1.1")
                .with("TLS certificate", self.caller.shows())
                .with_of(&body, &["auth_req_id", "decision", "sub", "acr", "auth_time"]),
            Message::answer(SERVER, answer.status).with_of(&answer.body, &["error", "error_description"]),
        ]);
        self.story.pause().await;
        match answer.status {
            StatusCode::NO_CONTENT => Ok(Taken::Stored),
            StatusCode::CONFLICT => Ok(Taken::TooLate),
            other => Err(format!("the decision was answered with {other}").into()),
        }
    }
}

/// Who comes before what: the caller's certificate is looked at before its words are read.
async fn by_countersign(
    State(bank): State<Arc<Bank>>,
    Extension(Peer(certificate)): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if certificate == Some(bank.countersign) { next.run(request).await } else { StatusCode::FORBIDDEN.into_response() }
}

/// Who is this? The bank decides whom a hint means, and whether they may be asked.
async fn identify(State(bank): State<Arc<Bank>>, Json(question): Json<Identify>) -> Json<Value> {
    let known = question.hint_type == "login_hint" && question.hint == "alice";
    let answer = if known { json!({ "status": "known", "sub": ALICE }) } else { json!({ "status": "unknown" }) };
    bank.story.say(&[
        Message::request(WEBHOOK, "POST /identify HTTP/1.1")
            .with("TLS certificate", SHOWN)
            .with("hint_type", question.hint_type)
            .with("hint", question.hint)
            .with("client_id", question.client_id),
        Message::answer(WEBHOOK, StatusCode::OK).with_of(&answer, &["status", "sub"]),
    ]);
    bank.story.pause().await;
    Json(answer)
}

/// Please ask this user. Answered as soon as the phone has been told, long before alice has acted (CIBA §7.3).
async fn prompt(State(bank): State<Arc<Bank>>, Json(ask): Json<Ask>) -> StatusCode {
    let request = Message::request(WEBHOOK, "POST /prompt HTTP/1.1")
        .with("TLS certificate", SHOWN)
        .with("auth_req_id", &ask.auth_req_id)
        .with("sub", &ask.sub)
        .with("client_name", &ask.client_name)
        .with("scope", ask.scope.join(" "))
        .with("binding_message", &ask.binding_message)
        .with("expires_in", ask.expires_in.to_string());
    let status = if bank.ring(ask) { StatusCode::ACCEPTED } else { StatusCode::SERVICE_UNAVAILABLE };
    bank.story.say(&[request, Message::answer(WEBHOOK, status)]);
    bank.story.pause().await;
    status
}

async fn accounts(
    State(bank): State<Arc<Bank>>,
    Extension(Peer(certificate)): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    bank.accounts.balance(&headers, certificate).await.map(Json)
}
