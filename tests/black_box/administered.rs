//! What an operator does to the store, beside any server: a client that registered itself is out of service at once and everywhere, and what was asked and given ends.

use std::sync::Arc;

use countersign::clock::Clock;
use countersign::http::serve::Limits;
use countersign::secret::{Digest, Seeded};
use countersign::store::Store;
use countersign::store::administration::{Ended, Kind, Whose};
use countersign::store::backend::{Backend, Family, Key, Record, Step};
use countersign::store::memory::Memory;
use http::Method;
use serde_json::{Value, json};

use crate::bank::Bank;
use crate::heard::Heard;
use crate::registrant::{Registrant, with};
use crate::tpp::{CIBA, Tpp};
use crate::wired::{granted, is_live, switched_on, till9};

const ALL: &str = "openid accounts payments";
/// What the bank knows alice by.
const ALICE: &str = "alice-248289761001";

/// What registers well, for refresh tokens too.
fn metadata() -> Value {
    with("grant_types", json!([CIBA, "refresh_token"]))
}

/// A bank with everything on, and the store of its server without the server.
async fn open() -> (Bank, Store) {
    let mut beside = None;
    let on = |shipped: &str| switched_on(shipped, "https://localhost:1/ping");
    let bank = Bank::of(Limits::default(), on, |config, clock| {
        let memory: Arc<dyn Backend> = Arc::new(Memory::new(10_000, clock.clone()));
        let chance = Arc::new(Seeded::default());
        let store =
            Store::new((memory.clone(), None), config.clients.clone(), (config.profile.clone(), chance.clone()));
        beside = Some(store);
        config.server_on(memory, (clock, chance))
    })
    .await;
    (bank, beside.expect("made"))
}

/// Takes a registered client out of service or back, or has it forgotten; whether there was one.
async fn administer(store: &Store, (bank, client_id): (&Bank, &str), disabled: Option<bool>) -> bool {
    match store.registration(client_id).await.expect("it can be read") {
        Some(before) => store.administer(&before, disabled, bank.clock.now()).await.expect("it can be done"),
        None => false,
    }
}

/// What a client has asked for and was given.
struct Has {
    pending: String,
    approved: String,
    tokens: Heard,
}

impl Has {
    async fn of(bank: &Bank, till: &Tpp<'_>) -> Self {
        let ask = async || till.backchannel(|request| request.with("scope", ALL)).await.text("auth_req_id");
        let (pending, approved) = (ask().await, ask().await);
        assert_eq!(bank.approve(&approved).await.status, 204);
        Self { pending, approved, tokens: granted(bank, till, ALL).await }
    }

    fn access_token(&self) -> String {
        self.tokens.text("access_token")
    }

    fn refresh_token(&self) -> String {
        self.tokens.text("refresh_token")
    }
}

/// Whatever it tries, it is nobody, and what it has is nothing.
async fn is_out(bank: &Bank, registered: &Registrant<'_>, has: &Has) {
    let till = registered.tpp();
    for heard in [
        till.backchannel(|request| request).await,
        till.poll(&has.approved).await,
        till.poll(&has.pending).await,
        till.refresh(&has.refresh_token()).await,
        till.revoke(&has.access_token()).await,
        till.introspect(&has.access_token()).await,
    ] {
        heard.refused(401, "invalid_client");
    }
    assert!(!is_live(bank, &has.access_token()).await);
    till.userinfo(&has.access_token()).await.refused(401, "invalid_token");
    registered.read().await.refused(401, "invalid_token");
    registered.replace(&metadata()).await.refused(401, "invalid_token");
    Heard::of(registered.call(Method::DELETE, Some(&registered.token))).await.refused(401, "invalid_token");
}

#[tokio::test]
async fn a_registered_client_that_is_taken_out_of_service_is_nobody_until_it_is_taken_back() {
    let (bank, store) = open().await;
    let registered = Registrant::of(&bank, &metadata()).await;
    let has = Has::of(&bank, &registered.tpp()).await;
    let other = till9(&bank).tokens().await.text("access_token");
    assert!(administer(&store, (&bank, &registered.client_id), Some(true)).await);
    is_out(&bank, &registered, &has).await;
    assert!(is_live(&bank, &other).await, "those beside it are as they were");
    assert!(administer(&store, (&bank, &registered.client_id), Some(false)).await);
    assert!(is_live(&bank, &has.access_token()).await);
    registered.tpp().refresh(&has.refresh_token()).await.ok();
    registered.tpp().poll(&has.approved).await.ok();
    registered.replace(&metadata()).await.ok();
}

