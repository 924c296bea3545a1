//! A store that does not answer: 503 at every endpoint that needs it, nothing given out, and nothing lost when it answers again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use countersign::http::serve::Limits;
use countersign::secret::Seeded;
use countersign::store::backend::{Backend, Family, Key, Outcome, Step, Unavailable};
use countersign::store::memory::Memory;

use crate::bank::{Bank, client};
use crate::heard::Heard;
use crate::wired::{metadata, register, switched_on, till9};

/// Memory that can be away.
struct Fragile {
    memory: Memory,
    away: AtomicBool,
}

impl Fragile {
    fn there(&self) -> Result<&Memory, Unavailable> {
        if self.away.load(Ordering::SeqCst) { Err(Unavailable("it is away")) } else { Ok(&self.memory) }
    }
}

#[async_trait]
impl Backend for Fragile {
    async fn run(&self, steps: Vec<Step>) -> Result<Vec<Outcome>, Unavailable> {
        self.there()?.run(steps).await
    }

    async fn each(&self, family: Family, see: &mut (dyn FnMut(Key, Vec<u8>) + Send)) -> Result<(), Unavailable> {
        self.there()?.each(family, see).await
    }
}

async fn open() -> (Bank, Arc<Fragile>) {
    let mut fragile = None;
    let on = |shipped: &str| switched_on(shipped, "https://localhost:1/ping");
    let bank = Bank::of(Limits::default(), on, |config, clock| {
        let memory = Memory::new(10_000, clock.clone());
        let backend = fragile.insert(Arc::new(Fragile { memory, away: AtomicBool::new(false) })).clone();
        config.server_on(backend, (clock, Arc::new(Seeded::default())))
    })
    .await;
    (bank, fragile.expect("made"))
}

#[tokio::test]
async fn rev_2_7_without_the_store_nothing_is_said_to_be_revoked_or_given_out() {
    let (bank, store) = open().await;
    let till = till9(&bank);
    let registered = register(&bank, &metadata(), None).await;
    let (uri, token) = (&registered.body["registration_client_uri"], &registered.body["registration_access_token"]);
    let tokens = till.tokens().await;
    let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let pending = till.auth_req_id().await;
    assert_eq!(bank.approve(&pending).await.status, 204);
    let asked = bank.phone.prompts().len();
    store.away.store(true, Ordering::SeqCst);
    let manage = client(None).delete(uri.as_str().expect("a URL")).bearer_auth(token.as_str().expect("a token"));
    for heard in [
        till.backchannel(|request| request).await,
        till.poll(&pending).await,
        till.refresh(&refresh).await,
        till.revoke(&refresh).await,
        till.userinfo(&access).await,
        bank.accounts_api().introspect(&access).await,
        bank.deny(&pending).await,
        crate::wired::standing(&bank, "alice-248289761001", "locked").await,
        register(&bank, &metadata(), None).await,
        Heard::of(manage).await,
    ] {
        heard.refused(503, "temporarily_unavailable");
        assert_eq!(heard.headers["retry-after"], "5");
    }
    store.away.store(false, Ordering::SeqCst);
    assert_eq!(bank.phone.prompts().len(), asked, "nobody was asked");
    till.poll(&pending).await.ok();
    till.refresh(&refresh).await.ok();
    till.userinfo(&access).await.ok();
    assert_eq!(till.revoke(&refresh).await.status, 200);
    till.refresh(&refresh).await.refused(400, "invalid_grant");
}
