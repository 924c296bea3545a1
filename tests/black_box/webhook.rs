//! The webhook to the bank: a good answer is taken, and everything else is no answer, never a yes.

use countersign::http::tls::Chain;
use countersign::outbound::authenticator::Authenticator;
use countersign::outbound::webhook::Webhook;
use countersign::outbound::{Failed, Identity, Outbound, Whom};
use countersign::wire::bank::{Identified, Identify, Prompt};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use crate::bank::{certificates, pkcs8};
use crate::raw::in_time;
use crate::teller::{Says, Teller, ok, response};

const KNOWN: &str = r#"{"status":"known","sub":"alice-248289761001"}"#;

#[tokio::test]
async fn a_good_answer_is_taken() {
    let longest = "s".repeat(255);
    for (body, identified) in [
        (KNOWN, known("alice-248289761001")),
        (&json!({"status": "known", "sub": longest}).to_string(), known(&longest)),
        (r#" { "sub" : "a b~!" , "status" : "known" } "#, known("a b~!")),
        (r#"{"status":"unknown"}"#, Identified::Unknown {}),
        (r#"{"status":"refused"}"#, Identified::Refused {}),
    ] {
        let teller = open(ok(body)).await;
        assert_eq!(identify(&teller).await, Ok(identified), "{body}");
    }
}

#[tokio::test]
async fn the_bank_is_asked_as_its_manual_says() {
    let teller = open(ok(KNOWN)).await;
    identify(&teller).await.expect("a good answer");
    prompt(&teller).await.expect("a good answer");
    let [identify, prompt] = &teller.calls()[..] else { panic!("two calls") };
    let asked = json!({"hint_type": "login_hint", "hint": "alice", "client_id": "till-7", "user_code_possible": false});
    assert_eq!(body(&identify.text), asked);
    let shown = json!({
        "auth_req_id": "id", "sub": "alice-248289761001", "client_id": "till-7", "client_name": "Corner Shop",
        "scope": ["openid"], "binding_message": "1234", "acr_values": ["urn:x"], "expires_in": 120,
    });
    assert_eq!(body(&prompt.text), shown);
    for (call, path) in [(identify, "identify"), (prompt, "prompt")] {
        assert!(call.text.starts_with(&format!("POST /ciba/{path} HTTP/1.1\r\n")), "{}", call.text);
        assert!(call.text.contains("content-type: application/json\r\n"), "{}", call.text);
        assert_eq!(call.certificate.as_ref(), certificates("countersign").first(), "it shows who it is");
    }
}

#[tokio::test]
async fn a_prompt_is_taken_charge_of_by_200_202_or_204_alone() {
    for status in ["200 OK", "202 Accepted", "204 No Content"] {
        assert_eq!(prompt(&open(response(status, "", "")).await).await, Ok(()), "{status}");
    }
    for status in [
        "201 Created",
        "206 Partial",
        "299 x",
        "304 Not Modified",
        "400 x",
        "401 x",
        "404 x",
        "429 x",
        "500 x",
        "503 x",
    ] {
        assert!(prompt(&open(response(status, "", "")).await).await.is_err(), "{status}");
    }
}

#[tokio::test]
async fn another_status_is_no_answer_and_is_not_asked_again() {
    for status in
        ["201 Created", "202 Accepted", "400 x", "401 x", "403 x", "404 x", "429 x", "500 x", "502 x", "503 x"]
    {
        let teller = open(response(status, "Retry-After: 0\r\n", KNOWN)).await;
        assert!(identify(&teller).await.is_err(), "{status}");
        assert_eq!(teller.calls().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let tempting = open(ok(KNOWN)).await;
        let location = format!("Location: {}/identify\r\n", tempting.url);
        let teller = open(response(status, &location, KNOWN)).await;
        assert!(identify(&teller).await.is_err(), "{status}");
        assert!(prompt(&teller).await.is_err(), "{status}");
        assert_eq!(tempting.knocks(), 0, "{status}");
        assert_eq!(teller.calls().len(), 2, "{status}");
    }
}

#[tokio::test]
async fn another_body_is_no_answer() {
    let subject = |sub: &str| json!({"status": "known", "sub": sub}).to_string();
    for body in [
        "",
        "ok",
        "null",
        "[]",
        r#""known""#,
        "{}",
        "{\"status\":\"known\"",
        r#"{"status":"known"}"#,
        r#"{"status":"Known","sub":"a"}"#,
        r#"{"status":"locked"}"#,
        r#"{"status":null,"sub":"a"}"#,
        r#"{"status":["known"],"sub":"a"}"#,
        r#"{"status":0,"sub":"a"}"#,
        r#"{"sub":"a"}"#,
        r#"{"status":"known","sub":"a","sub":"b"}"#,
        r#"{"status":"refused","status":"known","sub":"a"}"#,
        r#"{"status":"known","sub":"a","name":"Alice"}"#,
        r#"{"status":"known","sub":"a"}{}"#,
        r#"{"status":"known","sub":"a"} x"#,
        r#"{"status":"known","sub":1}"#,
        r#"{"status":"known","sub":null}"#,
        r#"{"status":"known","sub":["a"]}"#,
        &subject(""),
        &subject(&"s".repeat(256)),
        &subject("\u{e4}"),
        &subject("a\nb"),
        &subject("a\0"),
        &subject("a\u{7f}"),
    ] {
        let answer = identify(&open(ok(body)).await).await;
        assert!(answer.is_err(), "{body}: {answer:?}");
    }
}

/// An answer that contradicts itself is none, even if it would end in a no.
#[tokio::test]
async fn a_member_too_many_is_no_answer() {
    for body in [
        r#"{"status":"unknown","sub":"alice-248289761001"}"#,
        r#"{"status":"refused","sub":"alice-248289761001"}"#,
        r#"{"status":"refused","reason":"locked"}"#,
    ] {
        let answer = identify(&open(ok(body)).await).await;
        assert!(answer.is_err(), "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_no_answer() {
    let padded = KNOWN.to_owned() + &" ".repeat(100 * 1024);
    for says in [ok(&padded), Says::Gushing] {
        let teller = open(says).await;
        assert!(in_time(identify(&teller)).await.is_err());
        assert!(in_time(prompt(&teller)).await.is_ok(), "its status says it all");
    }
    let nearly = KNOWN.to_owned() + &" ".repeat(60 * 1024);
    assert!(identify(&open(ok(&nearly)).await).await.is_ok(), "60 KiB are read");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer_and_is_not_asked_again() {
    for text in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        &format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{KNOWN}"),
        &format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{KNOWN}\r\n", KNOWN.len()),
        "garbage\r\n\r\n",
    ] {
        let teller = open(Says::This(text.to_owned())).await;
        let answer = identify(&teller).await;
        assert!(answer.is_err(), "{text}: {answer:?}");
        assert_eq!(teller.calls().len(), 1, "{text}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up() {
    let (nothing, dripping) = (open(Says::Nothing).await, open(Says::Dripping).await);
    let all =
        in_time(async { tokio::join!(identify(&nothing), identify(&dripping), prompt(&nothing), prompt(&dripping)) });
    let (one, two, three, four) = all.await;
    assert!(one.is_err() && two.is_err() && three.is_err());
    assert!(four.is_ok(), "its status says it all");
}

#[tokio::test]
async fn the_bank_has_to_prove_its_name_under_the_authority() {
    let right = Authority::of("localhost");
    let teller = Teller::open(right.chain(), ok(KNOWN)).await;
    assert!(identify_at(&teller.url, right.trust()).await.is_ok(), "nothing else is wrong with these");
    let another = identify_at(&teller.url, Authority::of("localhost").trust()).await;
    assert!(another.is_err(), "the certificate of another authority");
    assert!(identify_at(&teller.url, ours()).await.is_err(), "the certificate of another authority");
    let address = teller.url.replace("localhost", "127.0.0.1");
    assert!(identify_at(&address, right.trust()).await.is_err(), "the certificate does not name the address");
    assert_eq!(teller.calls().len(), 1, "nobody else was told anything");

    let wrong = Authority::of("elsewhere.example");
    let teller = Teller::open(wrong.chain(), ok(KNOWN)).await;
    assert!(identify_at(&teller.url, wrong.trust()).await.is_err(), "the certificate of another host");
    assert!(teller.calls().is_empty());
}

#[tokio::test]
async fn nothing_is_said_in_the_clear() {
    let teller = open(ok(KNOWN)).await;
    assert!(identify_at(&teller.plain_url(), ours()).await.is_err());
    assert_eq!(teller.knocks(), 0);
}

#[tokio::test]
async fn a_bank_that_is_not_there_is_no_answer() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    assert!(in_time(identify_at(&format!("https://localhost:{}", nobody.port()), ours())).await.is_err());
    let unheard = in_time(identify_at("https://nowhere.invalid", ours())).await;
    assert!(unheard.is_err());
}

/// A bank with the certificate that `certs dev` made for it.
async fn open(says: Says) -> Teller {
    Teller::open((certificates("bank"), pkcs8("bank.key").into()), says).await
}

async fn identify(teller: &Teller) -> Result<Identified, Failed> {
    identify_at(&teller.url, ours()).await
}

async fn identify_at(url: &str, trust: RootCertStore) -> Result<Identified, Failed> {
    let question = Identify {
        hint_type: "login_hint",
        hint: "alice",
        hint_issuer: None,
        client_id: "till-7",
        user_code: None,
        user_code_possible: false,
    };
    webhook(url, trust).identify(&question).await
}

async fn prompt(teller: &Teller) -> Result<(), Failed> {
    let prompt = Prompt {
        auth_req_id: "id",
        sub: "alice-248289761001",
        client_id: "till-7",
        client_name: "Corner Shop",
        scope: &["openid".to_owned()],
        binding_message: "1234",
        request_context: None,
        acr_values: &["urn:x".to_owned()],
        expires_in: 120,
    };
    webhook(&teller.url, ours()).prompt(&prompt).await
}

fn webhook(url: &str, trust: RootCertStore) -> Webhook {
    let certificate = (certificates("countersign"), pkcs8("countersign.key").into());
    Webhook::new(
        url.to_owned(),
        Outbound::new(Identity { trust, certificate: Some(certificate) }, Whom::Named).expect("they fit"),
    )
}

fn known(sub: &str) -> Identified {
    Identified::Known { sub: sub.to_owned() }
}

fn body(call: &str) -> Value {
    serde_json::from_str(call.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
}

/// The authority that `certs dev` made.
fn ours() -> RootCertStore {
    trusting(certificates("ca"))
}

fn trusting(authorities: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut trust = RootCertStore::empty();
    trust.add_parsable_certificates(authorities);
    trust
}

/// An authority of its own, with one certificate for a host.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn of(host: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new([host.to_owned()]).expect("a name").signed_by(&key, &issuer);
        Self { issuer, certificate: leaf.expect("signed").der().clone(), key }
    }

    fn trust(&self) -> RootCertStore {
        trusting(vec![self.issuer.der().clone()])
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn chain(&self) -> Chain {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        (vec![self.certificate.clone()], key)
    }
}
