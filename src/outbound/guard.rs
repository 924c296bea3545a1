//! The guard at the dial: URLs that clients registered lead to the internet and nowhere else, whatever their names resolve to, and whenever.
//!
//! The addresses that are checked are those that are dialled: the name is resolved once, here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use url::{Host, Url};

use crate::outbound::Failed;

/// RFC 9110 §4.1 recommends to support 8000; what clients register here is held to a quarter of that.
const LONGEST_URL: usize = 2048;

/// A URL that a client may have this server call: `https`, a host name, no user, no fragment. Taste: 2,048 characters.
///
/// # Errors
/// What is wrong with it.
pub fn foreign(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if url.scheme() != "https" || text.len() > LONGEST_URL || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has to start with https:// and be plain text of at most 2048 characters");
    }
    if !matches!(url.host(), Some(Host::Domain(_))) {
        return Err("has to name a host, not an address");
    }
    if url.as_str() != text && url.as_str().strip_suffix('/') != Some(text) {
        return Err("has to be written plainly: as browsers show it, and not as they forgive it");
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("has a user or a fragment");
    }
    Ok(url)
}

/// Resolves names to addresses of the internet; to loopback too, where a development set-up says so.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    loopback: bool,
    /// How many look-ups may be under way. Each holds a thread for as long as the name server takes, and the bank's names are looked up by threads too.
    room: Arc<Semaphore>,
}

const LOOKUPS: usize = 64;

impl Guard {
    pub(super) fn new(loopback: bool) -> Self {
        Self { loopback, room: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    fn lets(&self, address: IpAddr) -> bool {
        is_public(address) || (self.loopback && address.is_loopback())
    }
}

impl Resolve for Guard {
    /// A name with any address that is not let through is refused as a whole: an honest name has none.
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let place = guard.room.clone().acquire_owned().await?;
            let look_up = move || {
                let found = (name.as_str(), 0).to_socket_addrs().map(Iterator::collect);
                drop(place);
                found
            };
            let found: Vec<SocketAddr> = tokio::task::spawn_blocking(look_up).await??;
            if found.is_empty() || found.iter().any(|address| !guard.lets(address.ip())) {
                return Err(Failed("the name leads to an address that is not of the internet").into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether `address` is one of the internet: neither special-purpose (RFC 6890, RFC 8190) nor one that another address hides in.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b)))
}

/// Global unicast is 2000::/3 (RFC 4291 §2.4). Of that, tunnels and translations hide other addresses; documentation and benchmarks lead nowhere.
const fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let hidden = a == 0x2002 || (a == 0x2001 && b < 0x0200);
    let nowhere = (a == 0x2001 && b == 0x0db8) || (a == 0x3fff && b < 0x1000);
    a & 0xe000 == 0x2000 && !hidden && !nowhere
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_are_not_public_however_they_are_written() {
        for inside in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "::10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "3fff::1",
        ] {
            assert!(!is_public(inside.parse().expect("an address")), "{inside}");
        }
        for outside in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "2606:4700::1111",
            "2a00::1",
        ] {
            assert!(is_public(outside.parse().expect("an address")), "{outside}");
        }
    }

    #[test]
    fn loopback_is_let_through_where_it_is_asked_for_and_nothing_else() {
        let (on, off) = (Guard::new(true), Guard::new(false));
        let of = |text: &str| text.parse().expect("an address");
        assert!(on.lets(of("127.0.0.1")) && on.lets(of("::1")) && !off.lets(of("127.0.0.1")) && !off.lets(of("::1")));
        assert!(!on.lets(of("10.0.0.1")) && !on.lets(of("169.254.169.254")) && !on.lets(of("::ffff:127.0.0.1")));
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_resolved() {
        let resolve = |loopback| Guard::new(loopback).resolve("localhost".parse().expect("a name"));
        assert!(resolve(true).await.is_ok());
        assert!(resolve(false).await.is_err());
    }

    #[test]
    fn a_url_of_a_client_names_a_host_over_https() {
        for fine in ["https://till.example/ping", "https://till.example:8443/a?b=c", "https://localhost:1/x"] {
            assert!(foreign(fine).is_ok(), "{fine}");
        }
        for bad in [
            "http://till.example",
            "ftp://till.example",
            "till.example",
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "https://0x7f.1/x",
            "https://2130706433/",
            "https://u:p@till.example",
            "https://till.example/#x",
            "",
            "https://till.example/a b",
            "https://",
            "https:///till.example/",
            "https://till.example\\@evil.example/",
            "https://TILL.example/x",
            "https://till.example:443/",
            "https://till.example/a/../b",
        ] {
            assert!(foreign(bad).is_err(), "{bad}");
        }
        assert!(foreign(&format!("https://till.example/{}", "a".repeat(LONGEST_URL))).is_err());
    }
}
