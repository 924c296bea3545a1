//! [`Course`]: requests are opened, polled, approved and exchanged for tokens, each phase by itself, and what each costs.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::Told;
use crate::cores::{Cores, Had, pin, resident};
use crate::load::{Lanes, Load, Way};
use crate::stage::Running;
use crate::till::{Call, ISSUED, PENDING, Till, decide};

/// What is measured of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// The client asks for it, at the backchannel authentication endpoint.
    Open,
    /// The client polls, and nobody has decided.
    Poll,
    /// The client gets its tokens.
    Issue,
}

/// What calls of one kind cost.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) calls: usize,
    /// What the server had of its core; nobody knows of a server elsewhere.
    pub(crate) spent: Option<Duration>,
    /// How long each took, the shortest first.
    pub(crate) took: Vec<Duration>,
    /// Round trips to the store, in all.
    pub(crate) trips: Option<u64>,
    /// Megabytes resident at the end.
    pub(crate) resident: Option<f64>,
}

/// Who says yes, so that there are tokens.
pub(crate) enum Approves {
    /// The bank, at the internal listener there.
    Bank(Way, String),
    /// A command that reads `auth_req_id`s from its standard input, one a line, and ends when all are approved.
    Command(String),
    /// Nobody.
    Nobody,
}

/// Whom a course asks.
pub(crate) struct Course {
    pub(crate) till: Till,
    pub(crate) way: Way,
    pub(crate) approves: Approves,
    /// The server's process, if it is one of this machine.
    pub(crate) pid: Option<u32>,
    /// Where it says how many trips to the store it has made.
    pub(crate) metrics: Option<Way>,
    /// Who signs.
    pub(crate) cores: Cores,
}

impl Course {
    /// One through a server of ours.
    pub(crate) fn of(running: &Running, till: Till, cores: Cores) -> Self {
        Self {
            till,
            way: running.way.clone(),
            approves: Approves::Bank(running.internal.clone(), running.internal_url.clone()),
            pid: Some(running.server.pid()),
            metrics: Some(running.internal.clone()),
            cores,
        }
    }

    /// Has `count` requests go through the `phases`, after a tenth as many that nobody counts.
    pub(crate) async fn run(&self, count: usize, phases: &[Phase]) -> Told<Vec<(Phase, Measured)>> {
        let (warm, all) = (count.div_ceil(10), count.div_ceil(10) + count);
        let mut found = Vec::new();
        let opens = self.signed(all, |user| self.till.authorize(user))?;
        let (opened, answers) = self.warm_then_measured((opens, warm)).await?;
        found.push((Phase::Open, opened));
        let ids = ids(&answers)?;
        if phases.contains(&Phase::Poll) {
            let nonce = self.nonce().await?;
            let polls = self.signed(all, |user| self.till.token(&ids[user], (PENDING, nonce.as_deref())))?;
            found.push((Phase::Poll, self.warm_then_measured((polls, warm)).await?.0));
        }
        if phases.contains(&Phase::Issue) {
            self.approve(&ids).await?;
            let nonce = self.nonce().await?;
            let exchanges = self.signed(all, |user| self.till.token(&ids[user], (ISSUED, nonce.as_deref())))?;
            found.push((Phase::Issue, self.warm_then_measured((exchanges, warm)).await?.0));
        }
        found.retain(|(phase, _)| phases.contains(phase));
        Ok(found)
    }

    /// Opens `count` requests that nobody counts.
    pub(crate) async fn open(&self, count: usize) -> Told<Vec<String>> {
        let opens = self.signed(count, |user| self.till.authorize(user))?;
        ids(&Lanes::open(&self.way).await?.make(opens).await?.answers)
    }

    /// Makes `calls` on connections of their own, so that none has idled while they were signed.
    async fn warm_then_measured(&self, (mut calls, warm): (Vec<Call>, usize)) -> Told<(Measured, Vec<Bytes>)> {
        let mut lanes = Lanes::open(&self.way).await?;
        let rest = calls.split_off(warm);
        let mut answers = lanes.make(calls).await?.answers;
        let count = rest.len();
        let (measured, load) = self.measured(count, lanes.make(rest)).await?;
        answers.extend(load.answers);
        Ok((measured, answers))
    }

    /// What `load` costs, which makes so many calls.
    pub(crate) async fn measured(
        &self,
        calls: usize,
        load: impl Future<Output = Told<Load>>,
    ) -> Told<(Measured, Load)> {
        let (trips, spent) = (self.trips().await?, self.spent()?);
        let mut load = load.await?;
        let spent = spent.zip(self.spent()?).map(|(before, after)| after.since(&before));
        let trips = trips.zip(self.trips().await?).map(|(before, after)| after - before);
        if spent.is_some_and(|spent| spent.is_zero()) {
            return Err("the server answered, and its process had nothing of a core: is it the one (--pid)?".into());
        }
        let mut took = std::mem::take(&mut load.took);
        took.sort_unstable();
        let resident = self.pid.map(resident).transpose()?;
        Ok((Measured { calls, spent, took, trips, resident }, load))
    }

