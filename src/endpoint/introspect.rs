//! The introspection endpoint (RFC 7662, RFC 9701), for the bank's APIs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;

use crate::clock::Timestamp;
use crate::endpoint::Server;
use crate::error::{Reason, Rejection};
use crate::profile::inspection::Inspection;
use crate::profile::sender::Binding;
use crate::profile::verified::Verified;
use crate::store::tokens::AccessToken;
use crate::wire::answer::{Confirmation, Introspection, Live};

/// Says what a token is, to the resource server it is for. RFC 7662 §2.2: everything else is one identical `{"active":false}`.
///
/// # Errors
/// The store could not say.
pub async fn handle(State(server): State<Arc<Server>>, request: Verified<Inspection>) -> Result<Response, Rejection> {
    let found = server.store.inspect(&request, server.now()).await?;
    let live = found.and_then(|token| live(&server, &request, token));
    let answer = live.map_or(Introspection::Inactive { active: false }, |live| Introspection::Active(Box::new(live)));
    if request.signed() { signed(&server, &request, &answer) } else { Ok(Json(answer).into_response()) }
}

/// RFC 9701 §5: the same answer, for evidence. No `sub` and no `exp` of its own: it is no token.
fn signed(server: &Server, request: &Verified<Inspection>, answer: &Introspection) -> Result<Response, Rejection> {
    let failed = || Rejection::new(Reason::ServerError, "INTRO-9701-1", "signing failed");
    let claims = json!({
        "iss": server.profile.issuer().issuer, "aud": request.caller().client_id, "iat": server.now().seconds(),
        "token_introspection": answer,
    });
    let alg = server.profile.signing().first().copied();
    let key = alg.and_then(|alg| server.keyring.key(alg, server.now())).ok_or_else(failed)?;
    let jwt = key.sign("token-introspection+jwt", &claims).map_err(|_| failed())?;
    let of_type = HeaderValue::from_static("application/token-introspection+jwt");
    Ok(([(CONTENT_TYPE, of_type)], jwt.reveal().to_owned()).into_response())
}

/// What the caller may see of `token`: the scopes that concern it, or nothing at all.
fn live(server: &Server, request: &Verified<Inspection>, token: AccessToken) -> Option<Live> {
    let caller = request.caller();
    let scope: Vec<String> = token.scope.into_iter().filter(|scope| caller.scope().contains(scope)).collect();
    let token_type = token.cnf.token_type();
    let cnf = match token.cnf {
        Binding::Certificate(thumbprint) => Confirmation::Certificate(thumbprint),
        Binding::Key(thumbprint) => Confirmation::Key(thumbprint),
    };
    (!scope.is_empty()).then(|| Live {
        active: true,
        iss: server.profile.issuer().issuer.clone(),
        aud: caller.client_id.clone(),
        client_id: token.client_id,
        sub: token.sub,
        scope: scope.join(" "),
        token_type,
        iat: token.iat.seconds(),
        exp: token.exp.seconds(),
        auth_time: token.auth_time.map(Timestamp::seconds),
        acr: token.acr,
        cnf,
    })
}
