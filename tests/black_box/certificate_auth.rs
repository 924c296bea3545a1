//! Client authentication by certificate (RFC 8705 §2): the right one, and every wrong one, at each endpoint that asks who is there.

use std::sync::Arc;

use countersign::audit::Audit;
use countersign::clock::{Clock, System};
use countersign::endpoint::{Parts, Server};
use countersign::http::serve::Limits;
use countersign::profile::{FAPI_CIBA_ID1, Profile};
use countersign::secret::{Entropy, Seeded};
use countersign::store::Store;
use countersign::store::memory::Memory;
use rcgen::{
    CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, RevokedCertParams,
    SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;

use crate::bank::{Bank, client_with, key, pki};
use crate::heard::Heard;
use crate::tpp::{Call, Tpp};

const SUBJECT: &str = "CN=Till 9,O=Corner Shop\\, Ltd";

/// An authority of the test's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
type Shown = (CertificateDer<'static>, PrivateKeyDer<'static>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "An authority");
        Self(CertifiedIssuer::self_signed(params, fresh()).expect("signed"))
    }

    /// A certificate for till 9, after `change`.
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let (mut params, key) = (till9(), fresh());
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        (certificate.der().clone(), der(&key))
    }

    /// The serial number `revoked` is revoked.
    fn crl(&self, revoked: u64) -> String {
        let now = OffsetDateTime::from_unix_timestamp(System.now().seconds()).expect("a time");
        let params = CertificateRevocationListParams {
            this_update: now - time::Duration::hours(1),
            next_update: now + time::Duration::days(7),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(revoked),
                revocation_time: now - time::Duration::hours(1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).expect("signed").pem().expect("PEM")
    }

    /// A bank that trusts this authority and knows till 9 by `method`, with `extra` in `[client_certificates]`.
    async fn bank(&self, method: &str, extra: &str) -> Bank {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
        std::fs::write(path("authority.pem"), self.0.pem()).expect("written");
        std::fs::write(path("revoked.pem"), self.crl(66)).expect("written");
        let jwks = pki().join("till8.jwks.json");
        let more = format!(
            r#"
[client_certificates]
authorities = "{}"
{}

[[clients]]
client_id = "till-9"
client_name = "Corner Shop, till 9"
jwks = "{}"
{method}
backchannel_authentication_request_signing_alg = "ES256"
id_token_signed_response_alg = "ES256"
backchannel_token_delivery_mode = "poll"
scope = "openid accounts"
"#,
            path("authority.pem"),
            extra.replace("REVOKED", &path("revoked.pem")),
            jwks.to_str().expect("UTF-8"),
        );
        Bank::with(Limits::default(), |shipped| shipped.to_owned() + &more).await
    }
}

fn fresh() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

fn der(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

/// What till 9's certificate says.
fn till9() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Corner Shop, Ltd");
    params.distinguished_name.push(DnType::CommonName, "Till 9");
    params.subject_alt_names = vec![SanType::DnsName("till9.shop.example".try_into().expect("a name"))];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.serial_number = Some(SerialNumber::from(9_u64));
    params
}

/// `tls_client_auth` for `subject`.
fn tls_client_auth(subject: &str) -> String {
    format!("token_endpoint_auth_method = \"tls_client_auth\"\n{subject}")
}

fn by_dn() -> String {
    tls_client_auth(&format!("tls_client_auth_subject_dn = '{SUBJECT}'"))
}

/// Till 9, showing `shown`.
fn till(bank: &Bank, shown: Shown) -> Tpp<'_> {
    Tpp::over(bank, "till-9", key("till8.key"), client_with(vec![shown.0], shown.1))
}

/// A call that authenticates by the connection alone.
fn by_connection(call: Call) -> Call {
    call.drop("client_assertion").drop("client_assertion_type").and("client_id", "till-9")
}

async fn ask(till: &Tpp<'_>) -> Heard {
    till.backchannel_call(by_connection).await
}

/// Refused at both endpoints; nobody is asked.
async fn stranger(bank: &Bank, till: &Tpp<'_>, what: &str) {
    println!("{what}");
    let before = bank.phone.prompts().len();
    ask(till).await.refused(401, "invalid_client");
    till.poll_call(&"a".repeat(43), by_connection).await.refused(401, "invalid_client");
    assert_eq!(bank.phone.prompts().len(), before, "{what}");
}

