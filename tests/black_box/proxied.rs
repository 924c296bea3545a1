//! Behind a load balancer that speaks the PROXY protocol: whoever is listed has to say whom it brings, nobody else may, and headers of HTTP say nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign::audit::Audit;
use countersign::http::serve::Limits;
use countersign::secret::Seeded;
use countersign::store::memory::Memory;
use http::HeaderName;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::bank::{Bank, certificates, client, pki, tls};
use crate::heard::Heard;
use crate::logs::Log;
use crate::raw::{Raw, in_time};
use crate::registrant::Registrant;
use crate::wired::{metadata, standing, switched_on, till9};

const HOUR: Duration = Duration::from_hours(1);
const MOMENT: Duration = Duration::from_secs(1);
const JWKS: &str = "GET /jwks HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Where the balancers are; the tests themselves come from 127.0.0.1.
const BALANCER: [u8; 4] = [127, 0, 0, 5];
const CALLER: [u8; 4] = [203, 0, 113, 7];
const ANOTHER: [u8; 4] = [203, 0, 113, 8];

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What a balancer says of a caller at `address`, over IPv4, with a TLV.
fn naming(address: [u8; 4]) -> Vec<u8> {
    let (ports, noop) = ([0xDA, 0x01, 0x24, 0xE3], [0x04, 0, 1, 0]);
    [&SIGNATURE[..], &[0x21, 0x11, 0, 16], &address, &[198, 51, 100, 1], &ports, &noop].concat()
}

/// What it says of itself.
fn local() -> Vec<u8> {
    [&SIGNATURE[..], &[0x20, 0, 0, 0]].concat()
}

fn listing(shipped: &str) -> String {
    format!("{shipped}\n[proxy_protocol]\nfrom = [\"192.0.2.0/24\", \"127.0.0.5\"]\n")
}

async fn with(limits: Limits) -> Bank {
    Bank::with(limits, listing).await
}

/// A connection to `to` from an address of this machine.
async fn from(address: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((address, 0).into()).expect("a loopback address");
    socket.connect(to).await.expect("a connection")
}

/// TLS over a connection from `address` that begins with `header`.
async fn over(address: [u8; 4], bank: &Bank, header: &[u8]) -> Option<Raw> {
    let mut tcp = from(address, bank.public).await;
    tcp.write_all(header).await.expect("written");
    in_time(Raw::over(tcp, tls(None))).await.ok()
}

async fn is_served(raw: &mut Raw) {
    raw.write(JWKS).await;
    assert_eq!(raw.answer().await.expect("an answer").status, 200);
}

/// A balancer in front of `to` that brings everybody as a caller at `address`; where it listens.
async fn balancing(to: SocketAddr, address: [u8; 4]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut inside, _)) = listener.accept().await {
            let mut outside = from(BALANCER, to).await;
            outside.write_all(&naming(address)).await.expect("written");
            tokio::spawn(async move { copy_bidirectional(&mut inside, &mut outside).await });
        }
    });
    at
}

/// A server with everything on that records in `path`, behind balancers: one for the world, one for the bank.
async fn balanced(path: &Path) -> Bank {
    let edit = |shipped: &str| listing(&switched_on(shipped, "https://localhost:1/ping"));
    let mut bank = Bank::of(Limits::default(), edit, |config, clock| {
        let (backend, audit) = (Memory::new(10_000, clock.clone()), Audit::to(path).expect("a thread"));
        config.server_with(Arc::new(backend), (audit, Arc::default()), (clock, Arc::new(Seeded::default())))
    })
    .await;
    bank.public = balancing(bank.public, CALLER).await;
    bank.internal = balancing(bank.internal, ANOTHER).await;
    bank
}

/// What was recorded in `path`: each event and its address.
fn recorded(path: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).expect("it is there");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or("none").to_owned();
    lines.map(|line| (text(&line, "event"), text(&line, "address"))).collect()
}

