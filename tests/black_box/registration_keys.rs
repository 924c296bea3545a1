//! The keys of a client, how it authenticates, and the sector it is in (RFC 7591 §2, RFC 8705 §2, CIBA §4): each right at its limit, and wrong one beyond.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::bank::{Bank, certificates, key, pkcs8, pki};
use crate::registrant::{Registrant, by_certificate, changed, fresh_key, jwks, plain, refuses, with, without};
use crate::teller::{Teller, ok, response};
use crate::wired::{wired, wired_with};

const NOWHERE: &str = "https://localhost:1/ping";

async fn open() -> Bank {
    wired(NOWHERE).await
}

/// One where authorities vouch for certificates.
async fn vouched() -> Bank {
    let authorities = pki().join("ca.pem");
    let section = format!("\n[client_certificates]\nauthorities = \"{}\"\n", authorities.to_str().expect("UTF-8"));
    wired_with(NOWHERE, |on| on.to_owned() + &section).await
}

#[tokio::test]
async fn dcr_7591_5_and_6_keys_are_here_or_there_and_not_both_or_nowhere() {
    let bank = open().await;
    let there = "https://till.example/jwks.json";
    refuses(&bank, "both", &with("jwks_uri", there)).await;
    refuses(&bank, "neither", &without("jwks")).await;
    let published = changed(|metadata| {
        metadata.as_object_mut().expect("an object").remove("jwks");
        metadata["jwks_uri"] = json!(there);
    });
    Registrant::of(&bank, &published).await;
    refuses(&plain().await, "a server that calls nobody", &published).await;
}