#[tokio::test]
async fn mtls_2_1_a_certificate_with_the_registered_subject_authenticates_and_binds() {
    let authority = Authority::new();
    let bank = authority.bank(&by_dn(), "").await;
    let till = till(&bank, authority.issue(|_| {}));
    let auth_req_id = ask(&till).await.text("auth_req_id");
    bank.approve(&auth_req_id).await;
    let tokens = till.poll_call(&auth_req_id, by_connection).await;
    let live = bank.accounts_api().introspect(&tokens.text("access_token")).await;
    assert_eq!(live.ok()["client_id"], "till-9");
    assert!(live.body["cnf"]["x5t#S256"].is_string());
}

#[tokio::test]
async fn mtls_2_1_1_the_chain_the_use_and_the_time_have_to_be_right() {
    let authority = Authority::new();
    let bank = authority.bank(&by_dn(), "").await;
    let server =
        |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let past = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let future = |params: &mut CertificateParams| params.not_before = rcgen::date_time_ymd(2090, 1, 1);
    let key = fresh();
    let self_signed = (till9().self_signed(&key).expect("signed").der().clone(), der(&key));
    for (what, shown) in [
        ("another authority", Authority::new().issue(|_| {})),
        ("self-signed", self_signed),
        ("for servers", authority.issue(server)),
        ("expired", authority.issue(past)),
        ("not yet valid", authority.issue(future)),
    ] {
        stranger(&bank, &till(&bank, shown), what).await;
    }
}

#[tokio::test]
async fn mtls_2_1_1_a_certificate_that_runs_out_on_an_open_connection_is_refused() {
    let authority = Authority::new();
    let bank = authority.bank(&by_dn(), "").await;
    let till = till(
        &bank,
        authority.issue(|params| {
            let now = OffsetDateTime::from_unix_timestamp(System.now().seconds()).expect("a time");
            params.not_after = now + time::Duration::hours(2);
        }),
    );
    ask(&till).await.ok();
    bank.clock.advance(3 * 3600);
    ask(&till).await.refused(401, "invalid_client");
}

#[tokio::test]
async fn mtls_2_1_1_a_revoked_certificate_is_refused() {
    let authority = Authority::new();
    let bank = authority.bank(&by_dn(), "crls = [\"REVOKED\"]").await;
    let revoked = authority.issue(|params| params.serial_number = Some(SerialNumber::from(66_u64)));
    stranger(&bank, &till(&bank, revoked), "revoked").await;
    ask(&till(&bank, authority.issue(|_| {}))).await.ok();
}

#[tokio::test]
async fn mtls_2_1_2_2_another_subject_is_refused() {
    let authority = Authority::new();
    let bank = authority.bank(&by_dn(), "").await;
    let named = |o: &'static str, cn: &'static str| {
        authority.issue(move |params| {
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::OrganizationName, o);
            params.distinguished_name.push(DnType::CommonName, cn);
        })
    };
    ask(&till(&bank, named("CORNER SHOP, Ltd", "till 9"))).await.ok();
    for (o, cn) in [("Corner Shop, Ltd", "Till 8"), ("Corner Shop", "Till 9"), ("Till 9", "Corner Shop, Ltd")] {
        stranger(&bank, &till(&bank, named(o, cn)), cn).await;
    }
    let more = authority.issue(|params| params.distinguished_name.push(DnType::CountryName, "FR"));
    stranger(&bank, &till(&bank, more), "a part too many").await;
}

#[tokio::test]
async fn mtls_2_1_2_1_an_alternative_name_serves_as_well() {
    let authority = Authority::new();
    let bank = authority.bank(&tls_client_auth("tls_client_auth_san_dns = \"till9.shop.example\""), "").await;
    ask(&till(&bank, authority.issue(|_| {}))).await.ok();
    let another = authority.issue(|params| {
        params.subject_alt_names = vec![SanType::DnsName("till8.shop.example".try_into().expect("a name"))];
    });
    stranger(&bank, &till(&bank, another), "another name").await;
}

