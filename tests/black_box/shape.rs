//! [`Shape`]: the eight shapes of client in which the official plan runs, and a [`Stage`] with two clients of one of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use crate::bank::{Bank, certificates, client_with, key, pkcs8};
use crate::heard::Heard;
use crate::raw::in_time;
use crate::teller::{Call, Says, Teller, response};
use crate::token::Draft;
use crate::tpp::Tpp;
use crate::wired::{register, wired_with};

/// How a client is told, authenticates, and was registered.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Ping; else poll.
    pub(crate) ping: bool,
    /// By a self-signed certificate; else by private_key_jwt.
    pub(crate) mtls: bool,
    /// By itself; else in the configuration.
    pub(crate) dynamic: bool,
}

/// A client: its id, its key and its certificate.
struct Actor {
    client_id: String,
    key: &'static str,
    chain: Vec<CertificateDer<'static>>,
}

/// A server, two clients, and an ear for pings.
pub(crate) struct Stage {
    pub(crate) shape: Shape,
    pub(crate) bank: Bank,
    pub(crate) ear: Teller,
    actors: [Actor; 2],
}

/// The first client signs PS256, as the official suite does; the second ES256.
const KEYS: [(&str, &str); 2] = [("till-ps256.key", "PS256"), ("till8.key", "ES256")];

impl Stage {
    /// Everything in place; pings are answered with 204.
    pub(crate) async fn set(shape: Shape) -> Self {
        Self::answering(shape, response("204 No Content", "", "")).await
    }

    /// The same; pings are answered with `says`.
    pub(crate) async fn answering(shape: Shape, says: Says) -> Self {
        let ear = Teller::open((certificates("bank"), pkcs8("bank.key").into()), says).await;
        let made = KEYS.map(|(file, alg)| (file, metadata(shape, (file, alg), &ear.url)));
        let folder = tempfile::tempdir().expect("a folder");
        let entries: String =
            made.iter().enumerate().map(|(at, (_, (metadata, _)))| entry(at, metadata, folder.path())).collect();
        let bank =
            wired_with(&ear.url, |on| if shape.dynamic { on.to_owned() } else { on.to_owned() + &entries }).await;
        let mut ids = Vec::new();
        for (at, (_, (metadata, _))) in made.iter().enumerate() {
            ids.push(if shape.dynamic {
                let heard = register(&bank, metadata, None).await;
                assert_eq!(heard.status, 201, "{heard:#?}");
                heard.body["client_id"].as_str().expect("a string").to_owned()
            } else {
                format!("actor-{at}")
            });
        }
        let mut ids = ids.into_iter();
        let actors = made.map(|(key, (_, certificate))| Actor {
            client_id: ids.next().expect("one each"),
            key,
            chain: vec![certificate],
        });
        Self { shape, bank, ear, actors }
    }

