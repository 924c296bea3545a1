//! Tokens bound by DPoP (RFC 9449): who gets one, who may use it, and every proof that is none.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::http::serve::Limits;
use countersign::jose::keyring::SigningKey;
use countersign::profile::FAPI_CIBA_ID1;
use countersign::secret::Digest;
use http::{HeaderValue, Method};
use serde_json::json;

use crate::bank::{Bank, client, key, pki};
use crate::heard::Heard;
use crate::prover::{
    ALGS, approved, at_resource, challenged, for_token, jwk, nonce, on, open, poll, proof, till11, tokens, userinfo,
    with_till11,
};
use crate::registrant::{Registrant, changed, fresh_key};
use crate::tpp::Tpp;
use crate::wired::{in_the_uk, register, switched_on};

#[tokio::test]
async fn dpop_5_a_token_is_bound_to_the_key_of_the_proof_and_opens_with_it_alone() {
    let (bank, key, other) = (open().await, fresh_key(), fresh_key());
    let heard = tokens(&bank, &key).await;
    assert_eq!(heard.ok()["token_type"], "DPoP");
    let token = heard.text("access_token");
    let seen = bank.accounts_api().introspect(&token).await;
    assert_eq!(seen.ok()["cnf"], json!({"jkt": key.kid()}));
    assert_eq!(seen.body["token_type"], "DPoP");
    let good = userinfo(&bank, ("DPoP", &token), Some(at_resource(&bank, &key, &token))).await;
    assert_eq!(good.ok()["sub"], "alice-248289761001");
    userinfo(&bank, ("dpop", &token), Some(at_resource(&bank, &key, &token))).await.ok();
    userinfo(&bank, ("DPoP ", &token), Some(at_resource(&bank, &key, &token))).await.ok();
    challenged(&userinfo(&bank, ("DPoP", &token), Some(at_resource(&bank, &other, &token))).await, "invalid_token");
    challenged(&userinfo(&bank, ("DPoP", &token), None).await, "invalid_dpop_proof");
    let (another, unknown) = (tokens(&bank, &key).await.text("access_token"), "A".repeat(43));
    challenged(
        &userinfo(&bank, ("DPoP", &token), Some(at_resource(&bank, &key, &another))).await,
        "invalid_dpop_proof",
    );
    let without = at_resource(&bank, &key, &token).without("ath");
    challenged(&userinfo(&bank, ("DPoP", &token), Some(without)).await, "invalid_dpop_proof");
    challenged(&userinfo(&bank, ("DPoP", &unknown), Some(at_resource(&bank, &key, &unknown))).await, "invalid_token");
}

#[tokio::test]
async fn dpop_7_2_a_token_is_not_taken_under_the_scheme_of_another_binding() {
    let (bank, key) = (open().await, fresh_key());
    let token = tokens(&bank, &key).await.text("access_token");
    for proof in [None, Some(at_resource(&bank, &key, &token))] {
        userinfo(&bank, ("Bearer", &token), proof).await.refused(401, "invalid_token");
    }
    let with_certificate = client(Some("till8")).get(bank.url("/userinfo")).bearer_auth(&token);
    Heard::of(with_certificate).await.refused(401, "invalid_token");
    let bound = bank.other_tpp().tokens().await.text("access_token");
    challenged(&userinfo(&bank, ("DPoP", &bound), Some(at_resource(&bank, &key, &bound))).await, "invalid_token");
    bank.other_tpp().userinfo(&bound).await.ok();
}

