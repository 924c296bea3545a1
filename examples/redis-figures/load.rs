//! How long calls take at a steady rate, whatever became of those before: polls 80 in 100, requests 10, decisions 5 and redemptions 5.

use std::time::Duration;

use countersign::clock::Stopwatch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::servers::Stage;
use crate::till::{Call, POLL};
use crate::{Told, progress};

const KINDS: [&str; 4] = ["pending poll", "bc-authorize", "decision", "redemption"];

/// Prints the table. `pending` are requests of the users of their places.
pub(crate) async fn measure(stage: &Stage, pending: &[String], (rate, seconds): (u32, u32)) -> Told<()> {
    progress(&format!("{} calls a second for {seconds} s, with {} pending requests", rate, pending.len()));
    let calls = script(stage, pending, (rate, seconds)).await?;
    let count = u32::try_from(calls.len())?;
    let (before, watch) = (stage.spent()?, Stopwatch::start());
    let mut beat = interval(Duration::from_secs(1) / rate);
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    for (kind, call) in calls {
        // A call that has to wait for its turn has waited, too.
        let due = beat.tick().await;
        let till = stage.till.clone();
        under_way.spawn(async move { (kind, till.make(call).await, due.elapsed()) });
    }
    let mut took: [Vec<Duration>; 4] = Default::default();
    let mut wrong = Vec::new();
    while let Some(ended) = under_way.join_next().await {
        let (kind, answer, after) = ended?;
        took[kind].push(after);
        wrong.extend(answer.err());
    }
    let (wall, spent) = (watch.elapsed(), stage.spent()?.since(before));
    println!(
        "\nmilliseconds until the answer, at {rate} calls a second for {seconds} s, with {} pending requests",
        pending.len()
    );
    println!("  {:<14}{:>8}{:>10}{:>10}{:>10}", "call", "calls", "p50", "p99", "most");
    for (what, took) in KINDS.iter().zip(&mut took) {
        took.sort_unstable();
        let at = |hundredth: usize| took.get((took.len() * hundredth / 100).min(took.len().saturating_sub(1)));
        let cell =
            |hundredth| at(hundredth).map_or(String::new(), |took| format!("{:.1}", took.as_secs_f64() * 1_000.0));
        println!("  {what:<14}{:>8}{:>10}{:>10}{:>10}", took.len(), cell(50), cell(99), cell(100));
    }
    println!(
        "  errors {}; {:.0} calls a second; microseconds on a processor for each call: Redis {}, server {}",
        wrong.len(),
        f64::from(count) / wall.as_secs_f64(),
        (spent.redis / count).as_micros(),
        (spent.server / count).as_micros()
    );
    wrong.into_iter().next().map_or(Ok(()), Err)
}

/// All calls in their order, signed, each with its kind. What is redeemed was decided a second before.
async fn script(stage: &Stage, pending: &[String], (rate, seconds): (u32, u32)) -> Told<Vec<(usize, Call)>> {
    let till = &stage.till;
    let ahead = rate.div_ceil(20);
    let decided = ahead + (rate * seconds).div_ceil(20);
    let numbered: Vec<(&String, u32)> = pending.iter().zip(0..).collect();
    let (to_decide, to_poll) =
        numbered.split_at_checked(usize::try_from(decided)?).filter(|(_, to_poll)| !to_poll.is_empty()).ok_or_else(
            || format!("--pending has to be more than {decided}, the requests that are decided under this load"),
        )?;
    let mut decisions = to_decide.iter().copied();
    let mut redemptions = decisions.clone();
    let mut polls = to_poll.iter().cycle();
    for (auth_req_id, user) in decisions.by_ref().take(usize::try_from(ahead)?) {
        till.make(till.decide(auth_req_id, user)).await?;
    }
    let out = "it was counted before";
    (0..rate * seconds)
        .map(|n| {
            Ok(match n % 20 {
                0..16 => (0, till.poll(polls.next().ok_or(out)?.0)?),
                16 | 17 => (1, till.authorize(POLL, n)?),
                18 => {
                    let (auth_req_id, user) = decisions.next().ok_or(out)?;
                    (2, till.decide(auth_req_id, user))
                }
                _ => (3, till.redeem(redemptions.next().ok_or(out)?.0)?),
            })
        })
        .collect()
}
