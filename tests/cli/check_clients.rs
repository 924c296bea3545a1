//! `countersign check` on `[[clients]]` and `[[resource_servers]]`.

use crate::check::only_key;
use crate::deployment::Deployment;

const TILL: &str = "client_id = \"till-7\"";

#[test]
fn a_client_id_is_given_once() {
    let deployment = Deployment::new();
    deployment.append(
        r#"
[[clients]]
client_id = "till-7"
client_name = "The same again"
jwks = "../certs/dev/till.jwks.json"
token_endpoint_auth_method = "private_key_jwt"
token_endpoint_auth_signing_alg = "ES256"
backchannel_authentication_request_signing_alg = "PS256"
id_token_signed_response_alg = "PS256"
backchannel_token_delivery_mode = "poll"
scope = "openid"
"#,
    );
    deployment.has_faults(&[("clients[1].client_id", "is taken by another entry")]);

    let deployment = Deployment::new();
    deployment.edit(TILL, "client_id = \"accounts-api\"");
    deployment.has_faults(&[("resource_servers[0].client_id", "is taken by another entry")]);
}

#[test]
fn a_client_id_and_a_name_can_be_shown() {
    for bad in ["till 7", "till\\u0007", "k\u{e4}se", &"x".repeat(257)] {
        let deployment = Deployment::new();
        deployment.edit(TILL, &format!("client_id = \"{bad}\""));
        deployment.has_faults(&[("clients[0].client_id", "has to be 1 to 256 visible ASCII characters")]);
    }
    for bad in ["two\\nlines", &"x".repeat(129)] {
        let deployment = Deployment::new();
        deployment.edit("client_name = \"Corner Shop, till 7\"", &format!("client_name = \"{bad}\""));
        deployment.has_faults(&[("clients[0].client_name", "has to be at most 128 characters")]);
    }
}

#[test]
fn a_scope_is_one_that_is_offered() {
    let deployment = Deployment::new();
    deployment.edit("scope = \"openid accounts payments\"", "scope = \"openid accounts admin\"");
    deployment.edit("scope = \"accounts\"", "scope = \"loans\"");
    deployment.has_faults(&[
        ("clients[0].scope", "\"admin\" is not in server.scopes_supported"),
        ("resource_servers[0].scope", "\"loans\" is not in server.scopes_supported"),
    ]);

    let deployment = Deployment::new();
    deployment.edit("[\"openid\", \"accounts\", \"payments\"]", "[\"accounts\", \"payments\"]");
    deployment.edit("scope = \"openid accounts payments\"", "scope = \"accounts payments\"");
    deployment.has_faults(&[
        ("server.scopes_supported", "has to have openid among them"),
        ("clients[0].scope", "has to have openid in it"),
    ]);

    let deployment = Deployment::new();
    deployment.edit("\"payments\"]", "\"pay ments\"]");
    deployment.edit("scope = \"openid accounts payments\"", "scope = \"openid accounts\"");
    deployment.edit("internal_listen = \"127.0.0.1:9444\"", "internal_listen = \"127.0.0.1:9443\"");
    deployment.edit("Corner Shop, till 7", "Corner \u{202e}Shop");
    deployment.edit("url = \"https://localhost:9445\"", "url = \"https://user:word@localhost:9445\"");
    deployment.has_faults(&[
        ("server.scopes_supported", "has a space or another character"),
        ("server.internal_listen", "is the same as listen"),
        ("clients[0].client_name", "that a screen shows as they are"),
        ("bank.url", "has to be https://"),
    ]);

    let deployment = Deployment::new();
    deployment.edit("profile = \"fapi-ciba-id1\"", "profile = \"open-banking-uk\"");
    deployment.edit("[\"openid\", \"accounts\", \"payments\"]", "[\"openid\", \"payments\"]");
    deployment.edit("scope = \"openid accounts payments\"", "scope = \"openid payments\"");
    deployment.edit("scope = \"accounts\"", "scope = \"payments\"");
    deployment.has_faults(&[(
        "server.scopes_supported",
        "has no scope that the profile lets clients have in their own name",
    )]);
}

