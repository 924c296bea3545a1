//! A server with everything switched on: pings, refresh tokens, user codes, hint tokens, pseudonyms, registration.

use countersign::http::serve::Limits;
use serde_json::{Value, json};

use crate::bank::{Bank, client, key, pki};
use crate::heard::Heard;
use crate::token::Draft;
use crate::tpp::Tpp;

/// The issuer of login_hint_tokens and software statements that the server knows.
pub(crate) const DIRECTORY: &str = "https://directory.example";

/// The line that lets anybody register.
const OPEN: &str = "[registration]\nmode = \"open\"\n";

/// Everything on; till-9 refreshes and sends user codes, till-10 is pinged at `endpoint`; anybody may register.
pub(crate) async fn wired(endpoint: &str) -> Bank {
    wired_with(endpoint, str::to_owned).await
}

/// The same, with its configuration changed.
pub(crate) async fn wired_with(endpoint: &str, edit: impl FnOnce(&str) -> String) -> Bank {
    Bank::with(Limits::default(), |shipped| edit(&switched_on(shipped, endpoint))).await
}

/// The same, where only those may register whom `section` names.
pub(crate) async fn registering(section: &str) -> Bank {
    let section = format!("[registration]\n{section}\n").replace("PKI", pki().to_str().expect("UTF-8"));
    wired_with("https://localhost:1/ping", |on| on.replace(OPEN, &section)).await
}

/// The configuration with everything on.
pub(crate) fn switched_on(shipped: &str, endpoint: &str) -> String {
    let extra = r#"
[client_endpoints]
trust = "PKI/ca.pem"
loopback = true

REGISTRATION
[[login_hint_token_issuers]]
iss = "https://directory.example"
jwks = "PKI/directory.jwks.json"

[[clients]]
client_id = "till-9"
client_name = "Corner Shop, till 9"
jwks = "PKI/till8.jwks.json"
token_endpoint_auth_method = "private_key_jwt"
token_endpoint_auth_signing_alg = "ES256"
backchannel_authentication_request_signing_alg = "ES256"
id_token_signed_response_alg = "ES256"
backchannel_token_delivery_mode = "poll"
backchannel_user_code_parameter = true
grant_types = ["urn:openid:params:grant-type:ciba", "refresh_token"]
scope = "openid accounts payments"

[[clients]]
client_id = "till-10"
client_name = "Corner Shop, till 10"
jwks = "PKI/till8.jwks.json"
token_endpoint_auth_method = "private_key_jwt"
token_endpoint_auth_signing_alg = "ES256"
backchannel_authentication_request_signing_alg = "ES256"
id_token_signed_response_alg = "ES256"
backchannel_token_delivery_mode = "ping"
backchannel_client_notification_endpoint = "ENDPOINT"
scope = "openid accounts"
"#;
    let pki = pki().to_str().expect("UTF-8");
    let profile = "profile = \"fapi-ciba-id1\"";
    let served = format!("{profile}\nuser_code = true\npairwise_key = \"{pki}/pairwise.key\"");
    let extra = extra.replace("REGISTRATION", OPEN).replace("PKI", pki).replace("ENDPOINT", endpoint);
    shipped.replace(profile, &served) + &extra
}

/// The same under the rules of Open Banking UK; till 9 may have tokens in its own name, the others may not.
pub(crate) fn in_the_uk(on: &str) -> String {
    let uk = on.replacen("profile = \"fapi-ciba-id1\"", "profile = \"open-banking-uk\"", 1);
    uk.replace("\"refresh_token\"]", "\"refresh_token\", \"client_credentials\"]")
}

/// Till 9: refresh tokens and user codes, ES256 throughout, the certificate of till 8.
pub(crate) fn till9(bank: &Bank) -> Tpp<'_> {
    Tpp::new(bank, "till-9", (key("till8.key"), key("till8.key")), Some("till8"))
}

/// Till 10: pinged, ES256 throughout, the certificate of till 8.
pub(crate) fn till10(bank: &Bank) -> Tpp<'_> {
    Tpp::new(bank, "till-10", (key("till8.key"), key("till8.key")), Some("till8"))
}

/// Tokens for `scope`, to which alice said yes.
pub(crate) async fn granted(bank: &Bank, till: &Tpp<'_>, scope: &str) -> Heard {
    let auth_req_id = till.backchannel(|request| request.with("scope", scope)).await.text("auth_req_id");
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    till.poll(&auth_req_id).await
}

/// Whether the accounts API hears that `token` is live. If not, it hears that and nothing else.
pub(crate) async fn is_live(bank: &Bank, token: &str) -> bool {
    let heard = bank.accounts_api().introspect(token).await;
    let active = heard.ok()["active"].as_bool().expect("a boolean");
    assert!(active || heard.text == r#"{"active":false}"#, "{heard:#?}");
    active
}

/// The entry of till-9, once more under the id `client_id`.
pub(crate) fn and_another(on: &str, client_id: &str) -> String {
    let (_, from) = on.split_once("[[clients]]\nclient_id = \"till-9\"").expect("it is there");
    let (entry, _) = from.split_once("[[clients]]").expect("another follows");
    format!("{on}\n[[clients]]\nclient_id = \"{client_id}\"{entry}")
}

/// A login_hint_token by the directory, for alice.
pub(crate) fn hint_token(bank: &Bank, jti: &str) -> Draft {
    let now = bank.now();
    let claims = json!({"iss": DIRECTORY, "aud": bank.issuer, "sub": "alice", "jti": jti, "iat": now, "exp": now + 60});
    Draft::new(claims, key("directory.key")).header("typ", "login-hint+jwt")
}

/// What the official suite registers, for a client with the keys of till 8.
pub(crate) fn metadata() -> Value {
    let jwks: Value =
        serde_json::from_str(&std::fs::read_to_string(pki().join("till8.jwks.json")).expect("there")).expect("JSON");
    json!({
        "client_name": "Registered shop", "jwks": jwks,
        "grant_types": ["urn:openid:params:grant-type:ciba"], "response_types": [],
        "backchannel_token_delivery_mode": "poll",
        "backchannel_authentication_request_signing_alg": "ES256",
        "backchannel_user_code_parameter": false,
        "id_token_signed_response_alg": "ES256",
        "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256",
        "tls_client_certificate_bound_access_tokens": true,
    })
}

/// Registers `metadata`, with `bearer` as the token, if any.
pub(crate) async fn register(bank: &Bank, metadata: &Value, bearer: Option<&str>) -> Heard {
    let request = client(None).post(bank.url("/register")).header("content-type", "application/json");
    let request = bearer.iter().fold(request, reqwest::RequestBuilder::bearer_auth);
    Heard::of(request.body(metadata.to_string())).await
}

/// The bank says that `sub` is `locked` or in `good` standing.
pub(crate) async fn standing(bank: &Bank, sub: &str, standing: &str) -> Heard {
    let url = format!("https://localhost:{}/standing", bank.internal.port());
    let body = json!({"sub": sub, "standing": standing}).to_string();
    Heard::of(client(Some("bank")).post(url).header("content-type", "application/json").body(body)).await
}
