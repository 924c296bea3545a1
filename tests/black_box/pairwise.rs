//! Pairwise names (OpenID Connect Core §8, CIBA §4): who a user is to one sector says nothing to another, and the bank is asked about the user.

use countersign::wire::bank::Identified;

use crate::bank::{Bank, certificates, key, pkcs8, pki};
use crate::teller::{Teller, ok};
use crate::token::payload;
use crate::tpp::Tpp;
use crate::wired::{till9, wired_with};

const NOWHERE: &str = "https://localhost:1/ping";
const ALICE: &str = "alice-248289761001";
/// What a client whose keys are at localhost says to be known as one of elsewhere.
const ELSEWHERE: &str = "sector_identifier_uri = \"https://shop.example/sector\"\n";

/// A server with pairwise clients, and where their keys are.
struct Pairwise {
    bank: Bank,
    _keys: Teller,
}

impl Pairwise {
    /// Till 21 and till 22 are of one sector, till 23 is of another.
    async fn open() -> Self {
        let jwks = std::fs::read_to_string(pki().join("till8.jwks.json")).expect("it is there");
        let keys = Teller::open((certificates("bank"), pkcs8("bank.key").into()), ok(&jwks)).await;
        let entries: String = [("till-21", ""), ("till-22", ""), ("till-23", ELSEWHERE)]
            .map(|(client_id, sector)| entry(client_id, &keys.url) + sector)
            .concat();
        let bank = wired_with(NOWHERE, |on| format!("{on}{entries}")).await;
        Self { bank, _keys: keys }
    }

    fn till(&self, client_id: &str) -> Tpp<'_> {
        Tpp::new(&self.bank, client_id, (key("till8.key"), key("till8.key")), Some("till8"))
    }

    /// Who alice is to `client_id`.
    async fn alice(&self, client_id: &str) -> String {
        sub(&self.till(client_id).tokens().await.text("id_token"))
    }
}

fn entry(client_id: &str, jwks_uri: &str) -> String {
    let entry = r#"
[[clients]]
client_id = "ID"
client_name = "Corner Shop, online"
jwks_uri = "URI"
token_endpoint_auth_method = "private_key_jwt"
token_endpoint_auth_signing_alg = "ES256"
backchannel_authentication_request_signing_alg = "ES256"
id_token_signed_response_alg = "ES256"
backchannel_token_delivery_mode = "poll"
grant_types = ["urn:openid:params:grant-type:ciba", "refresh_token"]
subject_type = "pairwise"
scope = "openid accounts"
"#;
    entry.replace("ID", client_id).replace("URI", jwks_uri)
}

fn sub(id_token: &str) -> String {
    payload(id_token)["sub"].as_str().expect("a string").to_owned()
}

#[tokio::test]
async fn oidc_8_a_pairwise_client_knows_a_user_by_one_name_that_is_not_the_banks() {
    let pairwise = Pairwise::open().await;
    let till = pairwise.till("till-21");
    let tokens = till.tokens().await;
    let name = sub(&tokens.text("id_token"));
    assert!(!name.contains("alice") && name.is_ascii() && name.len() <= 255, "{name}");
    assert_eq!(pairwise.alice("till-21").await, name);
    assert_eq!(till.userinfo(&tokens.text("access_token")).await.ok()["sub"], name.as_str());
    pairwise.bank.clock.advance(1_000);
    let refreshed = till.refresh(&tokens.text("refresh_token")).await;
    assert_eq!(sub(&refreshed.text("id_token")), name);
    assert_eq!(till.userinfo(&refreshed.text("access_token")).await.ok()["sub"], name.as_str());
}

#[tokio::test]
async fn oidc_8_another_sector_another_name() {
    let pairwise = Pairwise::open().await;
    let (one, same, other) =
        (pairwise.alice("till-21").await, pairwise.alice("till-22").await, pairwise.alice("till-23").await);
    assert_eq!(one, same);
    assert_ne!(one, other);
    assert!(!other.contains("alice"));
    assert_eq!(
        sub(&till9(&pairwise.bank).tokens().await.text("id_token")),
        ALICE,
        "to a public client all is as it was"
    );
}

