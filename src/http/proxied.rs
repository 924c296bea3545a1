//! Whose connection it is, behind a load balancer: the balancer says so before the first byte of TLS, in a header of the PROXY protocol, version 2
//! (HAProxy's proxy-protocol.txt §2.2). It is asked of the balancers that the configuration lists, and believed of nobody else.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::outbound::Failed;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// How much may follow the first 16 bytes: 536 in all, which every path carries in one piece.
const LONGEST: usize = 536 - 16;

/// Version 2, and whether the balancer speaks for itself or for a caller.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// No word about the address; UDP over IPv4 and over IPv6; UNIX sockets of both kinds.
const OTHERS: [u8; 5] = [0x00, 0x12, 0x22, 0x31, 0x32];

/// Who stands in front of the listeners.
#[derive(Clone, Debug, Default)]
pub struct Balancers(Arc<[IpNet]>);

/// Whose connection it is. Rides in the extensions of each request, where the listener put it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address(pub(super) IpAddr);

impl Balancers {
    /// Those at these addresses.
    pub fn at(networks: Vec<IpNet>) -> Self {
        Self(networks.into())
    }

    /// Whose connection `stream` is: its `peer`'s, or that of the caller whom a balancer names. Nothing is read but the header.
    ///
    /// # Errors
    /// A balancer began with something else, or broke off.
    pub(super) async fn caller(&self, stream: &mut (impl AsyncRead + Unpin), peer: IpAddr) -> Result<IpAddr, Failed> {
        let peer = peer.to_canonical();
        if !self.0.iter().any(|network| network.contains(&peer)) {
            return Ok(peer);
        }
        Ok(named(stream).await?.map_or(peer, |caller| caller.to_canonical()))
    }
}

