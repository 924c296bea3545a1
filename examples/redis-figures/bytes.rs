//! How many bytes of Redis a record takes: of pending requests that were made at `/bc-authorize`, and of copies of everything else.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use countersign::clock::{Clock, System};
use countersign::secret::Digest;
use countersign::store::backend::{Backend, Family, Key, Outcome, Record, Step};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::servers::Stage;
use crate::till::{PING, POLL, keys};
use crate::{Told, progress};

/// Calls under way at once, and steps that travel together.
const AT_ONCE: u32 = 32;
pub(crate) const STEPS: usize = 1_000;

/// What a request puts into Redis: itself, when it was polled, and two spent ids.
const KEYS: u32 = 4;

/// The bytes that a pending request may take.
const LIMIT: u64 = 1_300;

/// Prints the table, and leaves `count` pending requests behind. Each user of those is of the number of the place.
pub(crate) async fn measure(stage: &Stage, count: u32) -> Told<Vec<String>> {
    println!("\nbytes of Redis, each {:>44}", "with its key, its share of the tables, its TTL");
    let row = |what: &str, bytes: u64| println!("  {what:<42}{bytes:>8}");
    let (access, refresh) = tokens(stage).await?;
    let copies = count * KEYS;
    let spent = copied(stage, (Family::Spent, Vec::new()), copies).await?;
    row("spent id", spent);
    row("access token", copied(stage, (Family::AccessToken, access), copies).await?);
    row("refresh token", copied(stage, (Family::RefreshToken, refresh), copies).await?);
    let mut pending = Vec::new();
    for (client_id, what) in [(PING, "pending request, ping"), (POLL, "pending request, poll")] {
        stage.flush().await?;
        let before = stage.used_memory().await?;
        pending = make(stage, client_id, count).await?;
        let whole = stage.used_memory().await?.saturating_sub(before) / u64::from(count);
        let alone = whole.saturating_sub(2 * spent);
        row(&format!("{what}, with its 2 spent ids"), whole);
        row(&format!("{what}, without"), alone);
        println!("  {:<42}{}", "", if alone <= LIMIT { "within 1300" } else { "MORE THAN 1300" });
    }
    Ok(pending)
}

/// Puts `count` copies of the record into an empty Redis.
async fn copied(stage: &Stage, (family, bytes): (Family, Vec<u8>), count: u32) -> Told<u64> {
    stage.flush().await?;
    let before = stage.used_memory().await?;
    let sweep_at = System.now().plus(1_200);
    let step = |n: u32| {
        let key = Key { family, digest: Digest::of(&n.to_be_bytes()) };
        Step::Insert(key, Record { bytes: bytes.clone(), sweep_at })
    };
    put(stage, (0..count).map(step)).await?;
    Ok(stage.used_memory().await?.saturating_sub(before) / u64::from(count))
}

/// Puts what is put nowhere yet, many steps a trip, and has it on the disk before the next call waits for that.
pub(crate) async fn put(stage: &Stage, steps: impl Iterator<Item = Step>) -> Told<()> {
    let fsync = stage.appendfsync().await?;
    stage.set_appendfsync("no").await?;
    let mut steps = steps.peekable();
    while steps.peek().is_some() {
        let trip: Vec<Step> = steps.by_ref().take(STEPS).collect();
        let mut tries = 0;
        // A disk that has so much to write may take longer than a trip has; what it had carried out by then lies where it should.
        loop {
            match stage.backend.run(trip.clone()).await {
                Ok(outcomes) if tries > 0 || outcomes.iter().all(|outcome| *outcome == Outcome::Done(true)) => break,
                Ok(_) => return Err("something lay where a copy was to go".into()),
                Err(late) if tries == 20 => return Err(late.into()),
                Err(_) => tries += 1,
            }
            sleep(Duration::from_millis(500)).await;
        }
    }
    Command::new("sync").status()?;
    stage.set_appendfsync(&fsync).await
}

/// The record at `key`.
pub(crate) async fn found(stage: &Stage, key: Key) -> Told<Vec<u8>> {
    match stage.backend.run(vec![Step::Load(key)]).await?.pop() {
        Some(Outcome::Found(Some(bytes))) => Ok(bytes),
        _ => Err("a record is not where it should be".into()),
    }
}

/// The records of an access token and of a refresh token that were handed out.
async fn tokens(stage: &Stage) -> Told<(Vec<u8>, Vec<u8>)> {
    let till = &stage.till;
    let auth_req_id = till.auth_req_id(POLL, 0).await?;
    till.make(till.decide(&auth_req_id, 0)).await?;
    let answer = till.make(till.redeem(&auth_req_id)?).await?;
    let digest =
        |name: &str| answer[name].as_str().map(|token| Digest::of(token.as_bytes())).ok_or("a token is missing");
    let access = Key { family: Family::AccessToken, digest: digest("access_token")? };
    let refresh = Key { family: Family::RefreshToken, digest: digest("refresh_token")? };
    Ok((found(stage, access).await?, found(stage, refresh).await?))
}

/// Has `count` requests made, and says their ids.
async fn make(stage: &Stage, client_id: &'static str, count: u32) -> Told<Vec<String>> {
    progress(&format!("{count} requests by the client {client_id}"));
    let next = Arc::new(AtomicU32::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (till, next) = (stage.till.clone(), next.clone());
        callers.spawn(async move {
            let mut made = Vec::new();
            loop {
                let user = next.fetch_add(1, Ordering::Relaxed);
                if user >= count {
                    return Told::Ok(made);
                }
                if user > 0 && user % 10_000 == 0 {
                    progress(&format!("{user} of {count}"));
                }
                made.push((user, till.auth_req_id(client_id, user).await?));
            }
        });
    }
    let mut made = Vec::new();
    while let Some(by_one) = callers.join_next().await {
        made.extend(by_one??);
    }
    made.sort_unstable();
    Ok(made.into_iter().map(|(_, auth_req_id)| auth_req_id).collect())
}

/// The record of a pending request, and that of its polls.
pub(crate) async fn pending(stage: &Stage) -> Told<[Vec<u8>; 2]> {
    let [grant, pace] = keys(&stage.till.auth_req_id(POLL, 0).await?);
    Ok([found(stage, grant).await?, found(stage, pace).await?])
}