#[tokio::test]
async fn dcr_7591_8_keys_are_public_strong_and_few() {
    let bank = open().await;
    let fine = fresh_key();
    let jwk = |change: Value| {
        let mut jwk = Value::from(fine.public().clone());
        for (name, value) in change.as_object().expect("an object") {
            jwk[name] = value.clone();
        }
        jwk
    };
    let all_of = |keys: Vec<Value>| with("jwks", json!({ "keys": keys }));
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        for also in [
            json!({}),
            json!({"use": "enc", "alg": "ECDH-ES"}),
            json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA"}),
        ] {
            let mut private = jwk(also);
            private[member] = json!("AQAB");
            refuses(&bank, format!("{member} in {private}"), &all_of(vec![jwk(json!({})), private])).await;
        }
    }
    for bad in [
        json!({"kty": "oct"}),
        json!({"kty": "oct", "k": "c2VjcmV0"}),
        json!({"kty": 1}),
        json!({}),
        jwk(json!({"crv": "P-384"})),
        jwk(json!({"crv": "secp256k1"})),
        jwk(json!({"y": jwk(json!({}))["x"]})),
        jwk(json!({"alg": "PS256"})),
        jwk(json!({"alg": "ES384"})),
        jwk(json!({"kid": ""})),
        jwk(json!({"kid": "k".repeat(257)})),
        jwk(json!({"x5c": "junk"})),
        json!({"kty": "RSA", "n": key("till-ps256.key").public()["n"], "e": "Aw"}),
        json!({"kty": "RSA", "n": "_".repeat(171), "e": "AQAB"}),
        json!({"kty": "RSA", "n": "_".repeat(700), "e": "AQAB"}),
    ] {
        refuses(&bank, &bad, &all_of(vec![jwk(json!({})), bad.clone()])).await;
    }
    refuses(&bank, "none", &all_of(Vec::new())).await;
    refuses(&bank, "only one of another kind", &all_of(vec![json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"})])).await;
    refuses(&bank, "21 keys", &all_of(vec![jwk(json!({})); 21])).await;
    Registrant::of(&bank, &all_of(vec![jwk(json!({})); 20])).await;
    let others = vec![json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), jwk(json!({"use": "enc", "alg": "ECDH-ES"}))];
    Registrant::of(&bank, &all_of([vec![jwk(json!({"kid": "k".repeat(256)}))], others].concat())).await;
}

#[tokio::test]
async fn dcr_7591_9_the_method_is_one_that_the_profile_offers() {
    let bank = open().await;
    let methods = ["none", "client_secret_basic", "client_secret_post", "client_secret_jwt", "PRIVATE_KEY_JWT"];
    for method in methods {
        refuses(&bank, method, &with("token_endpoint_auth_method", method)).await;
    }
    refuses(
        &bank,
        "nobody vouches",
        &changed(|metadata| {
            *metadata = by_certificate("tls_client_auth");
            metadata["tls_client_auth_san_dns"] = json!("till.example");
        }),
    )
    .await;
    refuses(&bank, "no certificate in jwks", &by_certificate("self_signed_tls_client_auth")).await;
    refuses(&bank, "a subject beside private_key_jwt", &with("tls_client_auth_san_dns", "till.example")).await;
    let certified = changed(|metadata| {
        *metadata = by_certificate("self_signed_tls_client_auth");
        metadata["jwks"]["keys"][0]["x5c"] = json!([STANDARD.encode(&certificates("till8")[0])]);
    });
    Registrant::of(&bank, &certified).await;
    for (member, value) in [("token_endpoint_auth_signing_alg", "ES256"), ("tls_client_auth_san_dns", "till.example")] {
        let stray = changed(|metadata| {
            *metadata = certified.clone();
            metadata[member] = json!(value);
        });
        refuses(&bank, format!("{member} beside a certificate of its own"), &stray).await;
    }
}

#[tokio::test]
async fn mtls_2_1_2_a_certificate_is_for_exactly_one_subject() {
    let bank = vouched().await;
    let subjects = [
        ("tls_client_auth_subject_dn", "CN=Till,O=Shop"),
        ("tls_client_auth_san_dns", "till.example"),
        ("tls_client_auth_san_uri", "https://till.example"),
        ("tls_client_auth_san_ip", "192.0.2.7"),
        ("tls_client_auth_san_email", "till@shop.example"),
    ];
    let named = |names: &[(&str, &str)]| {
        let mut metadata = by_certificate("tls_client_auth");
        for (name, value) in names {
            metadata[*name] = json!(value);
        }
        metadata
    };
    refuses(&bank, "none", &named(&[])).await;
    for (at, subject) in subjects.into_iter().enumerate() {
        refuses(&bank, subject.0, &named(&[subject, subjects[(at + 1) % 5]])).await;
        refuses(&bank, subject.0, &named(&[(subject.0, "")])).await;
        assert_eq!(Registrant::of(&bank, &named(&[subject])).await.members[subject.0], subject.1);
    }
    refuses(&bank, "all", &named(&subjects)).await;
    refuses(&bank, "no DN", &named(&[("tls_client_auth_subject_dn", "till")])).await;
    refuses(&bank, "no IP", &named(&[("tls_client_auth_san_ip", "till")])).await;
}

#[tokio::test]
async fn ciba_4r_10_a_pairwise_client_publishes_its_keys() {
    let bank = open().await;
    let pairwise = |change: &dyn Fn(&mut Value)| {
        changed(|metadata| {
            metadata["subject_type"] = json!("pairwise");
            metadata.as_object_mut().expect("an object").remove("jwks");
            metadata["jwks_uri"] = json!("https://till.example/jwks.json");
            change(metadata);
        })
    };
    refuses(&bank, "inline keys", &with("subject_type", "pairwise")).await;
    refuses(&bank, "another type", &with("subject_type", "ephemeral")).await;
    refuses(&bank, "a sector for nobody", &with("sector_identifier_uri", "https://till.example/sector.json")).await;
    Registrant::of(&bank, &pairwise(&|_| {})).await;
    let silent = pairwise(&|metadata| metadata["sector_identifier_uri"] = json!("https://localhost:1/sector.json"));
    refuses(&bank, "a sector that does not answer", &silent).await;
    let without_key = wired_with(NOWHERE, |on| {
        on.lines().filter(|line| !line.starts_with("pairwise_key")).collect::<Vec<_>>().join("\n")
    });
    refuses(&without_key.await, "a server that has no pseudonyms", &pairwise(&|_| {})).await;
}

#[tokio::test]
async fn ciba_4r_11_the_sector_lists_the_jwks_uri() {
    let bank = open().await;
    let jwks_uri = "https://till.example/jwks.json";
    let listed = ok(&json!(["https://other.example/jwks.json", jwks_uri]).to_string());
    let sector = Teller::open((certificates("bank"), pkcs8("bank.key").into()), listed.clone()).await;
    let metadata = changed(|metadata| {
        metadata.as_object_mut().expect("an object").remove("jwks");
        metadata["subject_type"] = json!("pairwise");
        metadata["jwks_uri"] = json!(jwks_uri);
        metadata["sector_identifier_uri"] = json!(sector.url);
    });
    Registrant::of(&bank, &metadata).await;
    for says in [
        ok(&json!(["https://till.example/other.json"]).to_string()),
        ok("[]"),
        ok(&json!(jwks_uri).to_string()),
        ok(&json!({"jwks_uri": jwks_uri}).to_string()),
        ok(&json!([[jwks_uri]]).to_string()),
        ok(&format!("{jwks_uri}\n")),
        response("404 Not Found", "", &json!([jwks_uri]).to_string()),
        response("302 Found", &format!("Location: {}\r\n", sector.url), ""),
    ] {
        sector.then(says);
    }
    sector.then(listed);
    // The first answer stays until there is another, so one more call brings the script to its second.
    Registrant::of(&bank, &metadata).await;
    for at in 0..8 {
        refuses(&bank, format!("answer {at}"), &metadata).await;
    }
    Registrant::of(&bank, &metadata).await;
    let call = sector.calls().pop().expect("it was asked");
    assert!(call.text.starts_with("GET /ciba HTTP/1.1\r\n") && !call.text.to_lowercase().contains("authorization"));
    let keys = jwks(&[&fresh_key()]);
    refuses(
        &bank,
        "with keys of its own",
        &changed(|given| {
            *given = metadata.clone();
            given.as_object_mut().expect("an object").remove("jwks_uri");
            given["jwks"] = keys;
        }),
    )
    .await;
}