#[tokio::test]
async fn oidc_8_another_user_another_name() {
    let pairwise = Pairwise::open().await;
    let bank = &pairwise.bank;
    bank.phone.knows("carol", Identified::Known { sub: "alice-248289761002".into() });
    let till = pairwise.till("till-21");
    let asked = till.backchannel(|request| request.with("login_hint", "carol")).await.text("auth_req_id");
    let yes = serde_json::json!({"auth_req_id": asked, "decision": "approve", "sub": "alice-248289761002"});
    assert_eq!(bank.decide(&yes).await.status, 204);
    assert_ne!(sub(&till.poll(&asked).await.text("id_token")), pairwise.alice("till-21").await);
}

#[tokio::test]
async fn oidc_8_the_bank_and_its_apis_know_a_user_as_they_always_do() {
    let pairwise = Pairwise::open().await;
    let token = pairwise.till("till-21").tokens().await.text("access_token");
    let seen = pairwise.bank.accounts_api().introspect(&token).await;
    assert_eq!(seen.ok()["sub"], ALICE);
    assert_eq!(pairwise.bank.phone.prompts()[0]["sub"], ALICE);
}

#[tokio::test]
async fn ciba_7_1_22_by_a_pairwise_name_in_an_id_token_hint_the_bank_is_asked_about_the_user() {
    let pairwise = Pairwise::open().await;
    let bank = &pairwise.bank;
    let till = pairwise.till("till-21");
    let id_token = till.tokens().await.text("id_token");
    let hinting = async |till: &Tpp<'_>, hint: &str| {
        till.backchannel(|request| request.without("login_hint").with("id_token_hint", hint)).await
    };
    // The bank is asked about the sub; it knows nobody of that name until it is told.
    hinting(&till, &id_token).await.refused(400, "unknown_user_id");
    bank.phone.knows(ALICE, Identified::Known { sub: ALICE.into() });
    let before = bank.phone.prompts().len();
    hinting(&till, &id_token).await.ok();
    assert_eq!(bank.phone.prompts()[before]["sub"], ALICE);
    // A token is a hint to the client it was given to, of one sector or not.
    for other in ["till-22", "till-23"] {
        hinting(&pairwise.till(other), &id_token).await.refused(400, "invalid_request");
    }
    hinting(&till9(bank), &id_token).await.refused(400, "invalid_request");
    assert_eq!(bank.phone.prompts().len(), before + 1);
}

#[tokio::test]
async fn oidc_8_the_name_in_a_login_hint_is_nobodys() {
    let pairwise = Pairwise::open().await;
    let name = pairwise.alice("till-21").await;
    let heard = pairwise.till("till-21").backchannel(|request| request.with("login_hint", name)).await;
    heard.refused(400, "unknown_user_id");
}

#[tokio::test]
async fn oidc_8_a_sub_whose_pairwise_name_would_be_too_long_is_not_asked() {
    let pairwise = Pairwise::open().await;
    let bank = &pairwise.bank;
    // 16 bytes longer, and a third more of base64url: 175 make 255, and 176 one more than that.
    for (length, status) in [(175, 200), (176, 503)] {
        let sub = "x".repeat(length);
        bank.phone.knows("dora", Identified::Known { sub: sub.clone() });
        let before = bank.phone.prompts().len();
        let heard = pairwise.till("till-21").backchannel(|request| request.with("login_hint", "dora")).await;
        assert_eq!(heard.status, status, "{heard:#?}");
        assert_eq!(bank.phone.prompts().len() - before, usize::from(status == 200));
        till9(bank).backchannel(|request| request.with("login_hint", "dora")).await.ok();
    }
}