#[test]
fn an_algorithm_is_one_of_two_and_has_a_key() {
    for name in ["RS256", "none", "HS256", "es256", "EdDSA"] {
        let deployment = Deployment::new();
        let at = "token_endpoint_auth_signing_alg = \"ES256\"";
        deployment.edit(at, &at.replace("ES256", name));
        deployment.has_faults(&[("clients[0].token_endpoint_auth_signing_alg", "has to be one of: PS256, ES256")]);
    }

    let deployment = Deployment::new();
    deployment.write("till.jwks.json", &only_key(&deployment.read("till.jwks.json"), "RSA"));
    deployment.edit(
        "backchannel_authentication_request_signing_alg = \"PS256\"",
        "backchannel_authentication_request_signing_alg = \"ES256\"",
    );
    deployment.has_faults(&[
        ("clients[0].jwks", "has no key for ES256, which token_endpoint_auth_signing_alg names"),
        ("clients[0].jwks", "has no key for ES256, which backchannel_authentication_request_signing_alg names"),
    ]);

    let deployment = Deployment::new();
    std::fs::remove_file(deployment.certs().join("keys/ps256.pem")).expect("removed");
    deployment.has_faults(&[("clients[0].id_token_signed_response_alg", "there is no signing key for PS256")]);
}

#[test]
fn a_key_set_is_public_and_strict() {
    let fine = Deployment::new().read("till.jwks.json");
    let elliptic = only_key(&fine, "EC");
    for (set, says) in [
        (
            elliptic.replace("{\"", "{\"d\":\"AAAA\",\"").replacen("{\"d\":\"AAAA\",", "{", 1),
            "register public keys only",
        ),
        (r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#.to_owned(), "register public keys only"),
        (r#"{"keys":[]}"#.to_owned(), "no signature key"),
        (r#"{"keys":[],"keys":[]}"#.to_owned(), "not strict JSON"),
        ("-----BEGIN PUBLIC KEY-----".to_owned(), "not strict JSON"),
        (elliptic.replace("ES256", "ES384"), "alg is not PS256 or ES256"),
    ] {
        let deployment = Deployment::new();
        deployment.write("till.jwks.json", &set);
        deployment.has_faults(&[("clients[0].jwks", says)]);
    }
}

#[test]
fn push_and_other_methods_are_not_offered() {
    let deployment = Deployment::new();
    deployment.edit("delivery_mode = \"poll\"", "delivery_mode = \"push\"");
    deployment.edit("auth_method = \"private_key_jwt\"", "auth_method = \"client_secret_basic\"");
    deployment.has_faults(&[
        ("clients[0].backchannel_token_delivery_mode", "has to be one of: poll"),
        (
            "clients[0].token_endpoint_auth_method",
            "has to be one of: private_key_jwt, tls_client_auth, self_signed_tls_client_auth",
        ),
    ]);
}

#[test]
fn rfc8705_2_1_2_a_certificate_is_for_exactly_one_subject_and_somebody_vouches() {
    let method = "token_endpoint_auth_method = \"private_key_jwt\"\ntoken_endpoint_auth_signing_alg = \"ES256\"\nback";
    let by_certificate = |subject: &str| {
        let deployment = Deployment::new();
        deployment.edit(method, &format!("token_endpoint_auth_method = \"tls_client_auth\"\n{subject}\nback"));
        deployment
    };
    let dn = "tls_client_auth_subject_dn = \"CN=till-7\"";
    let vouched = |deployment: Deployment| {
        deployment.append("\n[client_certificates]\nauthorities = \"../certs/dev/ca.pem\"\n");
        deployment
    };
    by_certificate(dn)
        .has_faults(&[("clients[0].token_endpoint_auth_method", "needs a [client_certificates] section")]);
    vouched(by_certificate("")).has_faults(&[("clients[0]", "needs exactly one of tls_client_auth_subject_dn")]);
    vouched(by_certificate(&format!("{dn}\ntls_client_auth_san_dns = \"x\"")))
        .has_faults(&[("clients[0]", "needs exactly one of tls_client_auth_subject_dn")]);
    vouched(by_certificate("tls_client_auth_subject_dn = \"till-7\""))
        .has_faults(&[("clients[0].tls_client_auth_subject_dn", "has a part without =")]);
    vouched(by_certificate("tls_client_auth_san_ip = \"till-7\""))
        .has_faults(&[("clients[0].tls_client_auth_san_ip", "is not an IP address")]);
    let deployment = Deployment::new();
    deployment.edit(method, "token_endpoint_auth_method = \"self_signed_tls_client_auth\"\nback");
    deployment
        .append("\n[client_certificates]\nauthorities = \"../certs/dev/gone.pem\"\ncrls = [\"../certs/dev/ca.pem\"]\n");
    deployment.has_faults(&[
        ("client_certificates.authorities", "cannot be read"),
        ("client_certificates.crls", "has no CRL in PEM"),
        ("clients[0].jwks", "has no x5c"),
    ]);
}
