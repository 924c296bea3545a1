//! `[store]`: where requests, tokens and spent ids are kept.

use std::fmt;

use crate::config::Mode;
use crate::config::files::Files;
use crate::config::reader::{Noted, Section};
use crate::outbound::{Identity, Outbound, Whom};
use crate::secret::Vault;
use crate::store::redis::place::{Credentials, Place, Tls, Topology};

/// Where everything is kept that outlives a request.
#[derive(Clone)]
pub enum Storage {
    /// In this process, so many records of each kind.
    Memory(usize),
    /// In Redis, which other servers share, and what they hand on to each other in a vault.
    Redis(Box<Place>, Option<Vault>),
}

impl fmt::Display for Storage {
    /// For the operator, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(capacity) => {
                write!(f, "memory of this process, {capacity} records of each kind, forgotten when it ends")
            }
            Self::Redis(place, _) => place.fmt(f),
        }
    }
}

/// The store.
pub(super) fn read(mut section: Section<'_>, files: &Files, mode: Option<Mode>) -> Option<Storage> {
    #[derive(Clone, Copy)]
    enum Kind {
        Memory,
        Redis,
    }
    let kind = section.choice("kind", &[("memory", Kind::Memory), ("redis", Kind::Redis)]);
    let storage = match kind {
        None => {
            let all = ["capacity", "topology", "addresses", "primary", "sentinel_user", "sentinel_password"];
            section.members(&all);
            section.members(&["user", "password", "trust", "certificate", "key", "prefix", "sealing_key"]);
            None
        }
        Some(Kind::Memory) => {
            if mode == Some(Mode::Production) {
                section.fault("kind", "memory forgets everything when the process ends, spent ids too, so production refuses it; redis remembers");
            }
            let capacity = section.number("capacity", 1_000..=100_000_000);
            capacity.and_then(|capacity| usize::try_from(capacity).ok()).map(Storage::Memory)
        }
        Some(Kind::Redis) => {
            let key = section.optional_string("sealing_key");
            let key = key.and_then(|path| files.secret(&section, "sealing_key", &path));
            redis(&mut section, files, mode).map(|place| Storage::Redis(Box::new(place), key.map(Vault::under)))
        }
    };
    section.end();
    storage
}

fn redis(section: &mut Section<'_>, files: &Files, mode: Option<Mode>) -> Option<Place> {
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        Standalone,
        Sentinel,
        Cluster,
    }
    let kinds = [("standalone", Kind::Standalone), ("sentinel", Kind::Sentinel), ("cluster", Kind::Cluster)];
    let kind = section.choice("topology", &kinds);
    let addresses = section.strings("addresses").and_then(|texts| {
        let read: Option<Vec<_>> = texts.iter().map(|text| address(text)).collect();
        if read.is_none() {
            section.fault("addresses", "each has to be host:port, as in 10.0.0.7:6379; an IPv6 host in brackets");
        }
        read
    });
    if kind == Some(Kind::Standalone) && addresses.as_ref().is_some_and(|addresses| addresses.len() != 1) {
        section.fault("addresses", "a standalone Redis has one; several are for sentinel and cluster");
    }
    let topology = match kind {
        None => {
            section.members(&["primary", "sentinel_user", "sentinel_password"]);
            None
        }
        Some(Kind::Standalone) => Some(Topology::Standalone),
        Some(Kind::Cluster) => Some(Topology::Cluster),
        Some(Kind::Sentinel) => {
            let primary = section.string("primary");
            let login = credentials(section, files, ("sentinel_user", "sentinel_password"));
            primary.zip(login.ok()).map(|(primary, login)| Topology::Sentinel(primary, login))
        }
    };
    let login = credentials(section, files, ("user", "password"));
    if mode == Some(Mode::Production) && matches!(login, Ok(None)) {
        section.fault(
            "user",
            "is missing: in production Redis has a user for this server alone; docs/redis.md has its ACL",
        );
    }
    let tls = tls(section, files);
    let prefix = section.string("prefix").filter(|prefix| {
        let fine = prefix.len() <= 32
            && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !fine {
            section.fault("prefix", "has to be at most 32 letters, digits, - and _");
        }
        fine
    });
    Some(Place {
        topology: topology?,
        addresses: addresses?,
        credentials: login.ok()?,
        tls: tls.ok()?,
        prefix: prefix?,
    })
}

/// A user and the file with their password, or neither.
fn credentials(
    section: &mut Section<'_>,
    files: &Files,
    (user, password): (&str, &str),
) -> Result<Option<Credentials>, Noted> {
    if !section.has(user) && !section.has(password) {
        return Ok(None);
    }
    let name = section.string(user);
    let secret = section.string(password).and_then(|path| files.password(section, password, &path));
    name.zip(secret).map(|(user, password)| Some(Credentials { user, password })).ok_or(Noted)
}

/// Encryption where there is a `trust`.
fn tls(section: &mut Section<'_>, files: &Files) -> Result<Option<Tls>, Noted> {
    let with_certificate = section.has("certificate") || section.has("key");
    if !section.has("trust") {
        if with_certificate {
            section.fault("trust", "is missing: a certificate is for TLS, and TLS needs the authorities of Redis");
            section.members(&["certificate", "key"]);
            return Err(Noted);
        }
        return Ok(None);
    }
    let path = section.string("trust");
    let trust = path.and_then(|path| {
        let authorities = files.authorities(section, "trust", &path)?;
        files.text(section, "trust", &path).map(|text| (authorities, text))
    });
    let identity = with_certificate.then(|| files.pem_identity(section, "certificate", "key"));
    let identity = identity.map_or(Some(None), |found| found.map(Some));
    let ((authorities, trust), identity) = trust.zip(identity).ok_or(Noted)?;
    let (certificate, identity) = identity.unzip();
    // Whether the key fits is better said here than by Redis.
    let built = Outbound::new(Identity { trust: authorities, certificate }, Whom::Named);
    built.map_err(|why| section.fault("certificate", &why.to_string())).map_err(|()| Noted)?;
    let identity = identity.map(|(chain, key)| (chain.into_bytes(), key));
    Ok(Some(Tls { trust: trust.into_bytes(), identity }))
}

fn address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = bare.unwrap_or(host);
    let fine = !host.is_empty() && (bare.is_some() || !host.contains(':')) && !host.contains(['/', '@', ' ']);
    port.parse().ok().filter(|port| fine && *port != 0).map(|port| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let at = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(address("redis.bank.example:6379"), at("redis.bank.example", 6379));
        assert_eq!(address("10.0.0.7:6380"), at("10.0.0.7", 6380));
        assert_eq!(address("[::1]:6379"), at("::1", 6379));
        for odd in ["redis", "redis:", ":6379", "redis:0", "redis:65536", "::1:6379", "redis://redis:6379", "u@redis:1"]
        {
            assert_eq!(address(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_secret_does_not_show_in_the_line_for_the_operator() {
        let password = Secret::new("hunter2".into());
        let place = Place {
            topology: Topology::Cluster,
            addresses: vec![("a".into(), 1), ("b".into(), 2)],
            credentials: Some(Credentials { user: "u".into(), password }),
            tls: None,
            prefix: "cs".into(),
        };
        assert_eq!(Storage::Redis(Box::new(place), None).to_string(), "redis, cluster at a:1 b:2, no TLS, keys cs:*");
    }
}
