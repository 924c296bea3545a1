//! [`Consents`]: what a client of Open Banking UK says beforehand that it wants to see, with a token in its own name (Read/Write API, account access consents).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use countersign::secret::{Secret, System};
use serde_json::{Value, json};

use crate::bank::Bank;
use crate::bank::caller::{Caller, Refusal, date_time};

/// More than a run of the suite makes. The oldest make room.
const MOST: usize = 10_000;

struct Consent {
    id: String,
    client_id: String,
    said: Value,
}

/// All of them, oldest first.
#[derive(Default)]
pub(super) struct Consents(Mutex<VecDeque<Consent>>);

impl Consents {
    fn put(&self, consent: Consent) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.pop_front();
        }
        kept.push_back(consent);
    }

    fn of(&self, caller: &Caller, id: &str) -> Option<Value> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = |consent: &&Consent| consent.id == id && consent.client_id == caller.client_id;
        kept.iter().find(mine).map(|consent| consent.said.clone())
    }

    fn remove(&self, caller: &Caller, id: &str) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.len();
        kept.retain(|consent| consent.id != id || consent.client_id != caller.client_id);
        kept.len() < before
    }
}

/// `POST {base}account-requests`, version 1 and 2.
pub(super) async fn request(
    bank: State<Arc<Bank>>,
    caller: Caller,
    body: Result<Json<Value>, axum::extract::rejection::JsonRejection>,
) -> Response {
    make(&bank, &caller, (body.ok(), "AccountRequestId"))
}

/// `POST {base}account-access-consents`, version 3 and 4.
pub(super) async fn consent(
    bank: State<Arc<Bank>>,
    caller: Caller,
    body: Result<Json<Value>, axum::extract::rejection::JsonRejection>,
) -> Response {
    make(&bank, &caller, (body.ok(), "ConsentId"))
}

fn make(bank: &Bank, caller: &Caller, (body, name): (Option<Json<Value>>, &str)) -> Response {
    if let Err(refusal) = in_its_own_name(caller) {
        return refusal.into_response();
    }
    let permissions = body.as_ref().and_then(|Json(body)| body["Data"]["Permissions"].as_array()).filter(|wanted| {
        !wanted.is_empty()
            && wanted.len() <= 64
            && wanted.iter().all(|one| one.as_str().is_some_and(|one| one.len() <= 64))
    });
    let Some(permissions) = permissions else {
        let says = json!({"Code": "400 BadRequest", "Message": "Data.Permissions has to be a list of names"});
        return (StatusCode::BAD_REQUEST, Json(says)).into_response();
    };
    let (id, at) = (Secret::draw(&System).reveal().to_owned(), date_time(bank.now()));
    let data = json!({name: id, "Status": "AwaitingAuthorisation", "CreationDateTime": at, "StatusUpdateDateTime": at, "Permissions": permissions});
    let said = json!({"Data": data, "Risk": {}, "Links": {"Self": id}, "Meta": {"TotalPages": 1}});
    bank.consents.put(Consent { id, client_id: caller.client_id.clone(), said: said.clone() });
    (StatusCode::CREATED, Json(said)).into_response()
}

/// `GET` on what was made, for the client that made it.
pub(super) async fn read(bank: State<Arc<Bank>>, caller: Caller, Path(id): Path<String>) -> Response {
    if let Err(refusal) = in_its_own_name(&caller) {
        return refusal.into_response();
    }
    bank.consents
        .of(&caller, &id)
        .map_or_else(|| StatusCode::NOT_FOUND.into_response(), |said| Json(said).into_response())
}

/// `DELETE` on what was made, by the client that made it.
pub(super) async fn delete(bank: State<Arc<Bank>>, caller: Caller, Path(id): Path<String>) -> Response {
    if let Err(refusal) = in_its_own_name(&caller) {
        return refusal.into_response();
    }
    let status = if bank.consents.remove(&caller, &id) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND };
    status.into_response()
}

/// A person's token is for their accounts, not for asking what else to see.
fn in_its_own_name(caller: &Caller) -> Result<(), Refusal> {
    if caller.sub.is_none() { Ok(()) } else { Err(Refusal::InsufficientScope) }
}
