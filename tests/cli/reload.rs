//! A server that runs takes certificates, authorities and clients from its configuration when they change, and leaves everything as it was when it cannot.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign::cli::certs;
use countersign::clock::{Clock, System};
use countersign::jose::keyring::SigningKey;
use countersign::outbound::{VERSIONS, provider};
use countersign::secret::{self, Secret};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;

use crate::deployment::Deployment;
use crate::keys::Keys;
use crate::serving::{Serving, sooner_or_later};

const TLS: [&str; 4] = ["server-p256.pem", "server-p256.key", "server-rsa.pem", "server-rsa.key"];

/// What a client with the keys of till 7 hears at the token endpoint when it shows no certificate: 400 if it is known, 401 if not. Nothing at all, if whoever answers is not vouched for by `ca`.
pub(crate) fn till(deployment: &Deployment, client_id: &str, (port, ca): (u16, &str)) -> Option<u16> {
    let key = PrivatePkcs8KeyDer::from_pem_file(deployment.certs().join("till-es256.key")).expect("a key");
    let key = SigningKey::from_pkcs8(key.secret_pkcs8_der()).expect("a key");
    let (now, jti) = (System.now().seconds(), Secret::draw(&secret::System));
    let claims = json!({"iss": client_id, "sub": client_id, "aud": "https://localhost:9443", "iat": now, "exp": now + 60, "jti": jti.reveal()});
    let assertion = key.sign("client-authentication+jwt", &claims).expect("it signs");
    let form = format!(
        "grant_type=urn:openid:params:grant-type:ciba&auth_req_id=x&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion={}",
        assertion.reveal()
    );
    let mut trust = RootCertStore::empty();
    trust.add_parsable_certificates(CertificateDer::pem_slice_iter(ca.as_bytes()).map(|one| one.expect("PEM")));
    let tls = ClientConfig::builder_with_provider(provider()).with_protocol_versions(VERSIONS).expect("they fit");
    let tls = tls.with_root_certificates(trust).with_no_client_auth();
    let http = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let request = http.post(format!("https://localhost:{port}/token"));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
    runtime.block_on(request.send()).ok().map(|answer| answer.status().as_u16())
}

#[test]
fn new_certificates_are_shown_without_a_restart_and_half_of_them_are_not() {
    let Keys(deployment) = Keys::new();
    let serving = Serving::start(&deployment);
    let others = tempfile::tempdir().expect("a folder");
    certs::dev(others.path(), "localhost", &System).expect("certificates");
    let other = |name: &str| fs::read_to_string(others.path().join(name)).expect("it was made");
    let (old, new) = (deployment.read("ca.pem"), other("ca.pem"));
    assert_eq!(
        (till(&deployment, "till-7", (serving.port, &old)), till(&deployment, "till-7", (serving.port, &new))),
        (Some(400), None)
    );
    // A certificate without its key, and then nothing that is one.
    for (spoilt, says) in [(other("server-p256.pem"), "tls.p256_key"), ("nothing".to_owned(), "tls.p256_certificate")] {
        let logged = serving.log().len();
        deployment.write("server-p256.pem", &spoilt);
        sooner_or_later("it is noticed", || serving.log()[logged..].contains(says).then_some(()));
        assert!(serving.log()[logged..].contains("everything stays as it was"));
        assert_eq!(till(&deployment, "till-7", (serving.port, &old)), Some(400), "{says}");
    }
    for name in TLS {
        deployment.write(name, &other(name));
    }
    sooner_or_later("it is shown", || {
        till(&deployment, "till-7", (serving.port, &new)).filter(|status| *status == 400)
    });
    assert_eq!(till(&deployment, "till-7", (serving.port, &old)), None);
}

#[test]
fn a_client_that_is_put_out_of_service_is_refused_without_a_restart_and_taken_back() {
    let Keys(deployment) = Keys::new();
    let serving = Serving::start(&deployment);
    let ca = deployment.read("ca.pem");
    let heard = || till(&deployment, "till-7", (serving.port, &ca));
    assert_eq!(heard(), Some(400));
    let till7 = "[[clients]]\nclient_id = \"till-7\"\n";
    let out = format!("{till7}disabled = true\n");
    deployment.edit(till7, &out);
    sooner_or_later("it is refused", || heard().filter(|status| *status == 401));
    deployment.edit(&out, till7);
    sooner_or_later("it is taken back", || heard().filter(|status| *status == 400));
    deployment.edit("client_id = \"till-7\"", "client_id = \"till-8\"");
    sooner_or_later("it is another's", || heard().filter(|status| *status == 401));
}

#[test]
fn what_takes_a_restart_is_said_and_clients_stay_as_they_were() {
    let Keys(deployment) = Keys::new();
    let serving = Serving::start(&deployment);
    let ca = deployment.read("ca.pem");
    for (from, to) in [
        (
            "scopes_supported = [\"openid\", \"accounts\", \"payments\"]",
            "scopes_supported = [\"openid\", \"accounts\", \"payments\", \"more\"]",
        ),
        ("profile = \"fapi-ciba-id1\"", "profile = \"open-banking-uk\""),
        ("issuer = \"https://localhost:9443\"", "issuer = \"https://localhost:9999\""),
    ] {
        let logged = serving.log().len();
        let before = fs::read_to_string(deployment.config()).expect("there");
        deployment.edit("client_id = \"till-7\"", "client_id = \"till-8\"");
        deployment.edit(from, to);
        sooner_or_later("it is noticed", || serving.log()[logged..].contains("which takes a restart").then_some(()));
        assert_eq!(till(&deployment, "till-7", (serving.port, &ca)), Some(400), "{from}");
        fs::write(deployment.config(), before).expect("written");
        let again = "CRLs and clients were read again";
        sooner_or_later("it is as before", || serving.log()[logged..].contains(again).then_some(()));
    }
}