    fn spent(&self) -> Told<Option<Had>> {
        self.pid.map(Had::by).transpose()
    }

    /// How many trips to the store the server has made.
    ///
    /// # Errors
    /// It says neither how many, nor how many log lines it has lost; or it has lost some, whose work it has spared itself.
    async fn trips(&self) -> Told<Option<u64>> {
        let Some(way) = &self.metrics else { return Ok(None) };
        let (status, answer) = way.lane().await?.fetch("/metrics").await?;
        let text = String::from_utf8(answer.body.to_vec())?;
        let count = |name: &str| {
            let counts = text.lines().filter(|line| line.starts_with(name));
            let counts = counts.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<u64>()?));
            let counts = counts.collect::<Told<Vec<u64>>>()?;
            if counts.is_empty() {
                return Err(format!("/metrics was answered with {status}, and no {name}").into());
            }
            Told::Ok(counts.iter().sum::<u64>())
        };
        match count("countersign_log_lost_total")? {
            0 => count("db_client_operation_duration_seconds_count").map(Some),
            lost => Err(format!("the server lost {lost} log lines, and so did not do all that it has to").into()),
        }
    }

    /// Calls for the users of the numbers up to `count`, signed on both cores while the server has nothing to do.
    pub(crate) fn signed(&self, count: usize, call: impl Fn(usize) -> Told<Call> + Sync) -> Told<Vec<Call>> {
        let (half, call) = (count / 2, &call);
        let on = |core, users: std::ops::Range<usize>| {
            move || {
                pin(core)?;
                users.map(call).collect::<Told<Vec<Call>>>()
            }
        };
        thread::scope(|scope| {
            let one = scope.spawn(on(self.cores.server, 0..half));
            let other = scope.spawn(on(self.cores.load, half..count));
            let broke = |_| "signing broke off";
            let (mut calls, rest) = (one.join().map_err(broke)??, other.join().map_err(broke)??);
            calls.extend(rest);
            Ok(calls)
        })
    }

    /// What proofs have to carry (RFC 9449 §8), if this client makes any.
    async fn nonce(&self) -> Told<Option<String>> {
        let Some(call) = self.till.ask_for_nonce()? else { return Ok(None) };
        let answer = self.way.lane().await?.make(call).await?;
        let nonce = answer.headers.get("dpop-nonce").ok_or("the answer has no DPoP-Nonce")?;
        Ok(Some(nonce.to_str()?.to_owned()))
    }

    /// Has all of them approved.
    pub(crate) async fn approve(&self, ids: &[String]) -> Told<()> {
        match &self.approves {
            Approves::Nobody => Err("nobody approves (--approve)".into()),
            Approves::Bank(way, url) => {
                let decisions = ids.iter().enumerate().map(|(user, id)| decide(url, id, user)).collect();
                Lanes::open(way).await?.make(decisions).await.map(drop)
            }
            Approves::Command(command) => {
                let mut shell = Command::new("sh");
                let mut child = shell.arg("-c").arg(command).stdin(Stdio::piped()).kill_on_drop(true).spawn()?;
                let mut stdin = child.stdin.take().ok_or("its input is piped")?;
                let told = stdin.write_all((ids.join("\n") + "\n").as_bytes()).await;
                drop(stdin);
                let status = child.wait().await?;
                match told {
                    _ if !status.success() => Err(format!("--approve {command:?} ended with {status}").into()),
                    Ok(()) => Ok(()),
                    Err(_) => Err(format!("--approve {command:?} ended before it had read all ids").into()),
                }
            }
        }
    }
}

fn ids(answers: &[Bytes]) -> Told<Vec<String>> {
    let id = |answer: &Bytes| {
        let answer: Value = serde_json::from_slice(answer)?;
        Ok(answer["auth_req_id"].as_str().ok_or("the answer has no auth_req_id")?.to_owned())
    };
    answers.iter().map(id).collect()
}

impl Measured {
    /// How many calls the server would answer in a second of a core.
    pub(crate) fn per_cpu_second(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
        let calls = self.calls as f64;
        self.spent.map(|spent| calls / spent.as_secs_f64())
    }

    /// Of a hundred calls so many took no longer, in milliseconds.
    pub(crate) fn percentile(&self, hundredth: usize) -> Option<f64> {
        let at = (self.took.len() * hundredth / 100).min(self.took.len().saturating_sub(1));
        self.took.get(at).map(|took| took.as_secs_f64() * 1e3)
    }
}
