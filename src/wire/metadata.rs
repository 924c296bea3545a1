//! The discovery document: OpenID Connect Discovery §3, RFC 8414 §2, CIBA §4, RFC 8705 §3.3.
//!
//! `response_types_supported` is absent: there is no front channel to describe, and RFC 8414 §3.2 bars empty arrays. `authorization_endpoint` is there
//! for clients that probe what OpenID Connect Discovery §3 requires; it answers every call with an error.

use serde::Serialize;

/// What this server tells the world about itself. Members without a value are left out (RFC 8414 §3.2).
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "each member is named by the specs above and means what they say")]
#[expect(clippy::struct_excessive_bools, reason = "the specs made them booleans")]
pub struct Metadata {
    pub issuer: String,
    pub authorization_endpoint: String,
    pub backchannel_authentication_endpoint: String,
    pub token_endpoint: String,
    pub introspection_endpoint: String,
    pub revocation_endpoint: String,
    pub userinfo_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<String>,
    pub jwks_uri: String,
    pub scopes_supported: Vec<String>,
    pub grant_types_supported: Vec<&'static str>,
    pub subject_types_supported: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acr_values_supported: Vec<String>,
    pub id_token_signing_alg_values_supported: Vec<&'static str>,
    pub token_endpoint_auth_methods_supported: Vec<&'static str>,
    pub token_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    pub introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    pub introspection_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    pub introspection_signing_alg_values_supported: Vec<&'static str>,
    pub revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    pub revocation_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    pub backchannel_token_delivery_modes_supported: Vec<&'static str>,
    pub backchannel_authentication_request_signing_alg_values_supported: Vec<&'static str>,
    pub backchannel_user_code_parameter_supported: bool,
    pub request_parameter_supported: bool,
    pub request_uri_parameter_supported: bool,
    pub require_signed_request_object: bool,
    pub tls_client_certificate_bound_access_tokens: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dpop_signing_alg_values_supported: Vec<&'static str>,
    pub mtls_endpoint_aliases: Aliases,
}

/// RFC 8705 §5: where clients with a certificate find the endpoints that look at one.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "as for Metadata")]
pub struct Aliases {
    pub backchannel_authentication_endpoint: String,
    pub token_endpoint: String,
    pub introspection_endpoint: String,
    pub revocation_endpoint: String,
    pub userinfo_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<String>,
}