    /// The first client.
    pub(crate) fn one(&self) -> Tpp<'_> {
        self.tpp(0, 0)
    }

    /// The second client.
    pub(crate) fn two(&self) -> Tpp<'_> {
        self.tpp(1, 1)
    }

    /// The first client over the second one's connection.
    pub(crate) fn one_over_two(&self) -> Tpp<'_> {
        self.tpp(0, 1)
    }

    fn tpp(&self, who: usize, over: usize) -> Tpp<'_> {
        let (actor, certificate) = (&self.actors[who], &self.actors[over]);
        let http = client_with(certificate.chain.clone(), pkcs8(certificate.key).into());
        let mut tpp = Tpp::over(&self.bank, actor.client_id.clone(), key(actor.key), http);
        tpp.by_certificate = self.shape.mtls;
        if self.shape.ping {
            tpp.extra = vec![("client_notification_token", json!("4bd4eef9-8ab4-4d9c-ba2d="))];
        }
        tpp
    }

    /// Two polls at the pace that the suite keeps, both of which find nothing decided.
    pub(crate) async fn pending(&self, till: &Tpp<'_>, auth_req_id: &str) {
        till.poll(auth_req_id).await.refused(400, "authorization_pending");
        self.bank.clock.advance(5);
        till.poll(auth_req_id).await.refused(400, "authorization_pending");
    }

    /// In ping mode, the notification of `auth_req_id`: that, and nothing else. In poll mode nobody is called.
    pub(crate) async fn told(&self, auth_req_id: &str) {
        if self.shape.ping {
            let call: Call = in_time(self.ear.call()).await;
            let body = call.text.split_once("\r\n\r\n").expect("a body").1;
            assert_eq!(body, json!({ "auth_req_id": auth_req_id }).to_string());
        } else {
            assert_eq!(self.ear.knocks(), 0, "poll clients are not called");
        }
    }

    /// From the request, changed, to the tokens.
    pub(crate) async fn flow(&self, till: &Tpp<'_>, change: impl FnOnce(Draft) -> Draft) -> Heard {
        let auth_req_id = till.backchannel(change).await.text("auth_req_id");
        self.pending(till, &auth_req_id).await;
        self.approve(&auth_req_id).await;
        self.told(&auth_req_id).await;
        self.bank.clock.advance(5);
        let heard = till.poll(&auth_req_id).await;
        heard.ok();
        heard
    }

    /// Alice says yes, with an acr.
    pub(crate) async fn approve(&self, auth_req_id: &str) {
        let acr = "urn:bank:acr:app-pin";
        let yes = json!({"auth_req_id": auth_req_id, "decision": "approve", "sub": "alice-248289761001", "acr": acr});
        assert_eq!(self.bank.decide(&yes).await.status, 204);
    }
}

/// Our answer, which has to be among those that the suite accepts, so that a change of policy is seen either way.
#[track_caller]
pub(crate) fn answers(heard: &Heard, ours: (u16, &str), accepted: &[(u16, &str)]) {
    heard.refused(ours.0, ours.1);
    assert!(accepted.contains(&ours), "the suite does not accept {ours:?}");
}

/// What the suite registers (conformance plan, dynamic clients), and the self-signed certificate that goes with it.
fn metadata(shape: Shape, (file, alg): (&str, &str), ear: &str) -> (Value, CertificateDer<'static>) {
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(
        &pkcs8(file),
        if alg == "PS256" { &rcgen::PKCS_RSA_SHA256 } else { &rcgen::PKCS_ECDSA_P256_SHA256 },
    )
    .expect("a key");
    let mut params = CertificateParams::new(["actor".to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&pair).expect("signed").der().clone();
    let mut jwk = Value::Object(key(file).public().clone());
    jwk["x5c"] = json!([STANDARD.encode(&certificate)]);
    let mut metadata = json!({
        "client_name": "An actor", "jwks": {"keys": [jwk]},
        "grant_types": ["urn:openid:params:grant-type:ciba", "refresh_token"], "response_types": [],
        "backchannel_token_delivery_mode": if shape.ping { "ping" } else { "poll" },
        "backchannel_authentication_request_signing_alg": alg,
        "backchannel_user_code_parameter": false,
        "id_token_signed_response_alg": alg,
        "token_endpoint_auth_method": if shape.mtls { "self_signed_tls_client_auth" } else { "private_key_jwt" },
        "tls_client_certificate_bound_access_tokens": true,
    });
    if shape.ping {
        metadata["backchannel_client_notification_endpoint"] = json!(ear);
    }
    if !shape.mtls {
        metadata["token_endpoint_auth_signing_alg"] = json!(alg);
    }
    (metadata, certificate)
}

/// The same for the configuration, where `jwks` is a file.
fn entry(at: usize, metadata: &Value, folder: &std::path::Path) -> String {
    let file = folder.join(format!("actor-{at}.jwks.json"));
    std::fs::write(&file, metadata["jwks"].to_string()).expect("written");
    let members = metadata.as_object().expect("an object").iter().filter(|(name, _)| *name != "jwks");
    let lines: Vec<String> = members.map(|(name, value)| format!("{name} = {value}")).collect();
    let lines = lines.join("\n");
    let file = file.to_str().expect("UTF-8");
    format!("\n[[clients]]\nclient_id = \"actor-{at}\"\njwks = \"{file}\"\nscope = \"openid accounts\"\n{lines}\n")
}