/// RFC 9449 figures 15 and 17: who brings no token is told how one may be brought, and who brings one under DPoP hears of DPoP, whatever is wrong with it.
#[tokio::test]
async fn dpop_7_1_a_challenge_is_one_of_the_scheme_that_the_token_came_under() {
    let (bank, key) = (open().await, fresh_key());
    let call = |authorization: &str| client(None).get(bank.url("/userinfo")).header("authorization", authorization);
    let offered = |heard: &Heard| heard.headers["www-authenticate"].to_str().expect("ASCII").to_owned();
    let both = format!("Bearer, DPoP {ALGS}");
    for authorization in ["DPoP", "DPoP ", "DPoP a b", "DPoP =", "Basic YTpi", "Bearer"] {
        let heard = Heard::of(call(authorization)).await;
        heard.refused(401, "invalid_token");
        assert_eq!(offered(&heard), both, "{authorization}");
    }
    assert_eq!(offered(&Heard::of(client(None).get(bank.url("/userinfo"))).await), both);
    for odd in ["x", &"A".repeat(44), "A.b~c+d/e=="] {
        challenged(&userinfo(&bank, ("DPoP", odd), Some(at_resource(&bank, &key, odd))).await, "invalid_token");
    }
    let bank = Bank::with(Limits::default(), |shipped| in_the_uk(&with_till11(shipped))).await;
    let told = till11(&bank).own_with(&for_token(&bank, &key).finish()).await;
    let own = till11(&bank).own_with(&for_token(&bank, &key).with("nonce", nonce(&told)).finish()).await;
    let token = own.text("access_token");
    assert_eq!(own.body["token_type"], "DPoP");
    let told = userinfo(&bank, ("DPoP", &token), Some(at_resource(&bank, &key, &token))).await;
    challenged(&told, "use_dpop_nonce");
    let shown = at_resource(&bank, &key, &token).with("nonce", nonce(&told));
    let heard = userinfo(&bank, ("DPoP", &token), Some(shown)).await;
    heard.refused(403, "insufficient_scope");
    assert_eq!(offered(&heard), format!("DPoP error=\"insufficient_scope\", scope=\"openid\", {ALGS}"));
}

/// RFC 9449 figure 19, RFC 6750 §3.1.
#[tokio::test]
async fn dpop_7_1_2_more_than_one_token_is_a_malformed_request() {
    let (bank, key) = (open().await, fresh_key());
    let token = tokens(&bank, &key).await.text("access_token");
    let bound = bank.other_tpp().tokens().await.text("access_token");
    let call = |method: Method| client(Some("till8")).request(method, bank.url("/userinfo"));
    let proof =
        |method| proof(&bank, &key, (method, "/userinfo")).with("ath", Digest::of(token.as_bytes()).to_string());
    let refused = async |call: reqwest::RequestBuilder, challenge: &str| {
        let heard = Heard::of(call).await;
        heard.refused(400, "invalid_request");
        assert_eq!(heard.headers["www-authenticate"].to_str().expect("ASCII"), challenge);
    };
    let (bearer, dpop) = (format!("Bearer {bound}"), format!("DPoP {token}"));
    let wrong = ("Bearer error=\"invalid_request\"", format!("DPoP error=\"invalid_request\", {ALGS}"));
    for (one, other) in [(&bearer, &bearer), (&bearer, &dpop), (&dpop, &dpop)] {
        let call = call(Method::GET).header("authorization", one).header("authorization", other);
        refused(call.header("dpop", proof("GET").finish()), &format!("{}, {}", wrong.0, wrong.1)).await;
    }
    let posted = |authorization: &str| {
        let call = call(Method::POST).header("authorization", authorization);
        call.header("content-type", "application/x-www-form-urlencoded").header("dpop", proof("POST").finish())
    };
    refused(posted(&bearer).body(format!("access_token={bound}")), wrong.0).await;
    refused(posted(&dpop).body(format!("access_token={token}")), &wrong.1).await;
    Heard::of(posted(&bearer).body("a=b")).await.ok();
    Heard::of(posted(&dpop).body("access_token=")).await.ok();
}

