//! `[[clients]]` and `[[resource_servers]]`: who is registered (RFC 7591 §2, CIBA §4, RFC 8705 §2.1.2). The names are those of the registration specs.

use std::collections::HashSet;

use crate::config::files::Files;
use crate::config::reader::Section;
use crate::jose::alg::Alg;
use crate::jose::jwk::KeySet;
use crate::jose::keyring::Keyring;
use crate::profile::client::{Authentication, Client, Role};
use crate::profile::plain::is_plain;
use crate::profile::subject::{Subject, distinguished_name};
use crate::profile::{DeliveryMode, Method, Profile};

/// What the entries are held against, as far as it could be read itself.
pub(super) struct Against<'a> {
    pub(super) profile: Option<&'a Profile>,
    pub(super) keyring: Option<&'a Keyring>,
    /// Whether anyone vouches for clients' certificates.
    pub(super) authorities: bool,
    pub(super) files: &'a Files,
}

/// Reads both lists; entries with a fault are left out, their faults noted.
pub(super) fn read(
    (clients, resource_servers): (Vec<Section<'_>>, Vec<Section<'_>>),
    against: &Against<'_>,
) -> Vec<Client> {
    let mut taken = HashSet::new();
    let mut read = Vec::new();
    for (entries, ciba) in [(clients, true), (resource_servers, false)] {
        for mut section in entries {
            let role =
                if ciba { ciba_role(&mut section, against) } else { resource_server_role(&mut section, against) };
            if let Some(id) = section.peek("client_id")
                && !taken.insert(id.to_owned())
            {
                section.fault("client_id", "is taken by another entry");
            }
            let client = client(&mut section, role, against);
            section.end();
            read.extend(client);
        }
    }
    read
}

fn client(section: &mut Section<'_>, role: Option<Role>, against: &Against<'_>) -> Option<Client> {
    let client_id = section.string("client_id");
    if client_id.as_ref().is_some_and(|id| id.len() > 256 || !id.bytes().all(|byte| byte.is_ascii_graphic())) {
        section.fault("client_id", "has to be 1 to 256 visible ASCII characters");
    }
    let client_name = section.string("client_name");
    if client_name.as_ref().is_some_and(|name| !is_plain(name, 128)) {
        section
            .fault("client_name", "has to be at most 128 characters that a screen shows as they are, without a link");
    }
    let jwks = section.string("jwks").and_then(|path| against.files.key_set(section, "jwks", &path));
    let authentication = authentication(section, jwks.as_ref(), against);
    if let (Some(jwks), Some(Role::Ciba { backchannel_authentication_request_signing_alg: alg, .. })) = (&jwks, &role) {
        needs_key(section, jwks, ("backchannel_authentication_request_signing_alg", *alg));
    }
    Some(Client {
        client_id: client_id?,
        client_name: client_name?,
        jwks: jwks?,
        authentication: authentication?,
        role: role?,
    })
}

/// `token_endpoint_auth_method`, and the members that go with it.
fn authentication(section: &mut Section<'_>, jwks: Option<&KeySet>, against: &Against<'_>) -> Option<Authentication> {
    let offered = against.profile.map_or(&Method::ALL[..], Profile::methods);
    let methods: Vec<(&str, Method)> = offered.iter().map(|method| (method.name(), *method)).collect();
    let Some(method) = section.choice("token_endpoint_auth_method", &methods) else {
        section.skip(&["token_endpoint_auth_signing_alg"]);
        section.skip(&SUBJECTS);
        return None;
    };
    match method {
        Method::PrivateKeyJwt => {
            let alg = alg(section, "token_endpoint_auth_signing_alg", against.profile)?;
            if let Some(jwks) = jwks {
                needs_key(section, jwks, ("token_endpoint_auth_signing_alg", alg));
            }
            Some(Authentication::PrivateKeyJwt(alg))
        }
        Method::TlsClientAuth => {
            if !against.authorities {
                section.fault(
                    "token_endpoint_auth_method",
                    "tls_client_auth needs a [client_certificates] section that says who vouches",
                );
            }
            subject(section).map(Authentication::TlsClientAuth)
        }
        Method::SelfSignedTlsClientAuth => {
            if jwks.is_some_and(|jwks| !jwks.has_certificates()) {
                section
                    .fault("jwks", "has no x5c, where self_signed_tls_client_auth looks for the client's certificates");
            }
            Some(Authentication::SelfSignedTlsClientAuth)
        }
    }
}

