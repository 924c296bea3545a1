//! `[tls]`, `[client_certificates]`, `[proxy_protocol]` and `[limits]`: how connections are taken, from whom, and how many.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rustls::sign::CertifiedKey;

use crate::config::files::Files;
use crate::config::reader::Section;
use crate::http::proxied::Balancers;
use crate::http::serve::Limits;
use crate::http::tls::{self, Authorities, Certificates};
use crate::outbound::Failed;

/// The certificates of both listeners.
pub(super) fn tls(mut section: Section<'_>, files: &Files) -> Option<Arc<rustls::ServerConfig>> {
    let p256 = files.identity(&mut section, "p256_certificate", "p256_key");
    let rsa = files.identity(&mut section, "rsa_certificate", "rsa_key");
    let fits = |key: &str, made: Result<Arc<CertifiedKey>, Failed>| {
        made.map_err(|why| section.fault(key, &why.to_string())).ok()
    };
    let p256 = p256.and_then(|chain| fits("p256_key", tls::p256(chain)));
    let rsa = rsa.and_then(|chain| fits("rsa_key", tls::rsa(chain)));
    let certificates = p256.zip(rsa).map(|(p256, rsa)| Certificates { p256, rsa });
    let config = certificates
        .and_then(|certificates| tls::config(certificates).map_err(|why| section.fault("", &why.to_string())).ok());
    section.end();
    config
}

/// Who vouches for clients' certificates.
pub(super) fn authorities(mut section: Section<'_>, files: &Files) -> Option<Authorities> {
    let roots = section.string("authorities").and_then(|path| files.authorities(&section, "authorities", &path));
    let mut crls = Vec::new();
    for path in section.optional_strings("crls").unwrap_or_default() {
        crls.extend(files.crls(&section, "crls", &path).unwrap_or_default());
    }
    let built = roots.map(|roots| Authorities::new(roots, crls));
    let authorities = built.and_then(|built| built.map_err(|why| section.fault("", &why.to_string())).ok());
    section.end();
    authorities
}

/// What a listener gives away.
pub(super) fn limits(section: Option<Section<'_>>) -> Limits {
    let mut limits = Limits::default();
    if let Some(mut section) = section {
        let within =
            |found: Option<u64>, default: usize| found.and_then(|n| usize::try_from(n).ok()).unwrap_or(default);
        limits.connections = within(section.optional_number("connections", 1..=1_000_000), limits.connections);
        let each = section.optional_number("connections_per_address", 1..=1_000_000);
        limits.connections_per_address = within(each, limits.connections_per_address);
        limits.leave = section.optional_number("leave_seconds", 0..=300).map_or(limits.leave, Duration::from_secs);
        section.end();
    }
    limits
}

/// Whose word about callers is taken.
pub(super) fn balancers(section: Option<Section<'_>>) -> Balancers {
    let mut networks = Vec::new();
    if let Some(mut section) = section {
        for text in section.strings("from").unwrap_or_default() {
            match network(&text) {
                Ok(network) => networks.push(network),
                Err(why) => section.fault("from", &format!("\"{text}\" {why}")),
            }
        }
        section.end();
    }
    Balancers::at(networks)
}

/// An address, or a network of them as CIDR (RFC 4632 §3.1); not all there are, since whoever is meant is believed.
fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    let network = address.or_else(|_| text.parse::<IpNet>());
    let network = network.map_err(
        |_| "is neither an address nor a network; give those of your balancers, as in 192.0.2.7 or 10.0.0.0/8",
    )?;
    if let IpAddr::V6(address) = network.addr()
        && address.to_ipv4_mapped().is_some()
    {
        return Err("is a network of IPv4 written as one of IPv6; write it as IPv4".into());
    }
    if network.prefix_len() == 0 {
        return Err("is everybody, who could then come by any address; give the addresses of your balancers".into());
    }
    if network.addr() != network.network() {
        return Err(format!(
            "is an address within a network; give the one or the other, {} or {}",
            network.addr(),
            network.trunc()
        ));
    }
    Ok(network)
}
