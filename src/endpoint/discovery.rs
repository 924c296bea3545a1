//! Discovery and keys (OpenID Connect Discovery §4, RFC 8414 §3, RFC 7517 §5), computed from the profile that every request is held to, so
//! that nothing is advertised that would be refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use crate::endpoint::Server;
use crate::jose::alg::Alg;
use crate::profile::client::CIBA_GRANT;
use crate::profile::{DeliveryMode, Method};
use crate::wire::metadata::Metadata;

/// The metadata, the same at both well-known places.
pub async fn metadata(State(server): State<Arc<Server>>) -> Json<Metadata> {
    let profile = &server.profile;
    let issuer = profile.issuer().clone();
    let algorithms: Vec<_> = profile.algorithms().iter().copied().map(Alg::name).collect();
    let methods: Vec<_> = profile.methods().iter().copied().map(Method::name).collect();
    let id_token_algs = profile.algorithms().iter().copied().filter(|alg| server.keyring.key(*alg).is_some());
    Json(Metadata {
        issuer: issuer.issuer,
        authorization_endpoint: issuer.authorization_endpoint,
        backchannel_authentication_endpoint: issuer.backchannel_authentication_endpoint,
        token_endpoint: issuer.token_endpoint,
        introspection_endpoint: issuer.introspection_endpoint,
        jwks_uri: issuer.jwks_uri,
        scopes_supported: issuer.scopes_supported,
        grant_types_supported: vec![CIBA_GRANT],
        subject_types_supported: vec!["public"],
        acr_values_supported: issuer.acr_values_supported,
        id_token_signing_alg_values_supported: id_token_algs.map(Alg::name).collect(),
        token_endpoint_auth_methods_supported: methods.clone(),
        token_endpoint_auth_signing_alg_values_supported: algorithms.clone(),
        introspection_endpoint_auth_methods_supported: methods,
        introspection_endpoint_auth_signing_alg_values_supported: algorithms.clone(),
        backchannel_token_delivery_modes_supported: profile
            .delivery_modes()
            .iter()
            .copied()
            .map(DeliveryMode::name)
            .collect(),
        backchannel_authentication_request_signing_alg_values_supported: algorithms,
        backchannel_user_code_parameter_supported: false,
        request_parameter_supported: true,
        request_uri_parameter_supported: false,
        require_signed_request_object: true,
        tls_client_certificate_bound_access_tokens: true,
    })
}

/// The public keys.
pub async fn jwks(State(server): State<Arc<Server>>) -> Json<Value> {
    Json(server.keyring.jwks())
}
