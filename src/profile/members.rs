//! The members of client metadata that mean something here.

/// The members that say something here. Others are ignored at registration (RFC 7591 §2), and a fault in the configuration.
pub const MEMBERS: [&str; 24] = [
    "client_name",
    "jwks",
    "jwks_uri",
    "scope",
    "grant_types",
    "response_types",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
    "tls_client_certificate_bound_access_tokens",
    "dpop_bound_access_tokens",
    "backchannel_token_delivery_mode",
    "backchannel_client_notification_endpoint",
    "backchannel_authentication_request_signing_alg",
    "backchannel_user_code_parameter",
    "id_token_signed_response_alg",
    "subject_type",
    "sector_identifier_uri",
    "require_signed_request_object",
    "software_id",
];

/// Those of the members that say something of a resource server.
pub const RESOURCE_SERVER_MEMBERS: [&str; 11] = [
    "client_name",
    "jwks",
    "jwks_uri",
    "scope",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
];

/// RFC 8705 §2.1.2: what a certificate is held against, one of them.
pub(super) const SUBJECTS: [&str; 5] = [
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
];
