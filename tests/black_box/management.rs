//! A client's own endpoint (RFC 7592 §2): reading a registration and ending it, by the token that came with it and by nothing else.

use http::Method;
use serde_json::{Value, json};

use crate::bank::{Bank, client};
use crate::heard::Heard;
use crate::registrant::{Registrant, with};
use crate::tpp::altered;
use crate::wired::{metadata, register, registering, wired};

const METHODS: [Method; 3] = [Method::GET, Method::PUT, Method::DELETE];

async fn open() -> Bank {
    wired("https://localhost:1/ping").await
}

/// A call to `uri` with `token`; what it would put is fine.
fn call(uri: &str, method: &Method, token: Option<&str>) -> reqwest::RequestBuilder {
    let request = client(None).request(method.clone(), uri);
    let request = token.iter().fold(request, reqwest::RequestBuilder::bearer_auth);
    if *method != Method::PUT {
        return request;
    }
    let client_id = uri.rsplit('/').next().expect("one");
    request.header("content-type", "application/json").body(with("client_id", client_id).to_string())
}

#[track_caller]
fn refused(heard: &Heard) {
    heard.refused(401, "invalid_token");
    let challenge = &heard.headers["www-authenticate"];
    assert!(challenge == "Bearer" || challenge == "Bearer error=\"invalid_token\"", "{challenge:?}");
}

#[tokio::test]
async fn dcr_7592_5_a_client_reads_how_it_is_registered() {
    let bank = open().await;
    let created = register(&bank, &metadata(), None).await;
    let registrant = Registrant::new(&bank, &created);
    bank.clock.advance(60);
    for _ in 0..2 {
        let heard = registrant.read().await;
        assert_eq!(heard.ok(), &created.body, "nothing has changed, not the token either");
    }
    let with_certificate = client(Some("till")).get(&registrant.uri).bearer_auth(&registrant.token);
    assert_eq!(Heard::of(with_certificate).await.ok(), &created.body, "a certificate is neither here nor there");
}

#[tokio::test]
async fn dcr_7592_2_each_call_needs_the_registration_access_token_of_that_client() {
    let bank = open().await;
    let (one, other) = (Registrant::of(&bank, &metadata()).await, Registrant::of(&bank, &metadata()).await);
    let till = one.tpp();
    let access_token = till.tokens().await.text("access_token");
    let token = &one.token;
    let (longer, upper) = (format!("{token}A"), token.to_uppercase());
    for method in &METHODS {
        let wrong = [
            None,
            Some("wrong"),
            Some(other.token.as_str()),
            Some(&one.client_id),
            Some(&access_token),
            Some(&longer),
            Some(&upper),
        ];
        for wrong in wrong {
            println!("{method} {wrong:?}");
            refused(&Heard::of(call(&one.uri, method, wrong)).await);
        }
        refused(&Heard::of(call(&one.uri, method, None).basic_auth(&one.client_id, Some(token))).await);
        refused(&Heard::of(call(&one.uri, method, None).header("authorization", token)).await);
        refused(
            &Heard::of(call(&one.uri, method, Some(token)).header("authorization", format!("Bearer {token}"))).await,
        );
        let in_the_uri = altered(call(&one.uri, method, None), |request| {
            request.url_mut().set_query(Some(&format!("access_token={token}")));
        });
        Heard::of(in_the_uri).await.refused(400, "invalid_request");
    }
    assert_eq!(one.read().await.ok()["client_name"], "Registered shop");
    till.backchannel(|request| request).await.ok();
}

/// Nobody finds out which clients there are.
#[tokio::test]
async fn dcr_7592_3_unknown_deleted_and_foreign_clients_get_the_same_bytes() {
    let bank = open().await;
    let (one, gone) = (Registrant::of(&bank, &metadata()).await, Registrant::of(&bank, &metadata()).await);
    assert_eq!(gone.delete().await.status, 204);
    let place = |id: &str| format!("{}/register/{id}", bank.issuer);
    for method in &METHODS {
        let mut said = Vec::new();
        for (uri, token) in [
            (one.uri.clone(), None),
            (one.uri.clone(), Some("wrong")),
            (one.uri.clone(), Some(gone.token.as_str())),
            (gone.uri.clone(), Some(gone.token.as_str())),
            (gone.uri.clone(), None),
            (place(&"a".repeat(43)), Some(one.token.as_str())),
            (place("till-7"), Some(one.token.as_str())),
            (place("till-9"), None),
            (place("accounts-api"), Some("x")),
            (place("x"), Some(one.token.as_str())),
            (place(&format!("{}%41", &one.client_id[..42])), Some(one.token.as_str())),
        ] {
            println!("{method} {uri} {token:?}");
            let heard = Heard::of(call(&uri, method, token)).await;
            refused(&heard);
            let mut headers = heard.headers.clone();
            for each in ["date", "x-fapi-interaction-id"] {
                headers.remove(each);
            }
            said.push((token.is_some(), heard.text.clone(), headers));
        }
        // The challenge says whether there was a token, and nothing more.
        said.sort_by_key(|(shown, ..)| *shown);
        said.dedup();
        assert_eq!(said.len(), 2, "{said:#?}");
    }
    bank.tpp().backchannel(|request| request).await.ok();
}

