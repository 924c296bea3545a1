//! What is not one kind of call, one after the other: the echo, handshakes, the tail at half load, and the start.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use countersign::clock::Stopwatch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Told;
use crate::bounds::{Bounds, together};
use crate::course::{Approves, Course, Measured};
use crate::load::{LANES, Lanes, Load};
use crate::row::{Row, median};
use crate::stage::{Process, Stage, Variant};
use crate::till::{Call, ISSUED, Kind, PENDING, Till};

/// How long a start may take.
const START_MS: f64 = 200.0;
/// What an idle server may keep.
const IDLE_MB: f64 = 20.0;
/// How many processes of the echo are asked.
const ECHOES: usize = 3;
/// How many times as long as of the echo, asked as often, the p99 may be.
const TAIL: f64 = 3.0;
/// How long a server idles before its memory is looked at.
const IDLE: Duration = Duration::from_secs(1);

/// Of twenty calls at half load, so many are polls, requests and exchanges.
const MIX: [usize; 3] = [16, 3, 1];

/// What stands in for a poll where nobody looks at it.
fn calls(count: usize) -> Vec<Call> {
    let (url, body) = ("https://localhost/token".to_owned(), Bytes::from_static(&[b'x'; 256]));
    let call = Call { url, content_type: "application/x-www-form-urlencoded", body, proof: None, right: PENDING };
    vec![call; count]
}

/// The echo, as one to measure.
async fn echoing(stage: &Stage) -> Told<(Process, Course)> {
    let (echo, way) = stage.echo().await?;
    let till = Till::open(Kind::Mtls, &stage.certs, (nowhere(), None))?;
    let pid = Some(echo.pid());
    Ok((echo, Course { till, way, approves: Approves::Nobody, pid, metrics: None, cores: stage.cores }))
}

/// How many calls a second the echo answers: the median of several processes, since where one happens to lie in memory makes a difference of a sixth.
pub(crate) async fn echo(stage: &Stage, bounds: Bounds, count: usize) -> Told<Bounds> {
    let mut rates = Vec::new();
    for _ in 0..ECHOES {
        let (_echo, course) = echoing(stage).await?;
        let mut lanes = Lanes::open(&course.way).await?;
        lanes.make(calls(count.div_ceil(10))).await?;
        let (measured, _) = course.measured(count, lanes.make(calls(count))).await?;
        rates.push(measured.per_cpu_second().ok_or("the echo is a process of this machine")?);
    }
    Ok(Bounds { echo: median(rates).ok_or("there was no echo")?, ..bounds })
}

/// The p99 of the echo at `rate` calls a second, in milliseconds.
async fn echo_p99(stage: &Stage, (count, rate): (usize, f64)) -> Told<f64> {
    let (_echo, course) = echoing(stage).await?;
    let mut lanes = Lanes::open(&course.way).await?;
    let (measured, _) = course.measured(count, lanes.make_at(calls(count), rate)).await?;
    measured.percentile(99).ok_or_else(|| "there was no call".into())
}

fn nowhere() -> crate::till::Places {
    let nowhere = String::new;
    crate::till::Places { issuer: nowhere(), backchannel: nowhere(), token: nowhere() }
}

/// How many calls `rate` a second are in `time`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand")]
fn times(rate: f64, time: Duration) -> usize {
    (rate * time.as_secs_f64()) as usize
}

/// A connection for each of `count` polls, by a client that authenticates with its certificate.
pub(crate) async fn handshakes(stage: &Stage, bounds: &Bounds, count: usize) -> Told<Row> {
    let running = stage.serve(Variant::PLAIN).await?;
    let till = Till::open(Kind::Mtls, &stage.certs, (running.places.clone(), None))?;
    let course = Course::of(&running, till, stage.cores);
    let ids = course.open(count).await?;
    let polls = course.signed(count, |user| course.till.token(&ids[user], (PENDING, None)))?;
    let left = Arc::new(Mutex::new(polls.into_iter()));
    let connecting = async {
        let mut running = JoinSet::new();
        for _ in 0..LANES {
            let (left, way) = (left.clone(), course.way.clone());
            running.spawn(async move {
                let mut took = Vec::new();
                loop {
                    let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(poll) = next else { return Told::Ok(took) };
                    let begun = Stopwatch::start();
                    way.lane().await?.make(poll).await?;
                    took.push(begun.elapsed());
                }
            });
        }
        let mut load = Load::default();
        while let Some(ended) = running.join_next().await {
            load.took.extend(ended??);
        }
        Ok(load)
    };
    let (measured, _) = course.measured(count, connecting).await?;
    Ok(Row::of("handshake-mtls".to_owned(), &measured, (Some(bounds.handshake), Some(0.50))))
}

/// Polls, requests and exchanges, mixed, half as many a second as the server can answer, for so long: whatever became of those before.
pub(crate) async fn tail(stage: &Stage, (rates, time): ([f64; 3], Duration)) -> Told<Row> {
    let whole = MIX.iter().sum::<usize>();
    #[expect(clippy::cast_precision_loss, reason = "twenty")]
    let mixed = together(&[0, 1, 2].map(|at| rates[at] * whole as f64 / MIX[at] as f64));
    let half = mixed / 2.0;
    let count = times(half, time);
    let running = stage.serve(Variant::PLAIN).await?;
    let till = Till::open(Kind::Es256, &stage.certs, (running.places.clone(), None))?;
    let course = Course::of(&running, till, stage.cores);
    // One for each call: a first poll is never too fast.
    let exchanges = count.div_ceil(whole);
    let ids = course.open(exchanges + count).await?;
    let (approved, pending) = ids.split_at(exchanges);
    course.approve(approved).await?;
    let calls = course.signed(count, |at| match at % whole {
        0 => course.till.token(&approved[at / whole], (ISSUED, None)),
        1..=3 => course.till.authorize(at),
        _ => course.till.token(&pending[at], (PENDING, None)),
    })?;
    let mut lanes = Lanes::open(&course.way).await?;
    let (measured, _) = course.measured(count, lanes.make_at(calls, half)).await?;
    let row = Row::of("tail-at-half".to_owned(), &measured, (None, None));
    let p99 = row.p99_ms.ok_or("there was no call")?;
    drop(running);
    let bound = TAIL * echo_p99(stage, (count, half)).await?;
    Ok(Row { bound: Some(bound), share: Some(bound / p99), goal: Some(1.0), ..row })
}

/// How long a server takes from its start until it is ready, and what it then keeps of memory.
pub(crate) async fn starts(stage: &Stage, times: usize) -> Told<[Row; 2]> {
    let (mut took, mut kept) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let running = stage.serve(Variant { bank: true, ..Variant::PLAIN }).await?;
        took.push(running.took);
        sleep(IDLE).await;
        kept.push(crate::cores::resident(running.server.pid())?);
    }
    took.sort_unstable();
    let calls = took.len();
    let measured = Measured { calls, spent: None, took, trips: None, resident: median(kept) };
    let row = Row::of(String::new(), &measured, (None, None));
    let (p50, kept) = row.p50_ms.zip(row.rss_mb).ok_or("it was never started")?;
    let (start, idle) = (Row::at_most(("cold-start", START_MS), p50), Row::at_most(("idle", IDLE_MB), kept));
    Ok([Row { p50_ms: row.p50_ms, p99_ms: row.p99_ms, ..start }, Row { rss_mb: row.rss_mb, ..idle }])
}