#[test]
fn a_file_that_is_named_later_is_looked_at_from_then_on() {
    let Keys(deployment) = Keys::new();
    let serving = Serving::start(&deployment);
    let (ca, other) = (deployment.read("ca.pem"), "till-new.jwks.json");
    let heard = || till(&deployment, "till-7", (serving.port, &ca));
    // It is named before it is there, and nothing but its coming says that it is.
    deployment.edit("till.jwks.json", other);
    sooner_or_later("it is missed", || serving.log().contains("there is no such file").then_some(()));
    assert_eq!(heard(), Some(400), "everything stays as it was");
    let others = tempfile::tempdir().expect("a folder");
    certs::dev(others.path(), "localhost", &System).expect("certificates");
    deployment.write(other, &fs::read_to_string(others.path().join("till.jwks.json")).expect("it was made"));
    sooner_or_later("it is taken", || heard().filter(|status| *status == 401));
    deployment.write(other, &deployment.read("till.jwks.json"));
    sooner_or_later("it is taken again", || heard().filter(|status| *status == 400));
}

#[test]
fn what_is_read_at_a_start_alone_is_named_when_it_changes() {
    let Keys(deployment) = Keys::new();
    let serving = Serving::start(&deployment);
    let others = tempfile::tempdir().expect("a folder");
    certs::dev(others.path(), "localhost", &System).expect("certificates");
    for name in ["countersign.pem", "countersign.key"] {
        deployment.write(name, &fs::read_to_string(others.path().join(name)).expect("it was made"));
    }
    sooner_or_later("it is said", || {
        let said = serving.log();
        (said.contains("are read at the next start") && said.contains("bank.certificate")).then_some(())
    });
}

#[test]
fn under_load_new_certificates_cost_no_call_and_nor_do_bad_ones() {
    let Keys(deployment) = Keys::new();
    let serving = Serving::start(&deployment);
    let others = tempfile::tempdir().expect("a folder");
    certs::dev(others.path(), "localhost", &System).expect("certificates");
    let other = |name: &str| fs::read_to_string(others.path().join(name)).expect("it was made");
    let (both, new) = (deployment.read("ca.pem") + &other("ca.pem"), other("ca.pem"));
    let (closing, deployment, port) = (AtomicBool::new(false), &deployment, serving.port);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut heard = Vec::new();
                    while !closing.load(Ordering::SeqCst) {
                        heard.push(till(deployment, "till-7", (port, &both)));
                    }
                    heard
                })
            })
            .collect();
        let logged = serving.log().len();
        deployment.write("server-rsa.pem", "nothing");
        sooner_or_later("it is noticed", || serving.log()[logged..].contains("tls.rsa_certificate").then_some(()));
        for name in TLS {
            deployment.write(name, &other(name));
        }
        sooner_or_later("it is shown", || till(deployment, "till-7", (port, &new)).filter(|status| *status == 400));
        closing.store(true, Ordering::SeqCst);
        for caller in callers {
            let heard = caller.join().expect("it ends");
            assert!(heard.len() > 5 && heard.iter().all(|status| *status == Some(400)), "{heard:?}");
        }
    });
}

/// Waits until `/metrics` has this line.
fn shows(deployment: &Deployment, serving: &Serving, line: &str) {
    sooner_or_later(line, || {
        let (_, text) = deployment.text(serving.internal, "/metrics").expect("an answer");
        text.lines().any(|found| found == line).then_some(())
    });
}

const STALE: &str = "countersign_configuration_stale 1";
const FRESH: &str = "countersign_configuration_stale 0";

#[test]
fn that_files_cannot_be_used_is_a_metric_until_they_can_or_are_what_they_were() {
    let Keys(deployment) = Keys::new();
    let (link, good, bad) = (deployment.config(), deployment.certs().join("good"), deployment.certs().join("bad"));
    let shipped =
        fs::read_to_string(&link).expect("there").replace("../certs/dev", deployment.certs().to_str().expect("UTF-8"));
    fs::write(&good, &shipped).expect("written");
    fs::write(&bad, shipped.clone() + "\nstray = 1\n").expect("written");
    let point = |to: &Path| {
        let new = link.with_extension("new");
        symlink(to, &new).expect("linked");
        fs::rename(&new, &link).expect("in one step");
    };
    point(&good);
    let serving = Serving::start(&deployment);
    shows(&deployment, &serving, FRESH);
    point(&bad);
    shows(&deployment, &serving, STALE);
    point(&good);
    shows(&deployment, &serving, FRESH);
    // Other rules take a restart: until then clients are not taken.
    fs::write(
        &good,
        shipped.replace("scopes_supported = [\"openid\", ", "scopes_supported = [\"openid\", \"profile\", "),
    )
    .expect("written");
    shows(&deployment, &serving, STALE);
    fs::write(&good, &shipped).expect("written");
    shows(&deployment, &serving, FRESH);
}

#[test]
fn settings_that_take_a_restart_are_named() {
    let Keys(deployment) = Keys::new();
    let serving = Serving::start(&deployment);
    deployment.edit("connections_per_address = 128", "connections_per_address = 129\nleave_seconds = 1");
    let line = sooner_or_later("it is said", || {
        serving.log().lines().find(|line| line.contains("are read at the next start")).map(str::to_owned)
    });
    assert!(line.contains("\"changed\":\"limits.connections_per_address, limits.leave_seconds\""), "{line}");
}
