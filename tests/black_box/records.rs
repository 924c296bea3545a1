//! What lies in the store: nothing that opens anything, and no client that was deleted, however the race went.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::http::serve::Limits;
use countersign::secret::{Digest, Seeded};
use countersign::store::backend::{Backend, Family, Key, Outcome, Step, Unavailable};
use countersign::store::memory::Memory;
use http::Method;
use serde_json::json;
use tokio::sync::Barrier;

use crate::bank::{Bank, pki};
use crate::heard::Heard;
use crate::registrant::{Registrant, changed, with};
use crate::wired::{metadata, register, switched_on};

/// A memory that keeps a copy of all that was ever put in it, and in which those who look at a client may be made to wait for each other.
struct Watched {
    memory: Memory,
    seen: Mutex<Vec<(Family, Vec<u8>)>>,
    meetings: Mutex<Vec<Arc<Barrier>>>,
    looks: Mutex<usize>,
}

impl Watched {
    fn note(&self, step: &Step) {
        let (key, bytes) = match step {
            Step::Insert(key, record) | Step::Swap(key, _, record) => (key, &record.bytes),
            Step::Exchange(key, bytes) => (key, bytes),
            Step::Post(parcel, ..) => return self.noted(Family::Grant, parcel),
            Step::Load(_) | Step::Hold(..) | Step::CrossOut(_) | Step::TakeOver { .. } => return,
        };
        self.noted(key.family, bytes);
    }

    fn noted(&self, family: Family, bytes: &[u8]) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push((family, bytes.to_owned()));
    }

    /// All records of all time that contain `text`.
    fn with(&self, text: &str) -> Vec<Family> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let contains = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        seen.iter().filter(|(_, bytes)| contains(bytes)).map(|(family, _)| *family).collect()
    }

    /// The next `runners` looks at a client wait for each other, and so do the `runners` after them: the gate looks once, and the store.
    fn gather(&self, runners: usize) {
        *self.looks.lock().unwrap_or_else(PoisonError::into_inner) = 0;
        *self.meetings.lock().unwrap_or_else(PoisonError::into_inner) =
            (0..2).flat_map(|_| std::iter::repeat_n(Arc::new(Barrier::new(runners)), runners)).collect();
    }

    fn meeting(&self) -> Option<Arc<Barrier>> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        *looks += 1;
        self.meetings.lock().unwrap_or_else(PoisonError::into_inner).get(*looks - 1).cloned()
    }
}

#[async_trait]
impl Backend for Watched {
    async fn run(&self, steps: Vec<Step>) -> Result<Vec<Outcome>, Unavailable> {
        for step in &steps {
            self.note(step);
        }
        let looks = steps.iter().any(|step| matches!(step, Step::Load(key) if key.family == Family::Client));
        let outcomes = self.memory.run(steps).await;
        if looks && let Some(meeting) = self.meeting() {
            meeting.wait().await;
        }
        outcomes
    }

    async fn each(&self, family: Family, see: &mut (dyn FnMut(Key, Vec<u8>) + Send)) -> Result<(), Unavailable> {
        self.memory.each(family, see).await
    }
}

/// A bank with everything on, whose server has such a memory; `mode` says who may register.
async fn open(mode: &str) -> (Bank, Arc<Watched>) {
    let mut watched = None;
    let mode = mode.replace("PKI", pki().to_str().expect("UTF-8"));
    let edit = |shipped: &str| switched_on(shipped, "https://localhost:1/ping").replace("mode = \"open\"", &mode);
    let bank = Bank::of(Limits::default(), edit, |config, clock| {
        let memory = Memory::new(10_000, clock.clone());
        let (seen, meetings, looks) = Default::default();
        let backend = watched.insert(Arc::new(Watched { memory, seen, meetings, looks })).clone();
        config.server_on(backend, (clock, Arc::new(Seeded::default())))
    })
    .await;
    (bank, watched.expect("made"))
}

