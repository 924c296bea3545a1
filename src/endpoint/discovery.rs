//! Discovery and keys (OpenID Connect Discovery §4, RFC 8414 §3, RFC 7517 §5), computed from the profile that every request is held to, so
//! that nothing is advertised that would be refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use crate::endpoint::Server;
use crate::jose::alg::Alg;
use crate::jose::dpop::ALGS;
use crate::profile::client::{CIBA_GRANT, CLIENT_CREDENTIALS_GRANT, REFRESH_GRANT};
use crate::profile::issuer::path;
use crate::profile::{BoundBy, DeliveryMode, Method};
use crate::wire::metadata::{Aliases, Metadata};

/// The metadata, the same at both well-known places.
pub async fn metadata(State(server): State<Arc<Server>>) -> Json<Metadata> {
    let profile = &server.profile;
    let issuer = profile.issuer();
    let offer = &issuer.offer;
    let names = |algs: &[Alg]| algs.iter().copied().map(Alg::name).collect::<Vec<_>>();
    let (algorithms, signs_with) = (names(profile.algorithms()), names(&profile.signing()));
    let methods: Vec<_> = profile
        .methods()
        .iter()
        .copied()
        .filter(|method| *method != Method::TlsClientAuth || offer.vouched)
        .map(Method::name)
        .collect();
    let modes = profile.delivery_modes().iter().copied().filter(|mode| *mode == DeliveryMode::Poll || offer.calls);
    let own = profile.rules().client_credentials.as_ref().map(|_| CLIENT_CREDENTIALS_GRANT);
    let grants = [CIBA_GRANT, REFRESH_GRANT].into_iter().chain(own).collect();
    let url = |path| issuer.url(path);
    let alias = |path| issuer.mtls_url(path);
    Json(Metadata {
        issuer: issuer.issuer.clone(),
        authorization_endpoint: url(path::AUTHORIZATION),
        backchannel_authentication_endpoint: url(path::BACKCHANNEL),
        token_endpoint: url(path::TOKEN),
        introspection_endpoint: url(path::INTROSPECTION),
        revocation_endpoint: url(path::REVOCATION),
        userinfo_endpoint: url(path::USERINFO),
        registration_endpoint: offer.registration.then(|| url(path::REGISTRATION)),
        jwks_uri: url(path::JWKS),
        scopes_supported: issuer.scopes_supported.clone(),
        grant_types_supported: grants,
        subject_types_supported: if offer.pairwise { vec!["public", "pairwise"] } else { vec!["public"] },
        acr_values_supported: issuer.acr_values_supported.clone(),
        id_token_signing_alg_values_supported: signs_with.clone(),
        token_endpoint_auth_methods_supported: methods.clone(),
        token_endpoint_auth_signing_alg_values_supported: algorithms.clone(),
        introspection_endpoint_auth_methods_supported: methods.clone(),
        introspection_endpoint_auth_signing_alg_values_supported: algorithms.clone(),
        introspection_signing_alg_values_supported: signs_with.iter().copied().take(1).collect(),
        revocation_endpoint_auth_methods_supported: methods,
        revocation_endpoint_auth_signing_alg_values_supported: algorithms.clone(),
        backchannel_token_delivery_modes_supported: modes.map(DeliveryMode::name).collect(),
        backchannel_authentication_request_signing_alg_values_supported: algorithms,
        backchannel_user_code_parameter_supported: offer.user_code,
        request_parameter_supported: true,
        request_uri_parameter_supported: false,
        require_signed_request_object: true,
        tls_client_certificate_bound_access_tokens: profile.binds(BoundBy::Certificate),
        dpop_signing_alg_values_supported: if profile.binds(BoundBy::Dpop) { ALGS.to_vec() } else { Vec::new() },
        mtls_endpoint_aliases: Aliases {
            backchannel_authentication_endpoint: alias(path::BACKCHANNEL),
            token_endpoint: alias(path::TOKEN),
            introspection_endpoint: alias(path::INTROSPECTION),
            revocation_endpoint: alias(path::REVOCATION),
            userinfo_endpoint: alias(path::USERINFO),
            registration_endpoint: offer.registration.then(|| alias(path::REGISTRATION)),
        },
    })
}

/// The public keys.
pub async fn jwks(State(server): State<Arc<Server>>) -> Json<Value> {
    Json(server.keyring.jwks(server.now()))
}