#[tokio::test]
async fn what_a_request_did_is_recorded_with_the_address_of_whoever_sent_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let bank = balanced(&path).await;
    let till = till9(&bank);
    assert_eq!(bank.deny(&till.auth_req_id().await).await.status, 204);
    let tokens = till.tokens().await;
    till.refresh(&tokens.text("refresh_token")).await.ok();
    assert_eq!(till.revoke(&tokens.text("access_token")).await.status, 200);
    for word in ["locked", "good"] {
        assert_eq!(standing(&bank, "carol", word).await.status, 204);
    }
    let mut registrant = Registrant::of(&bank, &metadata()).await;
    registrant.uri = bank.url(&format!("/register/{}", registrant.client_id));
    registrant.replace(&metadata()).await.ok();
    assert_eq!(Heard::of(registrant.call(http::Method::DELETE, Some(&registrant.token))).await.status, 204);
    let at = |address: &str, events: &[&str]| -> Vec<(String, String)> {
        events.iter().map(|event| ((*event).to_owned(), address.to_owned())).collect()
    };
    let (world, inside) = ("203.0.113.7", "203.0.113.8");
    let expected = [
        at(world, &["requested"]),
        at(inside, &["denied"]),
        at(world, &["requested"]),
        at(inside, &["approved"]),
        at(world, &["issued", "refreshed", "revoked"]),
        at(inside, &["locked", "good"]),
        at(world, &["registered", "replaced", "deleted"]),
    ];
    assert_eq!(recorded(&path), expected.concat());
}

#[tokio::test]
async fn the_line_of_a_request_has_the_address_of_whoever_sent_it() {
    let (log, bank, _listening) = Log::listen_to(with(Limits::default())).await;
    let mut raw = over(BALANCER, &bank, &naming(CALLER)).await.expect("a connection");
    is_served(&mut raw).await;
    assert_eq!(log.line("request").await["address"], "203.0.113.7");
}

#[tokio::test]
async fn why_a_header_is_refused_is_logged_without_a_byte_of_it() {
    let (log, bank, _listening) = Log::listen_to(with(Limits::default())).await;
    let mut tcp = from(BALANCER, bank.public).await;
    tcp.write_all(b"PROXY TCP4 203.0.113.77 canary").await.expect("written");
    let line = log.line("the handshake failed").await;
    assert_eq!(line["error"], "it does not begin with a PROXY protocol header of version 2");
    assert!(!log.text().contains("canary") && !log.text().contains("203.0.113.77"), "{}", log.text());
}

#[tokio::test]
async fn a_balancer_that_does_not_say_whom_it_brings_is_refused() {
    let bank = with(Limits { handshake: HOUR, ..Limits::default() }).await;
    for at in [bank.public, bank.internal] {
        let tcp = from(BALANCER, at).await;
        assert!(in_time(Raw::over(tcp, tls(None))).await.is_err(), "TLS at once");
        let mut tcp = from(BALANCER, at).await;
        tcp.write_all(b"PROXY TCP4 203.0.113.7 198.51.100.1 55809 9443\r\n").await.expect("written");
        assert!(in_time(Raw::over(tcp, tls(None))).await.is_err(), "version 1");
    }
    for header in [naming(CALLER), local()] {
        is_served(&mut over(BALANCER, &bank, &header).await.expect("version 2")).await;
    }
}

#[tokio::test]
async fn whoever_is_not_listed_may_not_say_whom_it_brings() {
    let bank = with(Limits::default()).await;
    for stranger in [[127, 0, 0, 1], [127, 0, 0, 6]] {
        assert!(over(stranger, &bank, &naming(CALLER)).await.is_none());
        is_served(&mut over(stranger, &bank, b"").await.expect("TLS and nothing else")).await;
    }
    let alone = Bank::open().await;
    assert!(over(BALANCER, &alone, &naming(CALLER)).await.is_none(), "nobody is listed");
}

#[tokio::test]
async fn a_balancer_that_takes_too_long_to_say_it_is_closed() {
    let patient = Limits { head: HOUR, body: HOUR, ..Limits::default() };
    let bank = with(Limits { handshake: MOMENT, ..patient }).await;
    let whole = naming(CALLER);
    for said in [0, 1, 15, 16, 20, whole.len() - 1, whole.len()] {
        let mut tcp = from(BALANCER, bank.public).await;
        tcp.write_all(&whole[..said]).await.expect("written");
        assert_eq!(in_time(tcp.read_to_end(&mut Vec::new())).await.unwrap_or_default(), 0, "{said} bytes");
    }
    is_served(&mut over(BALANCER, &bank, &whole).await.expect("a connection")).await;
}

