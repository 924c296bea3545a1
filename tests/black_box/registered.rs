//! A client that registered itself is a client like any other, by each way to authenticate and to be told, and stays in its own lane.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};

use crate::bank::{Bank, certificates, client_with, key, pkcs8, pki};
use crate::logs::Log;
use crate::raw::in_time;
use crate::registrant::{Registrant, changed, with};
use crate::teller::{Teller, response};
use crate::tpp::{Call, Tpp};
use crate::wired::{metadata, wired};

const NOWHERE: &str = "https://localhost:1/ping";
const TOKEN: &str = "8d67dc78-7faa-4d41-aabd-67707b374255";

#[tokio::test]
async fn dcr_7591_1_a_registered_client_does_all_that_a_configured_one_does() {
    let bank = wired(NOWHERE).await;
    let registrant = Registrant::of(&bank, &metadata()).await;
    let till = registrant.tpp();
    let auth_req_id = till.auth_req_id().await;
    let prompt = bank.phone.prompts().pop().expect("one");
    assert_eq!(
        (&prompt["client_id"], &prompt["client_name"]),
        (&json!(registrant.client_id), &json!("Registered shop"))
    );
    till.poll(&auth_req_id).await.refused(400, "authorization_pending");
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    let tokens = till.poll(&auth_req_id).await;
    assert!(tokens.ok().get("refresh_token").is_none(), "it did not register for one");
    let access_token = tokens.text("access_token");
    let live = bank.accounts_api().introspect(&access_token).await;
    assert_eq!((&live.ok()["active"], &live.body["client_id"]), (&json!(true), &json!(registrant.client_id)));
    till.userinfo(&access_token).await.ok();
    assert_eq!(till.revoke(&access_token).await.status, 200);
    assert_eq!(bank.accounts_api().introspect(&access_token).await.ok(), &json!({"active": false}));
    till.introspect(&access_token).await.refused(400, "unauthorized_client");
    till.refresh("anything").await.refused(400, "unauthorized_client");
}

#[tokio::test]
async fn dcr_7591_11_a_client_that_registers_for_refresh_tokens_gets_them() {
    let bank = wired(NOWHERE).await;
    let grants = json!(["urn:openid:params:grant-type:ciba", "refresh_token"]);
    let till = Registrant::of(&bank, &with("grant_types", grants)).await.tpp();
    let refresh_token = till.tokens().await.text("refresh_token");
    let renewed = till.refresh(&refresh_token).await.text("access_token");
    assert_eq!(bank.accounts_api().introspect(&renewed).await.ok()["active"], true);
}

#[tokio::test]
async fn ciba_10_2_a_client_that_registers_for_pings_is_pinged_where_it_said() {
    let bank = wired(NOWHERE).await;
    let teller =
        Teller::open((certificates("bank"), pkcs8("bank.key").into()), response("204 No Content", "", "")).await;
    let registrant = Registrant::of(&bank, &pinged_at(&teller)).await;
    let till = registrant.tpp();
    till.backchannel(|request| request).await.refused(400, "invalid_request");
    let asked = till.backchannel(|request| request.with("client_notification_token", TOKEN)).await;
    let auth_req_id = asked.text("auth_req_id");
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    let call = in_time(teller.call()).await;
    assert!(call.text.ends_with(&json!({ "auth_req_id": auth_req_id }).to_string()), "{}", call.text);
    till.poll(&auth_req_id).await.ok();
}

/// Whoever fails to answer is tried again, where it wants to be told by then.
#[tokio::test]
async fn ciba_4r_14_a_client_that_moves_is_pinged_where_it_went_and_one_that_is_gone_is_not() {
    let open = async |says| Teller::open((certificates("bank"), pkcs8("bank.key").into()), says).await;
    for moves in [true, false] {
        let (old, new) = (open(response("503 x", "", "")).await, open(response("204 No Content", "", "")).await);
        let (log, bank, _listening) = Log::listen_to(wired(NOWHERE)).await;
        let registrant = Registrant::of(&bank, &pinged_at(&old)).await;
        let asked = registrant.tpp().backchannel(|request| request.with("client_notification_token", TOKEN)).await;
        assert_eq!(bank.approve(&asked.text("auth_req_id")).await.status, 204);
        in_time(old.call()).await;
        if moves {
            registrant.replace(&pinged_at(&new)).await.ok();
            in_time(new.call()).await;
        } else {
            assert_eq!(registrant.delete().await.status, 204);
            log.line("the client is not to be notified any more").await;
            assert_eq!(new.knocks(), 0);
        }
        assert_eq!(old.knocks(), 1);
    }
}