#[tokio::test]
async fn dpop_5_2_a_client_is_judged_by_what_it_registered_whatever_else_it_shows() {
    let (bank, key) = (open().await, fresh_key());
    // Bound by certificate: a proof says nothing, good or bad.
    let till = bank.other_tpp();
    for shown in [for_token(&bank, &key).finish(), "nonsense".to_owned()] {
        let heard = poll(&till, &approved(&bank, &till).await, &[&shown]).await;
        assert_eq!(heard.ok()["token_type"], "Bearer");
        let seen = bank.accounts_api().introspect(&heard.text("access_token")).await;
        assert!(seen.ok()["cnf"]["x5t#S256"].is_string() && seen.body["cnf"].get("jkt").is_none());
    }
    // Bound by DPoP: a certificate says nothing, not even that of a client that authenticates by it.
    let till = Tpp::new(&bank, "till-11", (key_of_till(), key_of_till()), Some("till8"));
    let auth_req_id = approved(&bank, &till).await;
    till.poll(&auth_req_id).await.refused(400, "invalid_dpop_proof");
    let heard = poll(&till, &auth_req_id, &[&for_token(&bank, &key).finish()]).await;
    assert_eq!(heard.ok()["token_type"], "DPoP");
}

/// RFC 8705 §2 says who, RFC 9449 §5 what the token hangs on.
#[tokio::test]
async fn dpop_5_2_a_client_that_authenticates_by_certificate_may_be_bound_by_dpop() {
    let by_certificate = |config: &str| {
        let (before, till11) = config.rsplit_once("[[clients]]").expect("till 11 is the last");
        let jwt = "\"private_key_jwt\"\ntoken_endpoint_auth_signing_alg = \"ES256\"";
        let tls = "\"tls_client_auth\"\ntls_client_auth_subject_dn = \"CN=till-7\"";
        assert!(till11.contains(jwt), "{till11}");
        format!(
            "{before}[client_certificates]\nauthorities = \"{}/ca.pem\"\n\n[[clients]]{}",
            pki().display(),
            till11.replace(jwt, tls)
        )
    };
    let (bank, key) = (Bank::with(Limits::default(), |shipped| by_certificate(&on(shipped))).await, fresh_key());
    let mut till = Tpp::new(&bank, "till-11", (key_of_till(), key_of_till()), Some("till"));
    till.by_certificate = true;
    let auth_req_id = approved(&bank, &till).await;
    till.poll(&auth_req_id).await.refused(400, "invalid_dpop_proof");
    let heard = poll(&till, &auth_req_id, &[&for_token(&bank, &key).finish()]).await;
    let token = heard.text("access_token");
    assert_eq!(bank.accounts_api().introspect(&token).await.ok()["cnf"], json!({"jkt": key.kid()}));
    userinfo(&bank, ("DPoP", &token), Some(at_resource(&bank, &key, &token))).await.ok();
    till.userinfo(&token).await.refused(401, "invalid_token");
}

fn key_of_till() -> SigningKey {
    key("till8.key")
}