#[tokio::test]
async fn behind_a_balancer_the_cap_of_an_address_is_that_of_each_caller() {
    let bank = with(Limits { handshake: HOUR, connections_per_address: 2, ..Limits::default() }).await;
    // Those who have not been named yet are nobody's.
    let mut unnamed = Vec::new();
    for _ in 0..4 {
        unnamed.push(from(BALANCER, bank.public).await);
    }
    let mut taken = Vec::new();
    for header in [naming(CALLER), naming(ANOTHER), local()] {
        for _ in 0..2 {
            let mut raw = over(BALANCER, &bank, &header).await.expect("a connection");
            is_served(&mut raw).await;
            taken.push(raw);
        }
        assert!(over(BALANCER, &bank, &header).await.is_none(), "one too many");
    }
    is_served(&mut over(BALANCER, &bank, &naming([203, 0, 113, 9])).await.expect("somebody else")).await;
    drop(taken);
    in_time(async { while over(BALANCER, &bank, &naming(CALLER)).await.is_none() {} }).await;
}

/// The balancer's own connections are bounded by the cap of the listener, and each by the deadline.
#[tokio::test]
async fn connections_that_nobody_named_yet_count_among_all_and_end() {
    let bank = with(Limits { handshake: MOMENT, connections: 2, ..Limits::default() }).await;
    let (mut one, mut two) = (from(BALANCER, bank.public).await, from(BALANCER, bank.public).await);
    let mut third = over([127, 0, 0, 1], &bank, b"").await.expect("there is room once they have ended");
    for ended in [&mut one, &mut two] {
        assert_eq!(in_time(ended.read_to_end(&mut Vec::new())).await.unwrap_or_default(), 0);
    }
    is_served(&mut third).await;
}

/// Everything that proxies are known to write.
fn claiming(request: RequestBuilder, certificate: &str) -> RequestBuilder {
    let pem = std::fs::read_to_string(pki().join(format!("{certificate}.pem"))).expect("there");
    let escaped: String = url::form_urlencoded::byte_serialize(pem.as_bytes()).collect();
    let der = STANDARD.encode(&certificates(certificate)[0]);
    let claims = [
        ("client-cert", format!(":{der}:")),
        ("x-client-cert", der.clone()),
        ("x-ssl-client-cert", escaped.clone()),
        ("ssl-client-cert", escaped.clone()),
        ("x-ssl-cert", escaped.clone()),
        ("x-amzn-mtls-clientcert", escaped.clone()),
        ("x-amzn-mtls-clientcert-leaf", escaped.clone()),
        ("x-arr-clientcert", der),
        ("x-forwarded-client-cert", format!("Cert=\"{escaped}\"")),
        ("x-forwarded-tls-client-cert", escaped),
        ("x-ssl-client-verify", "SUCCESS".into()),
        ("x-forwarded-for", "198.51.100.66".into()),
        ("x-real-ip", "198.51.100.66".into()),
        ("true-client-ip", "198.51.100.66".into()),
        ("forwarded", "for=198.51.100.66;proto=https".into()),
    ];
    let name = |name: &str| name.parse::<HeaderName>().expect("a name");
    claims.into_iter().fold(request, |request, (header, value)| request.header(name(header), value))
}

/// A server behind a balancer whose clients have shown no certificate, whatever the headers say.
#[tokio::test]
async fn rfc9440_2_certificates_and_addresses_in_headers_are_never_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let bank = balanced(&path).await;
    let till = till9(&bank);
    let auth_req_id = till.auth_req_id().await;
    let yes = json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": "alice-248289761001"}).to_string();
    let decide = |certificate| {
        let url = format!("https://localhost:{}/decision", bank.internal.port());
        claiming(client(certificate).post(url), "bank").header("content-type", "application/json").body(yes.clone())
    };
    Heard::of(decide(None)).await.refused(401, "invalid_client");
    Heard::of(decide(Some("till8"))).await.refused(401, "invalid_client");
    assert_eq!(Heard::of(decide(Some("bank"))).await.status, 204);
    let claimed = |call: crate::tpp::Call| call.edit(|request| claiming(request, "till8"));
    let bare = till.poll_call(&auth_req_id, |call| claimed(call.bare())).await;
    bare.refused(400, "invalid_request");
    let token = till.poll_call(&auth_req_id, claimed).await.text("access_token");
    let userinfo = |certificate| {
        let request = client(certificate).get(bank.url("/userinfo")).bearer_auth(&token);
        Heard::of(claiming(request, "till8"))
    };
    userinfo(None).await.refused(401, "invalid_token");
    userinfo(Some("till")).await.refused(401, "invalid_token");
    userinfo(Some("till8")).await.ok();
    let expected = [("requested", "203.0.113.7"), ("approved", "203.0.113.8"), ("issued", "203.0.113.7")];
    assert_eq!(recorded(&path), expected.map(|(event, address)| (event.to_owned(), address.to_owned())));
}