/// Whose turn it is, is settled before anybody looks at what was sent.
#[tokio::test]
async fn dcr_7592_2_the_token_is_looked_at_before_the_metadata() {
    let bank = open().await;
    let one = Registrant::of(&bank, &metadata()).await;
    for body in ["", "junk", "{}"] {
        refused(&Heard::of(client(None).put(&one.uri).bearer_auth("wrong").body(body)).await);
        Heard::of(one.put(body.into())).await.refused(400, "invalid_client_metadata");
    }
}

#[tokio::test]
async fn dcr_7592_8_with_a_client_goes_all_it_was_given() {
    let bank = open().await;
    let grants = json!(["urn:openid:params:grant-type:ciba", "refresh_token"]);
    let registrant = Registrant::of(&bank, &with("grant_types", grants)).await;
    let till = registrant.tpp();
    let (pending, approved) = (till.auth_req_id().await, till.auth_req_id().await);
    assert_eq!(bank.approve(&approved).await.status, 204);
    let tokens = till.tokens().await;
    let (access_token, refresh_token) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let active = async || bank.accounts_api().introspect(&access_token).await.ok().clone();
    assert_eq!(active().await["active"], true);

    let gone = registrant.delete().await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    assert_eq!(gone.headers["cache-control"], "no-store");
    till.backchannel(|request| request).await.refused(401, "invalid_client");
    till.poll(&pending).await.refused(401, "invalid_client");
    till.poll(&approved).await.refused(401, "invalid_client");
    till.refresh(&refresh_token).await.refused(401, "invalid_client");
    till.revoke(&access_token).await.refused(401, "invalid_client");
    assert_eq!(active().await, json!({"active": false}));
    till.userinfo(&access_token).await.refused(401, "invalid_token");
    refused(&registrant.read().await);
    refused(&registrant.replace(&metadata()).await);
    refused(&registrant.delete().await);
    bank.clock.advance(600);
    refused(&registrant.read().await);
}

/// Another client with the same key does not inherit.
#[tokio::test]
async fn dcr_7592_8_what_was_given_to_a_client_that_is_gone_is_nobodys() {
    let bank = open().await;
    let gone = Registrant::of(&bank, &metadata()).await;
    let auth_req_id = gone.tpp().auth_req_id().await;
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    assert_eq!(gone.delete().await.status, 204);
    let heir = Registrant::of(&bank, &metadata()).await;
    heir.tpp().poll(&auth_req_id).await.refused(400, "invalid_grant");
}

/// What was registered while it was open is looked after by its own token, not by that of who may register.
#[tokio::test]
async fn dcr_7592_2_an_initial_access_token_manages_nobody() {
    let holders = "mode = \"initial_access_token\"\ninitial_access_tokens = \"PKI/initial.tokens\"";
    let bank = registering(holders).await;
    let initial = std::fs::read_to_string(crate::bank::pki().join("initial.tokens")).expect("there");
    let registrant = Registrant::new(&bank, &register(&bank, &metadata(), Some(initial.trim())).await);
    for method in &METHODS {
        refused(&Heard::of(call(&registrant.uri, method, Some(initial.trim()))).await);
    }
    let own = register(&bank, &metadata(), Some(&registrant.token)).await;
    refused(&own);
    registrant.read().await.ok();
    assert_eq!(registrant.replace(&metadata()).await.status, 200);
    assert_eq!(registrant.delete().await.status, 204);
}

#[tokio::test]
async fn dcr_7592_1_where_registration_is_closed_there_is_nobody_to_manage() {
    let bank = Bank::open().await;
    let uri = format!("{}/register/{}", bank.issuer, "a".repeat(43));
    for method in &METHODS {
        refused(&Heard::of(call(&uri, method, Some(&"b".repeat(43)))).await);
    }
    let body: Value = metadata();
    register(&bank, &body, None).await.refused(404, "not_found");
}
