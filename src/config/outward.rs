//! `[bank]` and `[client_endpoints]`: whom this server calls, whom it trusts there, and as whom it appears.

use rustls::RootCertStore;
use url::{Host, Url};

use crate::config::Mode;
use crate::config::files::Files;
use crate::config::reader::Section;
use crate::outbound::webhook::Webhook;
use crate::outbound::{Identity, Outbound, Whom};
use crate::secret::Digest;

/// The bank's webhook, and SHA-256 of each certificate that may decide.
pub(super) fn bank(mut section: Section<'_>, files: &Files) -> (Option<Webhook>, Vec<Digest>) {
    let url = section.string("url").filter(|text| {
        let fine = Url::parse(text).is_ok_and(|url| {
            url.scheme() == "https"
                && matches!(url.host(), Some(Host::Domain(_)))
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        }) && !text.ends_with('/');
        if !fine {
            section.fault(
                "url",
                "has to be https://, name a host, and end without a slash, as in https://bank.example/ciba",
            );
        }
        fine
    });
    let trust = section.string("trust").and_then(|path| files.authorities(&section, "trust", &path));
    let identity = files.identity(&mut section, "certificate", "key");
    let outbound = trust.zip(identity).and_then(|(trust, certificate)| {
        let built = Outbound::new(Identity { trust, certificate: Some(certificate) }, Whom::Named);
        built.map_err(|why| section.fault("certificate", &why.to_string())).ok()
    });
    let mut deciders = Vec::new();
    for path in section.strings("decision_certificates").unwrap_or_default() {
        let found = files.certificates(&section, "decision_certificates", &path);
        deciders.extend(found.iter().filter_map(|chain| chain.first()).map(|leaf| Digest::of(leaf)));
    }
    section.end();
    (url.zip(outbound).map(|(url, outbound)| Webhook::new(url, outbound)), deciders)
}

/// How URLs that clients registered are called. `trust` is a file of authorities, or `system`: whoever the operating system trusts.
pub(super) fn clients(mut section: Section<'_>, files: &Files, mode: Option<Mode>) -> Option<Outbound> {
    let trust = section.string("trust").and_then(|trust| match trust.as_str() {
        "system" => system(&section),
        path => files.authorities(&section, "trust", path),
    });
    let with_certificate = section.peek("certificate").is_some() || section.peek("key").is_some();
    let certificate = with_certificate.then(|| files.identity(&mut section, "certificate", "key"));
    let loopback = section.optional_flag("loopback").unwrap_or_default();
    if loopback && mode == Some(Mode::Production) {
        section.fault("loopback", "lets clients point this server at itself; production refuses it");
    }
    let certificate = certificate.map_or(Some(None), |found| found.map(Some));
    let built = trust
        .zip(certificate)
        .map(|(trust, certificate)| Outbound::new(Identity { trust, certificate }, Whom::Foreign { loopback }));
    let outbound = built.and_then(|built| built.map_err(|why| section.fault("certificate", &why.to_string())).ok());
    section.end();
    outbound
}

/// Whoever the operating system trusts.
pub(super) fn system(section: &Section<'_>) -> Option<RootCertStore> {
    let mut store = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        section.fault("trust", "the operating system trusts no authority; install ca-certificates, or name a file");
        return None;
    }
    Some(store)
}