const SUBJECTS: [&str; 5] = [
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
];

/// RFC 8705 §2.1.2: exactly one of the five.
fn subject(section: &mut Section<'_>) -> Option<Subject> {
    let given: Vec<&str> = SUBJECTS.into_iter().filter(|key| section.peek(key).is_some()).collect();
    let [key] = given[..] else {
        section.fault("", &format!("needs exactly one of {}", SUBJECTS.join(", ")));
        section.skip(&SUBJECTS);
        return None;
    };
    let text = section.string(key)?;
    let read = match key {
        "tls_client_auth_subject_dn" => distinguished_name(&text).map(Subject::Dn),
        "tls_client_auth_san_ip" => text.parse().map(Subject::Ip).map_err(|_| "is not an IP address"),
        "tls_client_auth_san_dns" => Ok(Subject::Dns(text)),
        "tls_client_auth_san_uri" => Ok(Subject::Uri(text)),
        _ => Ok(Subject::Email(text)),
    };
    read.map_err(|why| section.fault(key, why)).ok()
}

fn ciba_role(section: &mut Section<'_>, against: &Against<'_>) -> Option<Role> {
    let request_alg = alg(section, "backchannel_authentication_request_signing_alg", against.profile);
    let id_token_alg = alg(section, "id_token_signed_response_alg", against.profile);
    if let (Some(alg), Some(keyring)) = (id_token_alg, against.keyring)
        && keyring.key(alg).is_none()
    {
        section.fault(
            "id_token_signed_response_alg",
            &format!("there is no signing key for {} in keys.folder", alg.name()),
        );
    }
    let offered = against.profile.map_or(&[DeliveryMode::Poll][..], Profile::delivery_modes);
    let modes: Vec<(&str, DeliveryMode)> = offered.iter().map(|mode| (mode.name(), *mode)).collect();
    let mode = section.choice("backchannel_token_delivery_mode", &modes);
    let scope = scope(section, against.profile);
    if scope.as_ref().is_some_and(|scope| !scope.iter().any(|scope| scope == "openid")) {
        section.fault("scope", "has to have openid in it, as every CIBA request has to (CIBA 7.1)");
    }
    Some(Role::Ciba {
        backchannel_authentication_request_signing_alg: request_alg?,
        id_token_signed_response_alg: id_token_alg?,
        backchannel_token_delivery_mode: mode?,
        scope: scope?,
    })
}

fn resource_server_role(section: &mut Section<'_>, against: &Against<'_>) -> Option<Role> {
    Some(Role::ResourceServer { scope: scope(section, against.profile)? })
}

fn alg(section: &mut Section<'_>, key: &str, profile: Option<&Profile>) -> Option<Alg> {
    let offered = profile.map_or(&Alg::ALL[..], Profile::algorithms);
    let algs: Vec<(&str, Alg)> = offered.iter().map(|alg| (alg.name(), *alg)).collect();
    section.choice(key, &algs)
}

fn scope(section: &mut Section<'_>, profile: Option<&Profile>) -> Option<Vec<String>> {
    let scope: Vec<String> = section.string("scope")?.split(' ').map(str::to_owned).collect();
    let foreign = profile.and_then(|profile| scope.iter().find(|scope| !supports(profile, scope)));
    if let Some(foreign) = foreign {
        section.fault("scope", &format!("\"{foreign}\" is not in server.scopes_supported"));
    }
    Some(scope)
}

/// Whether the scope is on offer. Where nothing is, that fault has been noted.
fn supports(profile: &Profile, scope: &str) -> bool {
    let supported = &profile.issuer().scopes_supported;
    supported.is_empty() || supported.iter().any(|supported| supported == scope)
}

fn needs_key(section: &Section<'_>, jwks: &KeySet, (member, alg): (&str, Alg)) {
    if !jwks.serves(alg) {
        section.fault("jwks", &format!("has no key for {}, which {member} names", alg.name()));
    }
}