#[tokio::test]
async fn a_registered_client_that_is_removed_is_nobody_for_good() {
    let (bank, store) = open().await;
    let registered = Registrant::of(&bank, &metadata()).await;
    let has = Has::of(&bank, &registered.tpp()).await;
    assert!(administer(&store, (&bank, &registered.client_id), None).await);
    is_out(&bank, &registered, &has).await;
    let whose = Whose { client_id: Some(registered.client_id.clone()), sub: None };
    assert!(store.whatever_lives(&whose, bank.clock.now()).await.expect("it can be read").these.is_empty());
    for disabled in [Some(false), Some(true), None] {
        assert!(!administer(&store, (&bank, &registered.client_id), disabled).await);
    }
    is_out(&bank, &registered, &has).await;
    assert!(!administer(&store, (&bank, "till-9"), Some(true)).await, "the configuration has it");
}

#[tokio::test]
async fn a_client_cannot_undo_what_was_done_to_it_while_it_was_changing_itself() {
    let (bank, store) = open().await;
    let registered = Registrant::of(&bank, &metadata()).await;
    let before = store.registration(&registered.client_id).await.expect("it is there").expect("it is there");
    assert!(administer(&store, (&bank, &registered.client_id), Some(true)).await);
    // A change that was verified a moment before is put in its place now.
    assert!(store.replace(&before).await.is_err());
    assert!(store.unregister(&registered.client_id, bank.clock.now()).await.is_err());
    let after = store.registration(&registered.client_id).await.expect("it is there").expect("it is there");
    assert!(after.disabled);
    // And what an operator saw a moment before is not put over what the client has changed since.
    assert_eq!(store.administer(&before, None, bank.clock.now()).await, Ok(false));
}

#[tokio::test]
async fn everything_that_lives_is_found_and_nothing_else() {
    let (bank, store) = open().await;
    let now = || bank.clock.now();
    let has = Has::of(&bank, &till9(&bank)).await;
    bank.deny(&till9(&bank).backchannel(|request| request).await.text("auth_req_id")).await;
    let given_back = till9(&bank).tokens().await.text("access_token");
    assert_eq!(till9(&bank).revoke(&given_back).await.status, 200);
    let live = store.whatever_lives(&Whose::default(), now()).await.expect("it can be read").these;
    let mut of: Vec<(Kind, Digest)> = live.iter().map(|live| (live.kind, live.digest)).collect();
    of.retain(|(kind, _)| *kind != Kind::RefreshToken);
    of.sort_by_key(|(kind, _)| *kind);
    let digest = |text: &str| Digest::of(text.as_bytes());
    let expected = [
        (Kind::Pending, digest(&has.pending)),
        (Kind::Approved, digest(&has.approved)),
        (Kind::AccessToken, digest(&has.access_token())),
    ];
    assert_eq!(of, expected);
    for found in &live {
        assert_eq!((found.client_id.as_str(), found.sub.as_deref()), ("till-9", Some(ALICE)));
    }
    assert!(live.is_sorted_by_key(|live| live.since));
    bank.clock.advance(100 * 86_400);
    assert!(store.whatever_lives(&Whose::default(), now()).await.expect("it can be read").these.is_empty());
}

#[tokio::test]
async fn what_a_user_or_a_client_has_is_ended_and_nothing_of_others() {
    for (client, user) in [(Some("till-9"), None), (None, Some(ALICE)), (Some("till-9"), Some(ALICE))] {
        let (bank, store) = open().await;
        let registered = Registrant::of(&bank, &metadata()).await;
        let (mine, others) = (Has::of(&bank, &till9(&bank)).await, Has::of(&bank, &registered.tpp()).await);
        let stranger = Whose { client_id: client.map(str::to_owned), sub: Some("bob".into()) };
        assert_eq!(store.end_all(&stranger, bank.clock.now()).await, Ok((Ended::default(), Vec::new())));
        let whose = Whose { client_id: client.map(str::to_owned), sub: user.map(str::to_owned) };
        let (ended, _) = store.end_all(&whose, bank.clock.now()).await.expect("it can be");
        let each = if client.is_some() { 1 } else { 2 };
        assert_eq!((ended.requests, ended.access_tokens), (2 * each, each), "{client:?} {user:?}");
        let till = till9(&bank);
        till.poll(&mine.pending).await.refused(400, "access_denied");
        till.poll(&mine.approved).await.refused(400, "access_denied");
        assert_eq!(bank.approve(&mine.pending).await.status, 409);
        till.refresh(&mine.refresh_token()).await.refused(400, "invalid_grant");
        assert!(!is_live(&bank, &mine.access_token()).await);
        assert_eq!(is_live(&bank, &others.access_token()).await, client.is_some());
        if client.is_some() {
            registered.tpp().poll(&others.approved).await.ok();
            registered.tpp().refresh(&others.refresh_token()).await.ok();
        }
        till.tokens().await.ok();
        assert_eq!(store.end_all(&stranger, bank.clock.now()).await, Ok((Ended::default(), Vec::new())));
    }
}