#[tokio::test]
async fn mtls_2_2_1_a_registered_certificate_authenticates_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let key8 = KeyPair::from_pem(&std::fs::read_to_string(pki().join("till8.key")).expect("there")).expect("a key");
    let registered = till9().self_signed(&key8).expect("signed");
    let mut jwk = key("till8.key").public().clone();
    let x5c = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, registered.der());
    jwk.insert("x5c".into(), serde_json::json!([x5c]));
    let path = folder.path().join("till9.jwks.json");
    std::fs::write(&path, serde_json::json!({ "keys": [jwk] }).to_string()).expect("written");
    let bank = Bank::with(Limits::default(), |shipped| {
        let till8 = pki().join("till8.jwks.json");
        let method = "token_endpoint_auth_method = \"private_key_jwt\"\ntoken_endpoint_auth_signing_alg = \"ES256\"\nbackchannel_authentication_request_signing_alg = \"ES256\"";
        let by_certificate = "token_endpoint_auth_method = \"self_signed_tls_client_auth\"\nbackchannel_authentication_request_signing_alg = \"ES256\"";
        let here = shipped.replacen(till8.to_str().expect("UTF-8"), path.to_str().expect("UTF-8"), 1);
        here.replacen("\"till-8\"", "\"till-9\"", 1).replacen(method, by_certificate, 1)
    })
    .await;
    ask(&till(&bank, (registered.der().clone(), der(&key8)))).await.ok();
    let again = till9().self_signed(&key8).expect("signed");
    let mut renewed = till9();
    renewed.serial_number = Some(SerialNumber::from(10_u64));
    let renewed = renewed.self_signed(&key8).expect("signed");
    assert_ne!(again.der(), renewed.der());
    let other = fresh();
    let look_alike = till9().self_signed(&other).expect("signed");
    let before = bank.phone.prompts().len();
    for shown in [(renewed.der().clone(), der(&key8)), (look_alike.der().clone(), der(&other))] {
        ask(&till(&bank, shown)).await.refused(401, "invalid_client");
    }
    assert_eq!(bank.phone.prompts().len(), before);
}

#[tokio::test]
async fn mtls_2_each_client_has_one_method_and_each_request_one() {
    let authority = Authority::new();
    let bank = authority.bank(&by_dn(), "").await;
    let right = till(&bank, authority.issue(|_| {}));
    let missing = |call: Call| call.drop("client_assertion").drop("client_assertion_type");
    right.backchannel_call(missing).await.refused(401, "invalid_client");
    right.backchannel(|request| request).await.refused(401, "invalid_client");
    right.backchannel_call(|call| by_connection(call).set("client_id", "till-7")).await.refused(401, "invalid_client");
    right.backchannel_call(|call| by_connection(call).set("client_id", "nobody")).await.refused(401, "invalid_client");
    right.backchannel_call(|call| by_connection(call).bare()).await.refused(401, "invalid_client");
    right
        .backchannel_call(|call| by_connection(call).and("client_assertion", "junk"))
        .await
        .refused(401, "invalid_client");
    let seven = |call: Call| missing(call).and("client_id", "till-7");
    bank.tpp().backchannel_call(seven).await.refused(401, "invalid_client");
    assert!(bank.phone.prompts().is_empty());
}

/// The profile rules on every request, whatever a client was once registered for.
#[tokio::test]
async fn fapi1a_5_2_2_14_a_method_that_the_profile_does_not_offer_authenticates_nobody() {
    let bank = Bank::of(Limits::default(), str::to_owned, |config, clock| {
        let offered = r#"methods = ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"]"#;
        let tighter = FAPI_CIBA_ID1.replace(offered, r#"methods = ["tls_client_auth"]"#);
        assert_ne!(tighter, FAPI_CIBA_ID1);
        let profile = Arc::new(Profile::load(&tighter, config.profile.issuer().clone()).expect("tighter"));
        let entropy: Arc<dyn Entropy> = Arc::new(Seeded::default());
        let backend = Arc::new(Memory::new(10_000, clock.clone()));
        let store = Arc::new(Store::new((backend, None), config.clients.clone(), (profile.clone(), entropy.clone())));
        let (authenticator, trust) = (config.authenticator.clone(), config.trust.clone());
        let (audit, metrics) = (Audit::Log, Arc::default());
        Arc::new(Server::new(Parts { profile, store, audit, authenticator, trust, clock, entropy, metrics }))
    })
    .await;
    bank.tpp().backchannel(|request| request).await.refused(401, "invalid_client");
    assert!(bank.phone.prompts().is_empty());
}
