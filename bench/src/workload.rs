//! The workloads: what each loads, and what it is held against.

use crate::bounds::{Bounds, together};
use crate::course::Phase;
use crate::stage::Variant;
use crate::till::Kind;

/// One workload of calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) kind: Kind,
    pub(crate) phase: Phase,
    pub(crate) variant: Variant,
    /// What its rate is a share of.
    pub(crate) bound: Bound,
    /// How large that share is to be, if anybody has said.
    pub(crate) goal: Option<f64>,
}

/// What a rate is a share of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    /// What the machine could do.
    Machine(fn(&Bounds) -> f64),
    /// What the same server does without that: [`Variant::PLAIN`].
    Plain,
}

impl Workload {
    /// Its name.
    pub(crate) fn name(&self) -> String {
        let Variant { redis, telemetry, bank } = self.variant;
        let ends = [(redis, "-redis"), (telemetry, "-telemetry"), (bank, "-bank")];
        let ends: String = ends.iter().filter(|(has, _)| *has).map(|(_, end)| *end).collect();
        format!("{}-{}{ends}", self.phase.word(), self.kind.word())
    }
}

impl Phase {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Open => "bc-authorize",
            Self::Poll => "poll",
            Self::Issue => "issue",
        }
    }
}

/// What is held against the machine's bounds, and the share that is aimed at.
const PLAIN: [(Phase, Kind, f64); 10] = [
    (Phase::Poll, Kind::Es256, 0.60),
    (Phase::Poll, Kind::Ps256, 0.38),
    (Phase::Poll, Kind::Mtls, 0.55),
    (Phase::Open, Kind::Es256, 0.60),
    (Phase::Open, Kind::Ps256, 0.45),
    (Phase::Open, Kind::Mtls, 0.55),
    (Phase::Issue, Kind::Es256, 0.60),
    (Phase::Issue, Kind::Ps256, 0.95),
    (Phase::Issue, Kind::Mtls, 0.50),
    (Phase::Issue, Kind::Dpop, 0.55),
];

/// Of the rate without Redis.
const WITH_REDIS: f64 = 0.70;
/// Of the rate without telemetry.
const WITH_TELEMETRY: f64 = 0.90;

/// The signatures that a call of that phase by a client of that kind takes, or what else bounds it.
pub(crate) fn bound(phase: Phase, kind: Kind) -> fn(&Bounds) -> f64 {
    match (phase, kind) {
        (Phase::Poll, Kind::Es256) => |b| b.verify_es256,
        (Phase::Poll, Kind::Ps256) => |b| b.verify_ps256,
        (Phase::Poll, Kind::Mtls) => |b| b.echo,
        (Phase::Poll | Phase::Open, Kind::Dpop) | (Phase::Open, Kind::Es256) => {
            |b| together(&[b.verify_es256, b.verify_es256])
        }
        (Phase::Open, Kind::Ps256) => |b| together(&[b.verify_ps256, b.verify_ps256]),
        (Phase::Open, Kind::Mtls) => |b| b.verify_es256,
        (Phase::Issue, Kind::Es256) => |b| together(&[b.verify_es256, b.sign_es256]),
        (Phase::Issue, Kind::Ps256) => |b| together(&[b.verify_ps256, b.sign_ps256]),
        (Phase::Issue, Kind::Mtls) => |b| together(&[b.sign_es256, b.echo]),
        (Phase::Issue, Kind::Dpop) => |b| together(&[b.verify_es256, b.verify_es256, b.sign_es256]),
    }
}

/// All of them, those first that others are held against.
pub(crate) fn all() -> Vec<Workload> {
    let plain = PLAIN.iter().map(|(phase, kind, goal)| Workload {
        kind: *kind,
        phase: *phase,
        variant: Variant::PLAIN,
        bound: Bound::Machine(bound(*phase, *kind)),
        goal: Some(*goal),
    });
    let on = |variant, goal| move |plain: Workload| Workload { variant, bound: Bound::Plain, goal, ..plain };
    let redis = plain.clone().map(on(Variant { redis: true, ..Variant::PLAIN }, Some(WITH_REDIS)));
    let es256 = || plain.clone().filter(|plain| plain.kind == Kind::Es256);
    let telemetry = es256().map(on(Variant { telemetry: true, ..Variant::PLAIN }, Some(WITH_TELEMETRY)));
    let bank =
        es256().filter(|plain| plain.phase == Phase::Open).map(on(Variant { bank: true, ..Variant::PLAIN }, None));
    plain.clone().chain(telemetry).chain(bank).chain(redis).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_workload_has_a_name_of_its_own_and_what_it_is_held_against_is_measured() {
        let all = all();
        let names: BTreeSet<String> = all.iter().map(Workload::name).collect();
        assert_eq!(names.len(), all.len());
        for workload in all {
            if let Bound::Plain = workload.bound {
                assert!(names.contains(&Workload { variant: Variant::PLAIN, ..workload }.name()), "{workload:?}");
            }
        }
    }
}
