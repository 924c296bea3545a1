//! Two cores: the server has one to itself, whoever loads it the other. And what a process has had of a core.

use std::fs;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use crate::Told;

/// The two cores of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    pub(crate) load: usize,
}

impl Cores {
    /// The first two that this process may have.
    ///
    /// # Errors
    /// There is one alone: whoever loads the server would have its time.
    pub(crate) fn choose() -> Told<Self> {
        let ours = sched_getaffinity(None)?;
        let mut free = (0..CpuSet::MAX_CPU).filter(|core| ours.is_set(*core));
        let pair = free.next().zip(free.next());
        let (server, load) = pair.ok_or("it takes two cores, one for the server and one for the load; this process may have one alone (see taskset and nproc)")?;
        Ok(Self { server, load })
    }
}

/// Has this thread, and whatever it starts from now on, run on `core` alone.
pub(crate) fn pin(core: usize) -> Told<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// How long this thread has had a core.
pub(crate) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// How long the living threads of the process `pid` have had a core: Linux counts it in nanoseconds.
pub(crate) fn process_time(pid: u32) -> Told<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while it is looked at.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        nanoseconds += text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The memory of the process `pid` that is resident, in megabytes.
pub(crate) fn resident(pid: u32) -> Told<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("the system does not say VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1_024.0 / 1e6)
}

/// What the machine is, in a line.
pub(crate) fn described() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let (processors, kernel) = (read("/proc/cpuinfo"), read("/proc/sys/kernel/osrelease"));
    let named = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let (name, kernel) = (named.map_or("a processor", |(_, name)| name), kernel.trim());
    format!("{name}, {count} cores, Linux {kernel}; countersign {}", env!("CARGO_PKG_VERSION"))
}