#[tokio::test]
async fn dpop_4_3_a_proof_that_is_none_is_refused_and_the_request_is_as_it_was() {
    let (bank, key) = (open().await, fresh_key());
    let till = till11(&bank);
    let auth_req_id = till.auth_req_id().await;
    let now = bank.now();
    let good = || for_token(&bank, &key);
    let private = {
        let mut jwk = jwk(&key);
        jwk["d"] = "AAAA".into();
        jwk
    };
    for (case, draft) in [
        ("DPOP-4.3-3 no jti", good().without("jti")),
        ("DPOP-4.3-3 an empty jti", good().with("jti", "")),
        ("DPOP-4.3-3 a jti of a kilobyte", good().with("jti", "x".repeat(1_000))),
        ("DPOP-4.3-3 no htm", good().without("htm")),
        ("DPOP-4.3-3 no htu", good().without("htu")),
        ("DPOP-4.3-3 no iat", good().without("iat")),
        ("DPOP-4.3-3 an iat that is a text", good().with("iat", now.to_string())),
        ("DPOP-4.3-4 no typ", good().without_header("typ")),
        ("DPOP-4.3-4 another typ", good().header("typ", "JWT")),
        ("DPOP-4.3-5 none", good().header("alg", "none")),
        ("DPOP-4.3-5 HS256", good().header("alg", "HS256")),
        ("DPOP-4.3-5 RS256", good().header("alg", "RS256")),
        ("DPOP-4.3-6 another key", good().header("jwk", jwk(&fresh_key()))),
        ("DPOP-4.3-6 a registered key, and no jwk", good().without_header("jwk")),
        ("DPOP-4.3-7 a private key", good().header("jwk", private)),
        ("DPOP-4.3-8 another method", good().with("htm", "GET")),
        ("DPOP-4.3-8 the method in small letters", good().with("htm", "post")),
        ("DPOP-4.3-9 another path", good().with("htu", format!("{}/userinfo", bank.issuer))),
        ("DPOP-4.3-9 another host", good().with("htu", "https://elsewhere.example/token")),
        ("DPOP-4.3-13 too old", good().with("iat", now - 61)),
        ("DPOP-4.3-13 too far ahead", good().with("iat", now + 31)),
        ("DPOP-4.3-14 expired", good().with("exp", now)),
        ("DPOP-4.3-14 not good yet", good().with("nbf", now + 31)),
        ("DPOP-4.3-2 crit", good().header("crit", json!(["exp"]))),
    ] {
        let heard = poll(&till, &auth_req_id, &[&draft.finish()]).await;
        assert_eq!((heard.status, &heard.body["error"]), (400, &json!("invalid_dpop_proof")), "{case}: {heard:#?}");
    }
    let two = [good().finish(), good().finish()];
    let joined = two.join(",");
    let large = good().with("x", "x".repeat(9_000)).finish();
    for (case, proofs) in [
        ("DPOP-5-1 none", vec![]),
        ("DPOP-4.3-1 two", vec![two[0].as_str(), &two[1]]),
        ("DPOP-4.3-1 two in one", vec![joined.as_str()]),
        ("DPOP-4.3-2 no JWS", vec!["a.b"]),
        ("DPOP-4.3-2 more than 8 KiB", vec![large.as_str()]),
        ("DPOP-4.3-2 nothing", vec![""]),
    ] {
        let heard = poll(&till, &auth_req_id, &proofs).await;
        assert_eq!((heard.status, &heard.body["error"]), (400, &json!("invalid_dpop_proof")), "{case}: {heard:#?}");
    }
    // As slowly as it has to poll, it has not polled yet.
    for edge in [good().with("iat", now - 60), good().with("iat", now + 30).header("kid", "of no interest")] {
        poll(&till, &auth_req_id, &[&edge.finish()]).await.refused(400, "authorization_pending");
        bank.clock.advance(5);
    }
}