/// The conformance suite's certificates are authorities of their own, over a key that many have.
#[tokio::test]
async fn mtls_2_2_1_a_client_registers_a_certificate_of_its_own_making() {
    let bank = wired(NOWHERE).await;
    let pair = KeyPair::from_pem(&std::fs::read_to_string(pki().join("till8.key")).expect("there")).expect("a key");
    let made = |name: &str| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.self_signed(&pair).expect("signed").der().clone()
    };
    let (first, second) = (made("Registered shop 1"), made("Registered shop 2"));
    let mut registrants = Vec::new();
    for certificate in [&first, &second] {
        let mut jwk = Value::from(key("till8.key").public().clone());
        jwk["x5c"] = json!([STANDARD.encode(certificate)]);
        let metadata = changed(|metadata| {
            metadata["jwks"] = json!({ "keys": [jwk] });
            metadata["token_endpoint_auth_method"] = json!("self_signed_tls_client_auth");
            metadata.as_object_mut().expect("an object").remove("token_endpoint_auth_signing_alg");
        });
        registrants.push(Registrant::of(&bank, &metadata).await);
    }
    let showing = |registrant: &Registrant<'_>, shown| {
        let http = client_with(vec![shown], PrivatePkcs8KeyDer::from(pair.serialize_der()).into());
        Tpp::over(&bank, registrant.client_id.clone(), key("till8.key"), http)
    };
    let till = showing(&registrants[0], first.clone());
    let by_connection = |till: &Tpp<'_>, call: Call| {
        call.drop("client_assertion").drop("client_assertion_type").and("client_id", &till.client_id)
    };
    let auth_req_id = till.backchannel_call(|call| by_connection(&till, call)).await.text("auth_req_id");
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    till.poll_call(&auth_req_id, |call| by_connection(&till, call)).await.ok();
    till.backchannel(|request| request).await.refused(401, "invalid_client");
    for (registrant, shown) in [(&registrants[0], second), (&registrants[1], first)] {
        let mistaken = showing(registrant, shown);
        mistaken.backchannel_call(|call| by_connection(&mistaken, call)).await.refused(401, "invalid_client");
    }
}

/// Its id is nobody else's, and it has nobody else's.
#[tokio::test]
async fn dcr_7591_16_a_registered_client_cannot_pass_for_another() {
    let bank = wired(NOWHERE).await;
    let registrant = Registrant::of(&bank, &metadata()).await;
    let till = registrant.tpp();
    for other in ["till-7", "till-8", "till-10", "accounts-api", &"a".repeat(43)] {
        let posing = |call: Call| call.assertion(|a| a.with("iss", other).with("sub", other));
        let refused = till.backchannel_call(|call| posing(call).request(|r| r.signed_by(key("directory.key")))).await;
        assert_ne!(refused.status, 200, "{other}");
        till.backchannel(|request| request.with("iss", other)).await.refused(400, "invalid_request");
    }
    bank.tpp()
        .backchannel(|request| request.with("iss", registrant.client_id.as_str()))
        .await
        .refused(400, "invalid_request");
    assert!(bank.phone.prompts().is_empty());
}

fn pinged_at(teller: &Teller) -> Value {
    changed(|metadata| {
        metadata["backchannel_token_delivery_mode"] = json!("ping");
        metadata["backchannel_client_notification_endpoint"] = json!(teller.url);
    })
}

/// A client that is gone is told nothing, and others are told all the same.
#[tokio::test]
async fn dcr_7592_8_deleting_one_ping_client_silences_that_one_alone() {
    let bank: Bank = wired(NOWHERE).await;
    let listening = async || {
        Teller::open((certificates("bank"), pkcs8("bank.key").into()), response("204 No Content", "", "")).await
    };
    let (gone, stays) = (listening().await, listening().await);
    let (one, two) = (Registrant::of(&bank, &pinged_at(&gone)).await, Registrant::of(&bank, &pinged_at(&stays)).await);
    let mut asked = Vec::new();
    for registrant in [&one, &two] {
        let heard = registrant.tpp().backchannel(|request| request.with("client_notification_token", TOKEN)).await;
        asked.push(heard.text("auth_req_id"));
    }
    assert_eq!(one.delete().await.status, 204);
    for auth_req_id in &asked {
        assert_eq!(bank.approve(auth_req_id).await.status, 204);
    }
    let call = in_time(stays.call()).await;
    assert!(call.text.ends_with(&json!({ "auth_req_id": asked[1] }).to_string()), "{}", call.text);
    assert_eq!(gone.knocks(), 0);
}