#[tokio::test]
async fn dcr_7592_9_no_record_holds_a_secret_only_digests_of_them() {
    const TOKEN: &str = "8d67dc78-7faa-4d41-aabd-67707b374255";
    let (bank, watched) = open("mode = \"initial_access_token\"\ninitial_access_tokens = \"PKI/initial.tokens\"").await;
    let initial = std::fs::read_to_string(pki().join("initial.tokens")).expect("there").trim().to_owned();
    let pinged = changed(|metadata| {
        metadata["grant_types"] = json!(["urn:openid:params:grant-type:ciba", "refresh_token"]);
        metadata["backchannel_token_delivery_mode"] = json!("ping");
        metadata["backchannel_client_notification_endpoint"] = json!("https://localhost:1/ping");
        metadata["backchannel_user_code_parameter"] = json!(true);
    });
    let registrant = Registrant::new(&bank, &register(&bank, &pinged, Some(&initial)).await);
    registrant.read().await.ok();
    registrant.replace(&pinged).await.ok();
    let till = registrant.tpp();
    let assertion = till.assertion();
    let asked = till
        .backchannel_call(|call| {
            let call = call.assertion(|_| assertion.clone());
            call.request(|r| r.with("client_notification_token", TOKEN).with("user_code", "code-of-alice-4711"))
        })
        .await;
    let auth_req_id = asked.text("auth_req_id");
    till.poll(&auth_req_id).await.refused(400, "authorization_pending");
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    let tokens = till.poll(&auth_req_id).await;
    let (access_token, refresh_token) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let renewed = till.refresh(&refresh_token).await.text("access_token");
    till.userinfo(&renewed).await.ok();
    assert_eq!(till.revoke(&refresh_token).await.status, 200);

    let digest = |secret: &str| Digest::of(secret.as_bytes()).to_string();
    assert_eq!(
        watched.with("Registered shop"),
        [Family::Client; 2],
        "it is watched, at first and when it was replaced"
    );
    assert_eq!(watched.with(&digest(&registrant.token)), [Family::Client; 2], "and a digest is what is kept");
    assert!(watched.with(&digest(&refresh_token)).contains(&Family::AccessToken));
    assert!(watched.with("\"notify\":\"").contains(&Family::Grant), "the token for pings lies there sealed");
    let jwts = [assertion.finish(), tokens.text("id_token")];
    let of_user = ["code-of-alice-4711".to_owned()];
    let secrets = [registrant.token, auth_req_id, access_token, refresh_token, renewed, TOKEN.into(), initial];
    for secret in secrets.into_iter().chain(jwts).chain(of_user) {
        for written in [secret.clone(), URL_SAFE_NO_PAD.encode(&secret)] {
            assert_eq!(watched.with(&written), [], "{written}");
        }
    }
}

#[tokio::test]
async fn dcr_7592_8_a_replacement_that_races_a_deletion_never_brings_the_client_back() {
    const RUNNERS: usize = 8;
    let (bank, watched) = open("mode = \"open\"").await;
    for deletes_at in 0..RUNNERS {
        let registrant = Registrant::of(&bank, &metadata()).await;
        let calls = (0..RUNNERS).map(|at| {
            if at == deletes_at {
                registrant.call(Method::DELETE, Some(&registrant.token))
            } else {
                registrant.put(registrant.named(&with("client_name", format!("Shop {at}"))).to_string())
            }
        });
        watched.gather(RUNNERS);
        let heard = Heard::all(calls.collect()).await;
        assert_eq!(Heard::count(&heard, 204, None), 1, "{heard:#?}");
        let (replaced, late) = (Heard::count(&heard, 200, None), Heard::count(&heard, 401, Some("invalid_token")));
        assert_eq!(replaced + late, RUNNERS - 1, "{heard:#?}");
        registrant.read().await.refused(401, "invalid_token");
        registrant.tpp().backchannel(|request| request).await.refused(401, "invalid_client");
    }
}

#[tokio::test]
async fn dcr_7592_8_of_many_deletions_at_once_one_is_answered_with_204() {
    const RUNNERS: usize = 12;
    let (bank, watched) = open("mode = \"open\"").await;
    let registrant = Registrant::of(&bank, &metadata()).await;
    watched.gather(RUNNERS);
    let calls = (0..RUNNERS).map(|_| registrant.call(Method::DELETE, Some(&registrant.token)));
    let heard = Heard::all(calls.collect()).await;
    assert_eq!(Heard::count(&heard, 204, None), 1, "{heard:#?}");
    assert_eq!(Heard::count(&heard, 401, Some("invalid_token")), RUNNERS - 1, "{heard:#?}");
}

/// Whatever raced, the first registration is what bounds the client.
#[tokio::test]
async fn dcr_7592_7_replacements_that_race_each_other_widen_nothing() {
    const RUNNERS: usize = 8;
    let (bank, watched) = open("mode = \"open\"").await;
    let registrant = Registrant::of(&bank, &with("scope", "openid accounts")).await;
    let scopes = ["openid", "openid accounts", "openid accounts payments", "openid payments"];
    let calls = (0..RUNNERS).map(|at| registrant.put(registrant.named(&with("scope", scopes[at % 4])).to_string()));
    // Half of them do not get as far as the store.
    watched.gather(RUNNERS);
    watched.meetings.lock().unwrap_or_else(PoisonError::into_inner).truncate(RUNNERS);
    let heard = Heard::all(calls.collect()).await;
    assert_eq!(Heard::count(&heard, 200, None), RUNNERS / 2, "{heard:#?}");
    assert_eq!(Heard::count(&heard, 400, Some("invalid_client_metadata")), RUNNERS / 2, "{heard:#?}");
    let scope = registrant.read().await.ok()["scope"].clone();
    assert!(scopes[..2].iter().any(|allowed| scope == *allowed), "{scope}");
    registrant.replace(&with("scope", "openid payments")).await.refused(400, "invalid_client_metadata");
}
