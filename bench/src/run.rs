//! A run: every workload, several times over, each time with the machine's bounds of that moment.

use std::collections::HashMap;
use std::time::Duration;

use crate::Told;
use crate::bounds::Bounds;
use crate::cores::{Cores, pin};
use crate::course::{Course, Phase};
use crate::row::{Row, median, medians};
use crate::special;
use crate::stage::{self, Stage, Variant};
use crate::till::{Kind, Till};
use crate::workload::{Bound, Workload, all};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Requests of each kind of client.
    requests: usize,
    /// The same of one that signs with PS256, which takes longer.
    slow_requests: usize,
    connections: usize,
    pub(crate) echoes: usize,
    pub(crate) primitive: Duration,
    tail: Duration,
    starts: usize,
    /// How often all of it is done.
    repeats: usize,
}

impl Size {
    /// Enough for figures.
    pub(crate) const FULL: Self = Self {
        requests: 10_000,
        slow_requests: 3_000,
        connections: 3_000,
        echoes: 50_000,
        primitive: Duration::from_millis(300),
        tail: Duration::from_secs(4),
        starts: 5,
        repeats: 3,
    };
    /// Enough to see that it works.
    pub(crate) const QUICK: Self = Self {
        requests: 1_000,
        slow_requests: 200,
        connections: 300,
        echoes: 5_000,
        primitive: Duration::from_millis(50),
        tail: Duration::from_secs(1),
        starts: 1,
        repeats: 1,
    };

    /// The same, done so many times.
    pub(crate) const fn repeated(self, repeats: usize) -> Self {
        Self { repeats, ..self }
    }

    const fn requests(self, kind: Kind) -> usize {
        match kind {
            Kind::Ps256 => self.slow_requests,
            Kind::Es256 | Kind::Mtls | Kind::Dpop => self.requests,
        }
    }
}

const SPECIAL: [&str; 4] = ["handshake-mtls", "tail-at-half", "cold-start", "idle"];

/// What a run found.
pub(crate) struct Found {
    pub(crate) bounds: Bounds,
    pub(crate) rows: Vec<Row>,
}

/// Which of all workloads. A word means the workload that is called so, or those that have it in their names where none is.
pub(crate) struct Chosen<'a> {
    /// Those that these words mean; all, if there are none.
    pub(crate) only: &'a [String],
    /// But not those that these mean.
    pub(crate) without: &'a [String],
}

impl Chosen<'_> {
    fn has(&self, name: &str) -> bool {
        let names = names();
        let means = |word: &String| name == word || (name.contains(word.as_str()) && !names.contains(word));
        (self.only.is_empty() || self.only.iter().any(means)) && !self.without.iter().any(means)
    }

    /// # Errors
    /// A word means none, nothing is left, or a Redis is needed and there is none to start.
    fn check(&self) -> Told<()> {
        let names = names();
        let means_none = |word: &&String| !names.iter().any(|name| name.contains(word.as_str()));
        if let Some(word) = self.only.iter().chain(self.without).find(means_none) {
            let there = names.join("\n  ");
            return Err(format!("{word}: no workload has that in its name; there are\n  {there}").into());
        }
        if !names.iter().any(|name| self.has(name)) {
            return Err("nothing is left to measure".into());
        }
        if all().iter().any(|workload| workload.variant.redis && self.has(&workload.name())) {
            stage::redis_is_there()?;
        }
        Ok(())
    }
}

fn names() -> Vec<String> {
    all().iter().map(Workload::name).chain(SPECIAL.map(str::to_owned)).collect()
}

/// Measures what is chosen.
pub(crate) async fn run(chosen: Chosen<'_>, size: Size, say: &dyn Fn(&str)) -> Told<Found> {
    chosen.check()?;
    let cores = Cores::choose()?;
    pin(cores.load)?;
    let stage = Stage::put_up(cores).await?;
    let (mut runs, mut bounds) = (Vec::new(), Vec::new());
    for repeat in 1..=size.repeats {
        let say = |what: &str| say(&format!("{repeat} of {}: {what}", size.repeats));
        say("what the machine can do");
        let machine = Bounds::measure(&stage.certs, cores, size.primitive)?;
        let machine = special::echo(&stage, machine, size.echoes).await?;
        runs.push(once(&stage, &chosen, (size, &machine), &say).await?);
        bounds.push(machine);
    }
    Ok(Found { bounds: middle(&bounds).ok_or("--repeats is at least 1")?, rows: medians(&runs) })
}