/// The address in the header; none where the balancer speaks for itself, or for somebody with another kind of address, or with none: then its own is
/// the one that counts. What follows the addresses is skipped, a client certificate that the balancer saw among it.
async fn named(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, Failed> {
    let broken = |_| Failed("the PROXY protocol header broke off");
    let mut head = [0; 16];
    stream.read_exact(&mut head).await.map_err(broken)?;
    let [signature @ .., command, family, high, low] = head;
    if signature != SIGNATURE {
        return Err(Failed("it does not begin with a PROXY protocol header of version 2"));
    }
    let mut buffer = [0; LONGEST];
    let rest = buffer.get_mut(..usize::from(u16::from_be_bytes([high, low])));
    let rest = rest.ok_or(Failed("the PROXY protocol header is longer than 536 bytes"))?;
    stream.read_exact(rest).await.map_err(broken)?;
    let short = Failed("the PROXY protocol header has no room for its addresses");
    match (command, family) {
        (LOCAL, _) => Ok(None),
        (PROXY, TCP_OVER_IPV4) => first::<4>(rest).map(|address| Some(address.into())).ok_or(short),
        (PROXY, TCP_OVER_IPV6) => first::<16>(rest).map(|address| Some(address.into())).ok_or(short),
        (PROXY, other) if OTHERS.contains(&other) => Ok(None),
        _ => Err(Failed("the PROXY protocol header has a command or a kind of address that there is not")),
    }
}

/// The first of two addresses, where there is room for both of them and their ports.
fn first<const N: usize>(block: &[u8]) -> Option<[u8; N]> {
    block.first_chunk().copied().filter(|_| block.len() >= 2 * N + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BALANCER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
    const HELLO: &[u8] = b"the first byte of TLS";

    /// A header of that command and kind, with `rest` after its head.
    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    /// Two addresses and two ports.
    fn over_ipv4() -> Vec<u8> {
        [[203, 0, 113, 7], [198, 51, 100, 1], [0xDA, 0x01, 0x24, 0xE3]].concat()
    }

    fn over_ipv6(from: &str) -> Vec<u8> {
        let octets = |text: &str| text.parse::<std::net::Ipv6Addr>().expect("an address").octets();
        [&octets(from)[..], &octets("2001:db8::1"), &[0xDA, 0x01, 0x24, 0xE3]].concat()
    }

    /// Who comes from `peer` with these bytes, where the balancers are those of the test; and what was not read.
    async fn comes(peer: IpAddr, mut bytes: &[u8]) -> (Result<String, String>, &[u8]) {
        let networks = ["192.0.2.7/32", "10.0.0.0/8", "2001:db8:ba::/48"];
        let balancers = Balancers::at(networks.map(|network| network.parse().expect("a network")).to_vec());
        let caller = balancers.caller(&mut bytes, peer).await;
        (caller.map(|address| address.to_string()).map_err(|why| why.to_string()), bytes)
    }

    /// Checks that the header names `expected`, and that what follows it is left to be read.
    async fn names(header: &[u8], expected: &str) {
        let bytes = [header, HELLO].concat();
        assert_eq!(comes(BALANCER, &bytes).await, (Ok(expected.to_owned()), HELLO), "{header:02x?}");
    }

    /// Checks that a connection that begins so is refused.
    async fn refused(bytes: &[u8], why: &str) {
        let (refused, _) = comes(BALANCER, bytes).await;
        assert!(refused.as_ref().is_err_and(|said| said.contains(why)), "{bytes:02x?}: {refused:?}");
    }

    #[tokio::test]
    async fn proxy_2_2_the_caller_is_the_first_address() {
        names(&header(PROXY, TCP_OVER_IPV4, &over_ipv4()), "203.0.113.7").await;
        names(&header(PROXY, TCP_OVER_IPV6, &over_ipv6("2001:db8::7")), "2001:db8::7").await;
        names(&header(PROXY, TCP_OVER_IPV6, &over_ipv6("::ffff:203.0.113.7")), "203.0.113.7").await;
    }

    /// Health checks: the rest is skipped, whatever it is.
    #[tokio::test]
    async fn proxy_2_2_a_balancer_that_speaks_for_itself_has_its_own_address() {
        names(&header(LOCAL, 0x00, b""), "192.0.2.7").await;
        names(&header(LOCAL, TCP_OVER_IPV4, &over_ipv4()), "192.0.2.7").await;
        names(&header(LOCAL, 0xFF, b"anything"), "192.0.2.7").await;
    }

    #[tokio::test]
    async fn proxy_2_2_an_address_of_no_kind_we_know_is_the_balancers_own() {
        for (family, length) in [(0x00, 0), (0x00, 12), (0x12, 12), (0x22, 36), (0x31, 216), (0x32, 216)] {
            names(&header(PROXY, family, &vec![7; length]), "192.0.2.7").await;
        }
    }

    #[tokio::test]
    async fn proxy_2_2_what_follows_the_addresses_is_skipped() {
        let authority = [&[0x02, 0, 9][..], b"localhost"].concat();
        let more = |addresses: Vec<u8>, length: usize| [addresses, authority.clone(), vec![0x04; length]].concat();
        names(&header(PROXY, TCP_OVER_IPV4, &more(over_ipv4(), 0)), "203.0.113.7").await;
        names(&header(PROXY, TCP_OVER_IPV6, &more(over_ipv6("2001:db8::7"), 3)), "2001:db8::7").await;
        names(&header(PROXY, TCP_OVER_IPV4, &more(over_ipv4(), LONGEST - 24)), "203.0.113.7").await;
    }

    #[tokio::test]
    async fn proxy_2_2_a_header_that_breaks_off_is_refused_wherever_it_does() {
        for whole in [
            header(PROXY, TCP_OVER_IPV4, &over_ipv4()),
            header(PROXY, TCP_OVER_IPV6, &over_ipv6("2001:db8::7")),
            header(LOCAL, 0x00, &[0; 7]),
        ] {
            for length in 0..whole.len() {
                refused(&whole[..length], "broke off").await;
            }
        }
    }

    #[tokio::test]
    async fn proxy_2_2_what_is_no_header_of_version_2_is_refused() {
        refused(b"PROXY TCP4 203.0.113.7 198.51.100.1 55809 9443\r\n", "does not begin with").await;
        refused(b"GET /jwks HTTP/1.1\r\nHost: localhost\r\n\r\n", "does not begin with").await;
        refused(&[0x16, 3, 1, 1, 0, 1, 0, 0, 0xFC, 3, 3, 7, 7, 7, 7, 7, 7], "does not begin with").await;
        for at in 0..SIGNATURE.len() {
            let mut almost = header(PROXY, TCP_OVER_IPV4, &over_ipv4());
            almost[at] ^= 1;
            refused(&almost, "does not begin with").await;
        }
    }

    #[tokio::test]
    async fn proxy_2_2_another_version_command_family_or_protocol_is_refused() {
        for command in (0..=0xFF).filter(|command| ![LOCAL, PROXY].contains(command)) {
            refused(&header(command, TCP_OVER_IPV4, &over_ipv4()), "that there is not").await;
        }
        let known = [&OTHERS[..], &[TCP_OVER_IPV4, TCP_OVER_IPV6]].concat();
        for family in (0..=0xFF).filter(|family| !known.contains(family)) {
            refused(&header(PROXY, family, &[7; 216]), "that there is not").await;
        }
    }

    #[tokio::test]
    async fn proxy_2_2_a_length_without_room_for_the_addresses_is_refused_and_so_is_one_that_is_too_large() {
        for length in 0..12 {
            refused(&header(PROXY, TCP_OVER_IPV4, &over_ipv4()[..length]), "no room").await;
        }
        for length in 0..36 {
            refused(&header(PROXY, TCP_OVER_IPV6, &over_ipv6("2001:db8::7")[..length]), "no room").await;
        }
        for command in [LOCAL, PROXY] {
            refused(&header(command, TCP_OVER_IPV4, &[0; LONGEST + 1]), "longer than").await;
            refused(&header(command, TCP_OVER_IPV4, &vec![0; 0xFFFF]), "longer than").await;
        }
    }

    #[tokio::test]
    async fn whoever_is_not_listed_is_asked_nothing_and_believed_nothing() {
        let said = [header(PROXY, TCP_OVER_IPV4, &over_ipv4()), HELLO.to_vec()].concat();
        for stranger in ["192.0.2.8", "11.0.0.1", "2001:db8:bb::1", "::ffff:192.0.2.8"] {
            let peer: IpAddr = stranger.parse().expect("an address");
            assert_eq!(comes(peer, &said).await, (Ok(peer.to_canonical().to_string()), &said[..]), "{stranger}");
        }
        for listed in ["192.0.2.7", "10.255.0.1", "2001:db8:ba::1", "::ffff:10.0.0.1"] {
            let peer = listed.parse().expect("an address");
            assert_eq!(comes(peer, &said).await, (Ok("203.0.113.7".to_owned()), HELLO), "{listed}");
        }
    }
}