#[tokio::test]
async fn dpop_11_1_2_a_proof_is_good_once_for_its_key() {
    let (bank, key) = (open().await, fresh_key());
    let till = till11(&bank);
    let auth_req_id = till.auth_req_id().await;
    let once = for_token(&bank, &key).with("jti", "mine");
    poll(&till, &auth_req_id, &[&once.finish()]).await.refused(400, "authorization_pending");
    poll(&till, &auth_req_id, &[&once.finish()]).await.refused(400, "invalid_dpop_proof");
    bank.clock.advance(5);
    let others = for_token(&bank, &fresh_key()).with("jti", "mine");
    poll(&till, &auth_req_id, &[&others.finish()]).await.refused(400, "authorization_pending");
    let token = tokens(&bank, &key).await.text("access_token");
    let shown = at_resource(&bank, &key, &token);
    userinfo(&bank, ("DPoP", &token), Some(shown.clone())).await.ok();
    challenged(&userinfo(&bank, ("DPoP", &token), Some(shown)).await, "invalid_dpop_proof");
    // A jti is one of the place that it is shown at.
    let elsewhere = at_resource(&bank, &key, &token).with("jti", "here-and-there");
    userinfo(&bank, ("DPoP", &token), Some(elsewhere)).await.ok();
    let here = for_token(&bank, &key).with("jti", "here-and-there");
    bank.clock.advance(5);
    poll(&till, &auth_req_id, &[&here.finish()]).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn dpop_11_1_2_a_proof_is_spent_for_as_long_as_anybody_could_take_it() {
    let (bank, key) = (open().await, fresh_key());
    let refresh_token = tokens(&bank, &key).await.text("refresh_token");
    let till = till11(&bank);
    // Made by a clock that is as far ahead as it may be: ninety seconds and one it can be shown.
    let early = for_token(&bank, &key).with("iat", bank.now() + 30).finish();
    till.refresh_with(&refresh_token, &early).await.ok();
    let token = till.refresh_with(&refresh_token, &for_token(&bank, &key).finish()).await.text("access_token");
    let here = at_resource(&bank, &key, &token).with("iat", bank.now() + 30);
    userinfo(&bank, ("DPoP", &token), Some(here.clone())).await.ok();
    for _ in 0..=92 {
        till.refresh_with(&refresh_token, &early).await.refused(400, "invalid_dpop_proof");
        challenged(&userinfo(&bank, ("DPoP", &token), Some(here.clone())).await, "invalid_dpop_proof");
        bank.clock.advance(1);
    }
}

#[tokio::test]
async fn dpop_11_1_2_nobody_without_a_token_has_the_id_of_a_proof_remembered() {
    let (bank, key, other) = (open().await, fresh_key(), fresh_key());
    let (token, unknown) = (tokens(&bank, &key).await.text("access_token"), "A".repeat(43));
    for (token, key) in [(&unknown, &key), (&token, &other)] {
        let shown = at_resource(&bank, key, token);
        for _ in 0..2 {
            challenged(&userinfo(&bank, ("DPoP", token), Some(shown.clone())).await, "invalid_token");
        }
    }
}

#[tokio::test]
async fn dpop_5_3_a_refresh_token_belongs_to_the_client_and_the_new_token_to_the_key_of_the_moment() {
    let (bank, one, two) = (open().await, fresh_key(), fresh_key());
    let first = tokens(&bank, &one).await;
    let till = till11(&bank);
    let refresh_token = first.text("refresh_token");
    till.refresh(&refresh_token).await.refused(400, "invalid_dpop_proof");
    let refreshed = till.refresh_with(&refresh_token, &for_token(&bank, &two).finish()).await;
    assert_eq!(refreshed.ok()["token_type"], "DPoP");
    let token = refreshed.text("access_token");
    assert_eq!(bank.accounts_api().introspect(&token).await.ok()["cnf"], json!({"jkt": two.kid()}));
    challenged(&userinfo(&bank, ("DPoP", &token), Some(at_resource(&bank, &one, &token))).await, "invalid_token");
}

#[tokio::test]
async fn dpop_5_1_1_what_a_profile_does_not_bind_by_is_neither_offered_nor_registered() {
    let discovered =
        async |bank: &Bank| Heard::of(client(None).get(bank.url("/.well-known/openid-configuration"))).await;
    let bank = open().await;
    let offered = discovered(&bank).await;
    assert_eq!(offered.body["dpop_signing_alg_values_supported"], json!(["ES256", "PS256", "Ed25519"]));
    assert_eq!(offered.body["tls_client_certificate_bound_access_tokens"], true);
    let open = |shipped: &str| switched_on(shipped, "https://localhost:1/ping");
    let strict = FAPI_CIBA_ID1.replace("methods = [\"certificate\", \"dpop\"]", "methods = [\"certificate\"]");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("profile.toml");
    std::fs::write(&path, strict).expect("written");
    let path = path.to_str().expect("UTF-8").to_owned();
    let bank =
        Bank::with(Limits::default(), |shipped| open(shipped).replace("\"fapi-ciba-id1\"", &format!("\"{path}\"")))
            .await;
    assert!(discovered(&bank).await.body.get("dpop_signing_alg_values_supported").is_none());
    let metadata = changed(|metadata| {
        metadata["dpop_bound_access_tokens"] = true.into();
        metadata["tls_client_certificate_bound_access_tokens"] = false.into();
    });
    register(&bank, &metadata, None).await.refused(400, "invalid_client_metadata");
    let token = bank.other_tpp().tokens().await.text("access_token");
    userinfo(&bank, ("DPoP", &token), Some(at_resource(&bank, &fresh_key(), &token)))
        .await
        .refused(401, "invalid_token");
}

#[tokio::test]
async fn dpop_5_2_1_a_client_registers_for_one_key_and_not_for_none() {
    let bank = open().await;
    let with = |certificate: Option<bool>, dpop: Option<bool>| {
        changed(|metadata| {
            let members = metadata.as_object_mut().expect("an object");
            members.remove("tls_client_certificate_bound_access_tokens");
            members.extend(certificate.map(|on| ("tls_client_certificate_bound_access_tokens".to_owned(), json!(on))));
            members.extend(dpop.map(|on| ("dpop_bound_access_tokens".to_owned(), json!(on))));
        })
    };
    for (certificate, dpop) in [(Some(true), Some(true)), (Some(false), Some(false)), (Some(false), None)] {
        register(&bank, &with(certificate, dpop), None).await.refused(400, "invalid_client_metadata");
    }
    for (certificate, dpop, token_type) in [
        (None, None, "Bearer"),
        (Some(true), Some(false), "Bearer"),
        (None, Some(true), "DPoP"),
        (Some(false), Some(true), "DPoP"),
    ] {
        let registered = Registrant::of(&bank, &with(certificate, dpop)).await;
        assert_eq!(registered.members["tls_client_certificate_bound_access_tokens"], token_type == "Bearer");
        let till = registered.tpp();
        let auth_req_id = approved(&bank, &till).await;
        let heard = poll(&till, &auth_req_id, &[&for_token(&bank, &fresh_key()).finish()]).await;
        assert_eq!(heard.ok()["token_type"], token_type);
    }
}

#[tokio::test]
async fn dpop_4_3_17_keys_of_all_three_kinds_make_proofs() {
    let bank = open().await;
    let heard = tokens(&bank, &key("till-ps256.key")).await;
    assert_eq!(heard.ok()["token_type"], "DPoP");
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    for (alg, error) in [("Ed25519", None), ("EdDSA", Some("invalid_dpop_proof"))] {
        let header = json!({"typ": "dpop+jwt", "alg": alg, "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x}});
        let claims = json!({"jti": alg, "htm": "POST", "htu": bank.url("/token"), "iat": bank.now()});
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let proof = format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes())));
        let till = till11(&bank);
        let heard = poll(&till, &approved(&bank, &till).await, &[&proof]).await;
        if let Some(error) = error {
            heard.refused(400, error);
            continue;
        }
        let jkt = Digest::of(format!("{{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"{x}\"}}").as_bytes()).to_string();
        let seen = bank.accounts_api().introspect(&heard.text("access_token")).await;
        assert_eq!(seen.ok()["cnf"], json!({"jkt": jkt}));
    }
}

#[tokio::test]
async fn dpop_4_3_9_the_host_header_decides_nothing() {
    let (bank, key) = (open().await, fresh_key());
    let till = till11(&bank);
    let auth_req_id = till.auth_req_id().await;
    let forged = for_token(&bank, &key).with("htu", "https://elsewhere.example/token").finish();
    let request = till.poll_http(&auth_req_id, |request| {
        request.headers_mut().insert("dpop", HeaderValue::from_str(&forged).expect("ASCII"));
        request.headers_mut().insert("host", HeaderValue::from_static("elsewhere.example"));
        request.headers_mut().insert("x-forwarded-host", HeaderValue::from_static("elsewhere.example"));
    });
    Heard::of(request).await.refused(400, "invalid_dpop_proof");
    let at_another_method = proof(&bank, &key, ("POST", "/userinfo"));
    let token = tokens(&bank, &key).await.text("access_token");
    let shown = at_another_method.with("ath", Digest::of(token.as_bytes()).to_string());
    let posted = client(None).request(Method::POST, bank.url("/userinfo")).header("content-length", "0");
    let posted = posted.header("authorization", format!("DPoP {token}")).header("dpop", shown.finish());
    Heard::of(posted).await.ok();
}