async fn once(
    stage: &Stage,
    chosen: &Chosen<'_>,
    (size, bounds): (Size, &Bounds),
    say: &dyn Fn(&str),
) -> Told<Vec<Row>> {
    let rates_of_tail = [Phase::Poll, Phase::Open, Phase::Issue];
    let workloads = all();
    let tail = chosen.has("tail-at-half");
    let wanted = |workload: &Workload| {
        let for_tail = tail && workload.variant == Variant::PLAIN && workload.kind == Kind::Es256;
        let held_against = |other: &Workload| {
            let same = (other.kind, other.phase) == (workload.kind, workload.phase);
            same && workload.variant == Variant::PLAIN
                && matches!(other.bound, Bound::Plain)
                && chosen.has(&other.name())
        };
        chosen.has(&workload.name()) || for_tail || workloads.iter().any(held_against)
    };
    let mut courses: Vec<(Variant, Kind)> = Vec::new();
    for workload in workloads.iter().filter(|workload| wanted(workload)) {
        if !courses.contains(&(workload.variant, workload.kind)) {
            courses.push((workload.variant, workload.kind));
        }
    }
    let (mut rows, mut rates) = (HashMap::new(), HashMap::new());
    for (variant, kind) in courses {
        let mine = |workload: &&Workload| (workload.variant, workload.kind) == (variant, kind) && wanted(workload);
        let phases: Vec<Phase> = workloads.iter().filter(mine).map(|workload| workload.phase).collect();
        let names: Vec<String> = workloads.iter().filter(mine).map(Workload::name).collect();
        say(&names.join(", "));
        let running = stage.serve(variant).await?;
        let till = Till::open(kind, &stage.certs, (running.places.clone(), None))?;
        let measured = Course::of(&running, till, stage.cores).run(size.requests(kind), &phases).await?;
        for (phase, measured) in measured {
            if variant == Variant::PLAIN {
                rates.insert((kind, phase), measured.per_cpu_second().unwrap_or(f64::NAN));
            }
            let its = |workload: &&Workload| mine(workload) && workload.phase == phase;
            let Some(workload) = workloads.iter().find(its) else { continue };
            let bound = match workload.bound {
                Bound::Machine(of) => Some(of(bounds)),
                Bound::Plain => rates.get(&(kind, phase)).copied(),
            };
            let name = workload.name();
            rows.insert(name.clone(), Row::of(name, &measured, (bound, workload.goal)));
        }
    }
    let in_order = workloads.iter().map(Workload::name).filter(|name| chosen.has(name));
    let mut rows: Vec<Row> = in_order.filter_map(|name| rows.remove(&name)).collect();
    if chosen.has("handshake-mtls") {
        say("handshake-mtls");
        rows.push(special::handshakes(stage, bounds, size.connections).await?);
    }
    if tail {
        say("tail-at-half");
        let rates = rates_of_tail.map(|phase| rates.get(&(Kind::Es256, phase)).copied().unwrap_or(f64::NAN));
        rows.push(special::tail(stage, (rates, size.tail)).await?);
    }
    if chosen.has("cold-start") || chosen.has("idle") {
        say("cold-start, idle");
        rows.extend(special::starts(stage, size.starts).await?.into_iter().filter(|row| chosen.has(&row.workload)));
    }
    Ok(rows)
}

fn middle(bounds: &[Bounds]) -> Option<Bounds> {
    let of = |figure: fn(&Bounds) -> f64| median(bounds.iter().map(figure).collect());
    Some(Bounds {
        verify_es256: of(|b| b.verify_es256)?,
        verify_ps256: of(|b| b.verify_ps256)?,
        sign_es256: of(|b| b.sign_es256)?,
        sign_ps256: of(|b| b.sign_ps256)?,
        handshake: of(|b| b.handshake)?,
        echo: of(|b| b.echo)?,
    })
}
