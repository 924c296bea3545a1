//! [`Course`]: the modules of all plans, run as many at a time as may be, and what became of each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign::clock::Stopwatch;
use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::fault::Fault;
use crate::plan::Plan;
use crate::run::queue::{Job, Queue};
use crate::run::saved::{ModuleRun, Outcome, Saved};
use crate::suite::entry::Entry;
use crate::suite::{Made, Module, Name, NotStarted, Suite};

/// How long a run may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How long to wait for an alias that is taken before asking again.
const ALIAS_WAIT: Duration = Duration::from_secs(1);
/// How long to wait before the suite is asked again how a module stands.
const PAUSE: Duration = Duration::from_millis(100);
/// How often in a row the suite may fail to say how a module stands.
const MOST_LOST: usize = 3;

/// A plan that the suite has made, and whether its modules go one at a time.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) made: Made,
    pub(super) alias: bool,
}

/// What is to be run, where, and within what.
pub(super) struct Course<'a> {
    pub(super) suite: &'a Suite,
    pub(super) planned: Vec<Planned>,
    pub(super) parallel: usize,
    /// The time that a module has.
    pub(super) limit: Duration,
}

/// The modules that run now: for each job, the id of its run once it has one.
type Running = Arc<Mutex<BTreeMap<(usize, usize), Option<Name>>>>;

impl Course<'_> {
    /// Runs everything, until `stop` ends, which is a fault. Each module that ends is put where it belongs in `saved`, and `keep` is called.
    pub(super) async fn run(
        &self,
        saved: &mut Saved,
        keep: impl Fn(&Saved) -> Result<(), Fault>,
        stop: impl Future<Output = Fault>,
    ) -> Result<(), Fault> {
        let running = Running::default();
        let outcome = self.modules(&running, (saved, keep), stop).await;
        if outcome.is_err() {
            self.cancel(&running, saved).await;
        }
        outcome
    }

    async fn modules(
        &self,
        running: &Running,
        (saved, keep): (&mut Saved, impl Fn(&Saved) -> Result<(), Fault>),
        stop: impl Future<Output = Fault>,
    ) -> Result<(), Fault> {
        let mut queue = Queue::of(self.planned.iter().map(|planned| (planned.made.modules.len(), planned.alias)));
        let mut set = JoinSet::new();
        let began = Stopwatch::start();
        let mut since: Vec<Option<Stopwatch>> = self.planned.iter().map(|_| None).collect();
        let all: usize = self.planned.iter().map(|planned| planned.made.modules.len()).sum();
        let mut ended = 0;
        tokio::pin!(stop);
        loop {
            while set.len() < self.parallel
                && let Some(job) = queue.next()
            {
                since[job.plan].get_or_insert_with(Stopwatch::start);
                set.spawn(self.start(job, running));
            }
            tokio::select! {
                joined = set.join_next() => {
                    let Some(joined) = joined else { return Ok(()) };
                    let (job, found) = joined.map_err(|error| format!("a module could not be followed: {error}"))?;
                    queue.done(job);
                    ended += 1;
                    let of = &mut saved.plans[job.plan];
                    of.seconds = since[job.plan].as_ref().map_or(0, |since| since.elapsed().as_secs());
                    of.modules[job.module] = found;
                    let of = &saved.plans[job.plan];
                    let count = of.count(|outcome| outcome != Outcome::NotRun);
                    say(&format!("{ended}/{all} {}", clock(began.elapsed())), (&of.plan, (count, of.modules.len())), &of.modules[job.module]);
                    keep(saved)?;
                }
                () = sleep(SILENCE) => {
                    let names = self.names(running);
                    eprintln!("… {ended}/{all} {} still running: {}", clock(began.elapsed()), names.join(", "));
                }
                fault = &mut stop => return Err(fault),
            }
        }
    }

    fn start(&self, job: Job, running: &Running) -> impl Future<Output = (Job, ModuleRun)> + use<> {
        let planned = &self.planned[job.plan];
        let (made, module) = (planned.made.clone(), planned.made.modules[job.module].clone());
        let (suite, limit, running) = (self.suite.clone(), self.limit, running.clone());
        let key = (job.plan, job.module);
        note(&running, key, None);
        async move {
            let began = Stopwatch::start();
            let started = |run: &Name| note(&running, key, Some(run.clone()));
            let (run, outcome, entries) = follow(&suite, (&made, &module), (limit, started)).await;
            running.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            let link = run.map(|run| suite.link(&run));
            let seconds = began.elapsed().as_secs();
            (job, ModuleRun { module: module.name.to_string(), link, outcome, seconds, entries, excused: None })
        }
    }

    fn names(&self, running: &Running) -> Vec<String> {
        let running = running.lock().unwrap_or_else(PoisonError::into_inner);
        let name = |(plan, module): &(usize, usize)| {
            let planned = &self.planned[*plan];
            format!("{} {}", planned.plan, &*planned.made.modules[*module].name)
        };
        running.keys().map(name).collect()
    }

    /// Has the suite stop what runs there, as far as it can be told.
    async fn cancel(&self, running: &Running, saved: &mut Saved) {
        let running = running.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let runs = running.iter().filter_map(|(at, run)| Some((at, run.as_ref()?)));
        let stopped =
            runs.map(async |(at, run)| (at, run, stop(self.suite, run, "the run was broken off".to_owned()).await));
        for ((plan, module), run, entries) in join_all(stopped).await {
            let module = &mut saved.plans[*plan].modules[*module];
            (module.outcome, module.entries, module.link) = (Outcome::Interrupted, entries, Some(self.suite.link(run)));
        }
    }
}