#[tokio::test]
async fn a_token_is_ended_by_its_digest_and_with_a_refresh_token_what_came_of_it() {
    let (bank, store) = open().await;
    let (one, two) = (Has::of(&bank, &till9(&bank)).await, Has::of(&bank, &till9(&bank)).await);
    let end = async |token: &str| {
        let ended = store.end_token(Digest::of(token.as_bytes()), bank.clock.now()).await;
        ended.expect("it can be").map(|live| (live.kind, live.client_id))
    };
    assert_eq!(end(&one.access_token()).await, Some((Kind::AccessToken, "till-9".to_owned())));
    assert!(!is_live(&bank, &one.access_token()).await);
    assert!(is_live(&bank, &two.access_token()).await);
    till9(&bank).refresh(&one.refresh_token()).await.ok();
    assert_eq!(end(&two.refresh_token()).await, Some((Kind::RefreshToken, "till-9".to_owned())));
    till9(&bank).refresh(&two.refresh_token()).await.refused(400, "invalid_grant");
    assert!(!is_live(&bank, &two.access_token()).await);
    let live = store.whatever_lives(&Whose::default(), bank.clock.now()).await.expect("it can be read").these;
    let digests = [one.access_token(), two.access_token()].map(|token| Digest::of(token.as_bytes()));
    assert!(!live.iter().any(|live| digests.contains(&live.digest)), "what hangs on what is no more is not live");
    for gone in [one.access_token(), two.refresh_token(), "nothing".to_owned(), one.pending] {
        assert_eq!(end(&gone).await, None);
    }
}

#[tokio::test]
async fn registered_clients_are_listed_in_service_or_not_and_those_that_went_are_not() {
    let (bank, store) = open().await;
    let (one, two, three) = (
        Registrant::of(&bank, &metadata()).await,
        Registrant::of(&bank, &metadata()).await,
        Registrant::of(&bank, &metadata()).await,
    );
    assert_eq!(two.delete().await.status, 204);
    assert!(administer(&store, (&bank, &three.client_id), Some(true)).await);
    let mut listed: Vec<(String, bool)> = store
        .enrolled_clients()
        .await
        .expect("they can be read")
        .these
        .into_iter()
        .map(|it| (it.client_id, it.disabled))
        .collect();
    listed.sort();
    let mut expected = vec![(one.client_id.clone(), false), (three.client_id.clone(), true)];
    expected.sort();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn what_another_version_wrote_is_left_alone_and_named_and_the_rest_is_ended() {
    let mut memory = None;
    let bank = Bank::of(
        Limits::default(),
        |shipped| switched_on(shipped, "https://localhost:1/ping"),
        |config, clock| {
            let backend: Arc<dyn Backend> = Arc::new(Memory::new(10_000, clock.clone()));
            let chance = Arc::new(Seeded::default());
            let beside = (config.profile.clone(), chance.clone() as _);
            memory = Some((backend.clone(), Store::new((backend.clone(), None), config.clients.clone(), beside)));
            config.server_on(backend, (clock, chance))
        },
    )
    .await;
    let (backend, store) = memory.expect("made");
    let mine = Has::of(&bank, &till9(&bank)).await;
    let odd = [Family::Grant, Family::RefreshToken, Family::AccessToken]
        .map(|family| Key { family, digest: Digest::of(b"another version's") });
    for key in odd {
        let record = Record { bytes: b"2{\"new\":1}".to_vec(), sweep_at: bank.clock.now().plus(1_000) };
        backend.run(vec![Step::Insert(key, record)]).await.expect("it is put");
    }
    let whose = Whose { client_id: Some("till-9".into()), sub: None };
    let found = store.whatever_lives(&whose, bank.clock.now()).await.expect("it can be read");
    assert!(found.these.len() >= 3 && found.unread == odd, "{found:?}");
    let (ended, unread) = store.end_all(&whose, bank.clock.now()).await.expect("it can be");
    assert_eq!((ended.requests, ended.access_tokens, &unread[..]), (2, 1, &odd[..]));
    assert!(!is_live(&bank, &mine.access_token()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_what_was_approved_before_no_token_lives_however_the_race_went() {
    let mut handed_out = 0;
    for _ in 0..10 {
        let (bank, store) = open().await;
        let till = till9(&bank);
        let mut approved = Vec::new();
        for _ in 0..8 {
            let auth_req_id = till.backchannel(|request| request).await.text("auth_req_id");
            assert_eq!(bank.approve(&auth_req_id).await.status, 204);
            approved.push(auth_req_id);
        }
        let whose = Whose { client_id: Some("till-9".into()), sub: None };
        let collected = futures_util::future::join_all(approved.iter().map(|auth_req_id| till.poll(auth_req_id)));
        let (collected, ended) = tokio::join!(collected, store.end_all(&whose, bank.clock.now()));
        ended.expect("it can be");
        for heard in collected {
            if heard.status == 200 {
                handed_out += 1;
                assert!(!is_live(&bank, &heard.text("access_token")).await, "it was approved before");
            } else {
                // The approval was ended before the poll, or under its hands.
                let error = &heard.body["error"];
                assert!(heard.status == 400 && (error == "access_denied" || error == "invalid_grant"), "{heard:#?}");
            }
        }
    }
    assert!(handed_out < 80, "the race was never won by the operator");
}
