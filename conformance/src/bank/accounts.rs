//! The accounts, for whoever has a token that their owner approved.

use axum::Json;
use serde_json::{Value, json};

use crate::bank::caller::{Caller, Refusal};
use crate::bank::users::User;

/// `GET /accounts`.
pub(super) async fn plain(caller: Caller) -> Result<Json<Value>, Refusal> {
    let owner = owner(&caller)?;
    Ok(Json(json!({"accounts": [{"id": "1", "owner": owner.name, "balance": "1204.11"}]})))
}

/// `GET {base}accounts`, in the shape of the Read/Write API of Open Banking UK.
pub(super) async fn open_banking(caller: Caller) -> Result<Json<Value>, Refusal> {
    let owner = owner(&caller)?;
    let account = json!({"AccountId": "1", "Currency": "GBP", "Nickname": owner.name});
    Ok(Json(json!({"Data": {"Account": [account]}, "Links": {"Self": "accounts"}, "Meta": {"TotalPages": 1}})))
}

/// A token in the client's own name opens no account (RFC 6750 §3.1).
fn owner(caller: &Caller) -> Result<User, Refusal> {
    caller.sub.as_deref().and_then(User::known_as).ok_or(Refusal::InsufficientScope)
}
