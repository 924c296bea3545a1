//! Whether a call gets dearer as requests pile up. What is piled up are copies of a real request, under ids of their own.

use std::time::Duration;

use countersign::clock::{Clock, Stopwatch, System};
use countersign::secret::Digest;
use countersign::store::backend::{Record, Step};

use crate::bytes::{pending, put};
use crate::servers::{Spent, Stage};
use crate::till::{Call, POLL, keys};
use crate::{Told, progress};

/// Calls of a kind at each size, one after the other.
const CALLS: u32 = 1_000;

/// What a call costs: time on a processor, and until it is answered.
struct Cost {
    redis: Duration,
    server: Duration,
    wall: Duration,
}

/// Prints the table, for up to `largest` pending requests.
pub(crate) async fn measure(stage: &Stage, largest: u32) -> Told<()> {
    println!(
        "\nmicroseconds a call, and as a multiple of the first row: on a processor for Redis, for the server; until the answer"
    );
    println!("  {:>9}  {:<13}{:>16}{:>16}{:>16}", "pending", "call", "Redis", "server", "answer");
    let sizes = [1_000, 100, 10, 1].map(|part| largest / part);
    let mut firsts: [Option<Cost>; 2] = [None, None];
    let mut there = 0;
    // What is only run through is not counted: connections are made, caches warm.
    let warm = ask(stage, CALLS.min(largest), |user| stage.till.authorize(POLL, user)).await;
    warm?;
    for size in sizes.into_iter().filter(|size| *size > 0) {
        progress(&format!("{size} pending requests"));
        copy(stage, there, size).await?;
        there = size;
        let calls = CALLS.min(size);
        // The copies on top, which nobody has polled: a first poll is never too fast.
        let polls = ask(stage, calls, |n| stage.till.poll(&id(size - 1 - n))).await?;
        let requests = ask(stage, calls, |user| stage.till.authorize(POLL, user)).await?;
        for ((what, cost), first) in [("pending poll", polls), ("bc-authorize", requests)].into_iter().zip(&mut firsts)
        {
            let first = first.get_or_insert(Cost { ..cost });
            let cell = |of: fn(&Cost) -> Duration| {
                format!("{} ×{:.2}", of(&cost).as_micros(), of(&cost).div_duration_f64(of(first)))
            };
            let cells = [cell(|cost| cost.redis), cell(|cost| cost.server), cell(|cost| cost.wall)];
            println!("  {size:>9}  {what:<13}{:>16}{:>16}{:>16}", cells[0], cells[1], cells[2]);
        }
    }
    Ok(())
}

/// What each of `count` calls costs, made one after the other; they are signed before.
async fn ask(stage: &Stage, count: u32, call: impl Fn(u32) -> Told<Call>) -> Told<Cost> {
    let calls: Vec<Call> = (0..count).map(call).collect::<Result<_, _>>()?;
    let (before, watch) = (stage.spent()?, Stopwatch::start());
    for call in calls {
        stage.till.make(call).await?;
    }
    let wall = watch.elapsed() / count;
    let Spent { redis, server } = stage.spent()?.since(before);
    Ok(Cost { redis: redis / count, server: server / count, wall })
}

/// Copies a request that was just made to the ids from `first` on, up to `end`.
async fn copy(stage: &Stage, first: u32, end: u32) -> Told<()> {
    let records = pending(stage).await?;
    let sweep_at = System.now().plus(1_200);
    let steps = (first..end).flat_map(|n| {
        let put = |(key, bytes): (_, &Vec<u8>)| Step::Insert(key, Record { bytes: bytes.clone(), sweep_at });
        keys(&id(n)).into_iter().zip(&records).map(put).collect::<Vec<_>>()
    });
    put(stage, steps).await
}

/// The id of a copy, of the form that ids have.
fn id(n: u32) -> String {
    Digest::of(&n.to_be_bytes()).to_string()
}
