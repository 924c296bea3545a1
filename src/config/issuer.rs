//! `[server]`: what the world calls this server, where it listens, and the rules it goes by.

use std::net::SocketAddr;

use crate::config::files::Files;
use crate::config::reader::Section;
use crate::profile::issuer::{Issuer, is_origin};
use crate::profile::scope::is_scope_token;
use crate::profile::{FAPI_CIBA_ID1, OPEN_BANKING_UK};
use crate::secret::Pseudonyms;

/// What the section says, as far as it could be read.
pub(super) struct Served {
    pub(super) listen: Option<SocketAddr>,
    pub(super) internal_listen: Option<SocketAddr>,
    pub(super) issuer: Issuer,
    /// The text of the profile.
    pub(super) profile: Option<String>,
    pub(super) pseudonyms: Option<Pseudonyms>,
    pub(super) user_code: bool,
}

impl Default for Served {
    fn default() -> Self {
        Self {
            listen: None,
            internal_listen: None,
            issuer: Issuer::at("https://issuer.invalid").expect("it is a bare origin"),
            profile: None,
            pseudonyms: None,
            user_code: false,
        }
    }
}

pub(super) fn read(mut section: Section<'_>, files: &Files) -> Served {
    let listen = address(&mut section, "listen");
    let internal_listen = address(&mut section, "internal_listen");
    if listen == internal_listen && listen.is_some_and(|address| address.port() != 0) {
        section.fault("internal_listen", "is the same as listen; the bank needs a port of its own");
    }
    let issuer = section.string("issuer").and_then(|text| {
        Issuer::at(&text)
            .map_err(|why| section.fault("issuer", &format!("{why}, as in https://ciba.bank.example")))
            .ok()
    });
    let mtls_origin = section.optional_string("mtls_origin").filter(|text| {
        let fits = is_origin(text);
        fits.map_err(|why| section.fault("mtls_origin", &format!("{why}, as in https://mtls.ciba.bank.example")))
            .is_ok()
    });
    let scopes_supported = section.strings("scopes_supported").unwrap_or_default();
    let acr_values_supported = section.optional_strings("acr_values_supported").unwrap_or_default();
    for (key, words) in [("scopes_supported", &scopes_supported), ("acr_values_supported", &acr_values_supported)] {
        if let Some(word) = words.iter().find(|word| !is_scope_token(word)) {
            section
                .fault(key, &format!("\"{word}\" has a space or another character that RFC 6749 3.3 does not allow"));
        }
    }
    if !scopes_supported.is_empty() && !scopes_supported.iter().any(|scope| scope == "openid") {
        section.fault("scopes_supported", "has to have openid among them (CIBA 7.1)");
    }
    let profile = section.string("profile").and_then(|name| match name.as_str() {
        "fapi-ciba-id1" => Some(FAPI_CIBA_ID1.to_owned()),
        "open-banking-uk" => Some(OPEN_BANKING_UK.to_owned()),
        path => files.text(&section, "profile", path),
    });
    let key = section.optional_string("pairwise_key");
    let key = key.and_then(|path| files.secret(&section, "pairwise_key", &path));
    let pseudonyms = key.map(Pseudonyms::under);
    let user_code = section.optional_flag("user_code").unwrap_or_default();
    section.end();
    // Without a usable issuer everything is read all the same, for the faults in it.
    let issuer = issuer.unwrap_or_else(|| Served::default().issuer);
    let mtls_origin = mtls_origin.unwrap_or_else(|| issuer.issuer.clone());
    let issuer = Issuer { scopes_supported, acr_values_supported, mtls_origin, ..issuer };
    Served { listen, internal_listen, issuer, profile, pseudonyms, user_code }
}

fn address(section: &mut Section<'_>, key: &str) -> Option<SocketAddr> {
    let text = section.string(key)?;
    text.parse().map_err(|_| section.fault(key, "is not an address with a port, as in 0.0.0.0:9443")).ok()
}
