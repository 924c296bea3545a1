//! [`Queue`]: which module is next. Those of a plan with an alias go one at a time, since the suite stops what runs under an alias when something else starts there; and they go first, as they take longest.

use std::collections::VecDeque;

/// A module, by the number of its plan and its own in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) plan: usize,
    pub(super) module: usize,
}

/// The modules of a plan that are still to be run.
struct Lane {
    plan: usize,
    left: VecDeque<usize>,
    one_at_a_time: bool,
    running: usize,
}

/// All that is still to be run.
pub(super) struct Queue(Vec<Lane>);

impl Queue {
    /// For each plan, how many modules it has and whether they go one at a time.
    pub(super) fn of(plans: impl IntoIterator<Item = (usize, bool)>) -> Self {
        let lane =
            |(plan, (modules, one_at_a_time))| Lane { plan, left: (0..modules).collect(), one_at_a_time, running: 0 };
        Self(plans.into_iter().enumerate().map(lane).collect())
    }

    /// What may start now.
    pub(super) fn next(&mut self) -> Option<Job> {
        let may = |lane: &&mut Lane| !lane.left.is_empty() && (lane.running == 0 || !lane.one_at_a_time);
        let lane = self.0.iter_mut().filter(may).max_by_key(|lane| (lane.one_at_a_time, lane.left.len()))?;
        lane.running += 1;
        lane.left.pop_front().map(|module| Job { plan: lane.plan, module })
    }

    /// It has ended.
    pub(super) fn done(&mut self, job: Job) {
        if let Some(lane) = self.0.iter_mut().find(|lane| lane.plan == job.plan) {
            lane.running -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_one_at_a_time_goes_first_and_never_two_at_once() {
        let mut queue = Queue::of([(2, false), (3, true)]);
        let job = |plan, module| Some(Job { plan, module });
        assert_eq!(queue.next(), job(1, 0));
        assert_eq!(queue.next(), job(0, 0));
        assert_eq!(queue.next(), job(0, 1));
        assert_eq!(queue.next(), None, "the other plan is busy with one");
        queue.done(Job { plan: 1, module: 0 });
        assert_eq!(queue.next(), job(1, 1));
        assert_eq!(queue.next(), None);
        queue.done(Job { plan: 1, module: 1 });
        queue.done(Job { plan: 0, module: 0 });
        assert_eq!(queue.next(), job(1, 2));
        assert_eq!(queue.next(), None);
    }
}
