//! What comes of a refresh token (RFC 6749 §6, OpenID Connect Core §12.2): the same yes in new tokens, never more of it.

use std::collections::HashSet;

use countersign::jose::alg::Alg;
use serde_json::json;

use crate::bank::{Bank, key};
use crate::heard::Heard;
use crate::redemption::{thumbprint, verified};
use crate::tpp::Tpp;
use crate::wired::{granted, is_live, till9, wired};

const NOWHERE: &str = "https://localhost:1/ping";

async fn paid(bank: &Bank, token: &str) -> bool {
    bank.payments_api().introspect(token).await.ok()["active"] == true
}

#[tokio::test]
async fn rt_4_a_refresh_token_is_not_rotated() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let first = till.tokens().await;
    let refresh_token = first.text("refresh_token");
    let mut seen = HashSet::from([first.text("access_token")]);
    for _ in 0..10 {
        let heard = till.refresh(&refresh_token).await;
        let (access_token, id_token) = (heard.text("access_token"), heard.text("id_token"));
        let tokens = json!({
            "access_token": access_token, "token_type": "Bearer", "expires_in": 300, "scope": "openid accounts", "id_token": id_token,
        });
        assert_eq!(heard.body, tokens);
        assert!(seen.insert(access_token), "given twice");
    }
    for access_token in seen {
        assert!(is_live(&bank, &access_token).await, "none of them ends another");
    }
}

#[tokio::test]
async fn rt_2_a_narrower_scope_narrows_the_access_token_and_nothing_for_good() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let refresh_token = granted(&bank, &till, "openid accounts payments").await.text("refresh_token");
    for (asked, told, pays) in [
        ("openid accounts", "openid accounts", false),
        ("openid", "openid", false),
        ("payments openid", "payments openid", true),
        ("openid accounts payments", "openid accounts payments", true),
        ("", "openid accounts payments", true),
    ] {
        println!("{asked}");
        let heard = till.refresh_call(&refresh_token, |call| call.and("scope", asked)).await;
        assert_eq!(heard.ok()["scope"], told);
        let access_token = heard.text("access_token");
        assert_eq!(
            (paid(&bank, &access_token).await, is_live(&bank, &access_token).await),
            (pays, told.contains("accounts"))
        );
    }
    let heard = till.refresh(&refresh_token).await;
    assert_eq!(heard.ok()["scope"], "openid accounts payments");
    assert!(paid(&bank, &heard.text("access_token")).await);
}

#[tokio::test]
async fn rt_2_a_wider_scope_is_refused_and_so_is_one_without_openid() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    // The client may have payments; this user has not said yes to it.
    let refresh_token = granted(&bank, &till, "openid accounts").await.text("refresh_token");
    for scope in [
        "openid accounts payments",
        "openid payments",
        "payments",
        "accounts",
        "openid admin",
        "OPENID",
        "openid  accounts",
        " openid",
        "openid ",
        " ",
        "openid,accounts",
        "openid\taccounts",
        "openid openid",
        "openid accounts accounts",
    ] {
        println!("{scope}");
        let heard = till.refresh_call(&refresh_token, |call| call.and("scope", scope)).await;
        heard.refused(400, "invalid_scope");
    }
    assert_eq!(till.refresh(&refresh_token).await.ok()["scope"], "openid accounts");
}

#[tokio::test]
async fn rt_3_a_refreshed_id_token_is_new_and_says_of_the_user_what_the_first_said() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let auth_req_id = till.auth_req_id().await;
    let auth_time = bank.now() - 30;
    let acr = "urn:bank:acr:app-pin";
    let decision = json!({
        "auth_req_id": auth_req_id, "decision": "approve", "sub": "alice-248289761001", "acr": acr, "auth_time": auth_time,
    });
    assert_eq!(bank.decide(&decision).await.status, 204);
    bank.clock.advance(5);
    let tokens = till.poll(&auth_req_id).await;
    let first = verified(&bank, &tokens.text("id_token"), Alg::Es256).await;
    for later in [1, 3_600, 5_000_000] {
        bank.clock.advance(later);
        let heard = till.refresh(&tokens.text("refresh_token")).await;
        let id_token = verified(&bank, &heard.text("id_token"), Alg::Es256).await;
        let now = bank.now();
        let expected = json!({
            "iss": bank.issuer, "sub": "alice-248289761001", "aud": "till-9", "iat": now, "exp": now + 300, "auth_time": auth_time, "acr": acr,
        });
        assert_eq!(id_token, expected);
        assert_eq!(
            (&first["auth_time"], &first["acr"], &first["sub"]),
            (&id_token["auth_time"], &id_token["acr"], &id_token["sub"])
        );
        let seen = bank.accounts_api().introspect(&heard.text("access_token")).await;
        assert_eq!((&seen.ok()["auth_time"], &seen.body["acr"]), (&json!(auth_time), &json!(acr)));
        assert_eq!((&seen.body["iat"], &seen.body["exp"]), (&json!(now), &json!(now + 300)));
    }
}

#[tokio::test]
async fn mtls_4_1_with_a_new_certificate_come_tokens_that_are_bound_to_it() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let tokens = till.tokens().await;
    let renewed = Tpp::new(&bank, "till-9", (key("till8.key"), key("till8.key")), Some("till"));
    let refreshed = renewed.refresh(&tokens.text("refresh_token")).await.text("access_token");
    let old = tokens.text("access_token");
    for (token, name) in [(&refreshed, "till"), (&old, "till8")] {
        let seen = bank.accounts_api().introspect(token).await;
        assert_eq!(seen.ok()["cnf"], json!({ "x5t#S256": thumbprint(name) }));
    }
    renewed.userinfo(&refreshed).await.ok();
    till.userinfo(&refreshed).await.refused(401, "invalid_token");
    till.userinfo(&old).await.ok();
    renewed.userinfo(&old).await.refused(401, "invalid_token");
    // The old certificate still serves: what the refresh token hangs on is the client.
    till.refresh(&tokens.text("refresh_token")).await.ok();
}

/// Whoever gets tokens while the refresh token is given back gets none that live on.
#[tokio::test]
async fn rev_2_4_no_access_token_slips_out_while_the_refresh_token_is_given_back() {
    let bank = wired(NOWHERE).await;
    let till = till9(&bank);
    let refresh_token = till.tokens().await.text("refresh_token");
    let refreshing = |request: &mut reqwest::Request| {
        let body = request.body().and_then(reqwest::Body::as_bytes).expect("a form");
        let body = String::from_utf8(body.to_vec()).expect("ASCII");
        let mut form: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        form.retain(|(name, _)| name.starts_with("client_assertion"));
        form.extend(
            [("grant_type", "refresh_token"), ("refresh_token", &refresh_token)].map(|(n, v)| (n.into(), v.into())),
        );
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        *request.body_mut() = Some(body.into());
    };
    let racing = Heard::all((0..16).map(|_| till.poll_http("x", refreshing)).collect());
    let (heard, revoked) = tokio::join!(racing, till.revoke(&refresh_token));
    assert_eq!(revoked.status, 200);
    for one in heard {
        match one.status {
            200 => assert!(!is_live(&bank, &one.text("access_token")).await),
            _ => one.refused(400, "invalid_grant"),
        }
    }
}
