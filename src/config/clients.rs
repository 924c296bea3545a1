//! `[[clients]]` and `[[resource_servers]]`: who is registered (RFC 7591 §2, CIBA §4). The names are those of the registration specs.

use std::collections::HashSet;

use crate::config::files::Files;
use crate::config::reader::Section;
use crate::jose::alg::Alg;
use crate::jose::jwk::KeySet;
use crate::jose::keyring::Keyring;
use crate::profile::client::{Client, Role};
use crate::profile::plain::is_plain;
use crate::profile::{DeliveryMode, Method, Profile};

/// What the entries are held against, as far as it could be read itself.
type Against<'a> = (Option<&'a Profile>, Option<&'a Keyring>);

/// Reads both lists; entries with a fault are left out, their faults noted.
pub(super) fn read(
    (clients, resource_servers): (Vec<Section<'_>>, Vec<Section<'_>>),
    against: Against<'_>,
    files: &Files,
) -> Vec<Client> {
    let mut taken = HashSet::new();
    let mut read = Vec::new();
    for (entries, ciba) in [(clients, true), (resource_servers, false)] {
        for mut section in entries {
            let role =
                if ciba { ciba_role(&mut section, against) } else { resource_server_role(&mut section, against.0) };
            if let Some(id) = section.peek("client_id")
                && !taken.insert(id.to_owned())
            {
                section.fault("client_id", "is taken by another entry");
            }
            let client = client(&mut section, role, (against.0, files));
            section.end();
            read.extend(client);
        }
    }
    read
}

fn client(
    section: &mut Section<'_>,
    role: Option<Role>,
    (profile, files): (Option<&Profile>, &Files),
) -> Option<Client> {
    let client_id = section.string("client_id");
    if client_id.as_ref().is_some_and(|id| id.len() > 256 || !id.bytes().all(|byte| byte.is_ascii_graphic())) {
        section.fault("client_id", "has to be 1 to 256 visible ASCII characters");
    }
    let client_name = section.string("client_name");
    if client_name.as_ref().is_some_and(|name| !is_plain(name, 128)) {
        section
            .fault("client_name", "has to be at most 128 characters that a screen shows as they are, without a link");
    }
    let offered = profile.map_or(&[Method::PrivateKeyJwt][..], Profile::methods);
    let methods: Vec<(&str, Method)> = offered.iter().map(|method| (method.name(), *method)).collect();
    let method = section.choice("token_endpoint_auth_method", &methods);
    let alg = alg(section, "token_endpoint_auth_signing_alg", profile);
    let jwks = section.string("jwks").and_then(|path| files.key_set(section, "jwks", &path));
    if let Some(jwks) = &jwks {
        let request_alg = role.as_ref().and_then(|role| match role {
            Role::Ciba { backchannel_authentication_request_signing_alg: alg, .. } => Some(*alg),
            Role::ResourceServer { .. } => None,
        });
        needs_key(section, jwks, ("token_endpoint_auth_signing_alg", alg));
        needs_key(section, jwks, ("backchannel_authentication_request_signing_alg", request_alg));
    }
    Some(Client {
        client_id: client_id?,
        client_name: client_name?,
        jwks: jwks?,
        token_endpoint_auth_method: method?,
        token_endpoint_auth_signing_alg: alg?,
        role: role?,
    })
}

fn ciba_role(section: &mut Section<'_>, (profile, keyring): Against<'_>) -> Option<Role> {
    let request_alg = alg(section, "backchannel_authentication_request_signing_alg", profile);
    let id_token_alg = alg(section, "id_token_signed_response_alg", profile);
    if let (Some(alg), Some(keyring)) = (id_token_alg, keyring)
        && keyring.key(alg).is_none()
    {
        section.fault(
            "id_token_signed_response_alg",
            &format!("there is no signing key for {} in keys.folder", alg.name()),
        );
    }
    let offered = profile.map_or(&[DeliveryMode::Poll][..], Profile::delivery_modes);
    let modes: Vec<(&str, DeliveryMode)> = offered.iter().map(|mode| (mode.name(), *mode)).collect();
    let mode = section.choice("backchannel_token_delivery_mode", &modes);
    let scope = scope(section, profile);
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

fn resource_server_role(section: &mut Section<'_>, profile: Option<&Profile>) -> Option<Role> {
    Some(Role::ResourceServer { scope: scope(section, profile)? })
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

fn needs_key(section: &Section<'_>, jwks: &KeySet, (member, alg): (&str, Option<Alg>)) {
    if let Some(alg) = alg.filter(|alg| !jwks.serves(*alg)) {
        section.fault("jwks", &format!("has no key for {}, which {member} names", alg.name()));
    }
}