fn note(running: &Running, key: (usize, usize), run: Option<Name>) {
    running.lock().unwrap_or_else(PoisonError::into_inner).insert(key, run);
}

/// From start to end: the id of its run, if it got one, how it ended, and what it found.
async fn follow(
    suite: &Suite,
    (made, module): (&Made, &Module),
    (limit, started): (Duration, impl Fn(&Name)),
) -> (Option<Name>, Outcome, Vec<Entry>) {
    let run = match start(suite, (made, module), limit).await {
        Ok(run) => run,
        Err(fault) => return (None, Outcome::Lost, vec![Entry::ours(fault.to_string())]),
    };
    started(&run);
    let (outcome, mut entries) = match wait(suite, (&run, limit)).await {
        Ok(true) => match suite.info(&run).await {
            Ok(info) => (Outcome::read(&info.status, info.result.as_deref()), Vec::new()),
            Err(fault) => (Outcome::Lost, vec![Entry::ours(fault.to_string())]),
        },
        Ok(false) => {
            let says = format!("it did not end within {} s; --limit allows more", limit.as_secs());
            (Outcome::TimedOut, stop(suite, &run, says).await)
        }
        Err(fault) => (Outcome::Lost, stop(suite, &run, fault.to_string()).await),
    };
    match suite.log(&run).await {
        Ok(log) => entries.extend(log),
        // Of a result without a log nobody knows what to think.
        Err(fault) => return (Some(run), Outcome::Lost, [entries, vec![Entry::ours(fault.to_string())]].concat()),
    }
    (Some(run), outcome, entries)
}

/// Has the suite stop a module that is not waited for any more; what there is to say of it.
async fn stop(suite: &Suite, run: &Name, why: String) -> Vec<Entry> {
    let stopped = suite.cancel(run).await.err().map(|fault| format!("it may go on: {fault}"));
    [Some(why), stopped].into_iter().flatten().map(Entry::ours).collect()
}

/// What runs under the same alias, from another run perhaps, has as long to end as a module has.
async fn start(suite: &Suite, (made, module): (&Made, &Module), limit: Duration) -> Result<Name, Fault> {
    let began = Stopwatch::start();
    loop {
        match suite.start(made, module).await {
            Ok(run) => return Ok(run),
            Err(NotStarted::AliasTaken) if began.elapsed() < limit => sleep(ALIAS_WAIT).await,
            Err(NotStarted::AliasTaken) => return Err("something else runs under its alias, and does not end".into()),
            Err(NotStarted::Fault(fault)) => return Err(fault),
        }
    }
}

/// Whether it ended within the limit.
async fn wait(suite: &Suite, (run, limit): (&str, Duration)) -> Result<bool, Fault> {
    let (began, mut lost) = (Stopwatch::start(), 0);
    while began.elapsed() < limit {
        // The suite is asked no longer than is left.
        let asked = tokio::time::timeout(limit.saturating_sub(began.elapsed()), suite.ended(run)).await;
        match asked {
            Ok(Ok(true)) => return Ok(true),
            Ok(Ok(false)) => {
                lost = 0;
                sleep(PAUSE).await;
            }
            Ok(Err(fault)) if lost + 1 >= MOST_LOST => return Err(fault),
            Ok(Err(_)) => {
                lost += 1;
                sleep(Duration::from_secs(1)).await;
            }
            Err(_) => return Ok(false),
        }
    }
    Ok(false)
}

fn say(at: &str, (plan, (count, of)): (&str, (usize, usize)), module: &ModuleRun) {
    eprintln!("{at}  {plan} {count}/{of}  {:11} {:>4} s  {}", module.outcome.word(), module.seconds, module.module);
    for entry in module.entries.iter().take(4) {
        eprintln!("      {}: {}", entry.condition, entry.says);
    }
}

/// Minutes and seconds.
pub(super) fn clock(passed: Duration) -> String {
    format!("{}:{:02}", passed.as_secs() / 60, passed.as_secs() % 60)
}
