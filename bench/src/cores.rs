//! Two cores: the server has one to itself, whoever loads it the other. And what a process has had of a core.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Signal, set_parent_process_death_signal};
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
        let first = free.next();
        let rest: Vec<usize> = free.collect();
        // Two that are one core by half each would slow each other down.
        let other = rest.iter().find(|core| first.is_some_and(|first| !are_one(first, **core))).or(rest.first());
        let (server, load) = first.zip(other.copied()).ok_or("it takes two cores, one for the server and one for the load; this process may have one alone (see taskset and nproc)")?;
        Ok(Self { server, load })
    }
}

/// Whether two are threads of one core, as far as the system says.
fn are_one(one: usize, other: usize) -> bool {
    let core = |core| fs::read_to_string(format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"));
    core(one).is_ok_and(|siblings| core(other).is_ok_and(|others| siblings == others))
}

/// Has this thread, and whatever it starts from now on, run on `core` alone.
pub(crate) fn pin(core: usize) -> Told<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// As errno(3) numbers them.
const ENOENT: i32 = 2;
const ESRCH: i32 = 3;

/// Has this process end with the one that started it, however that ends.
pub(crate) fn end_with_parent() -> Told<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// How long this thread has had a core.
pub(crate) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("less than a second"))
}

/// How far what is counted in hundredths of a second, user and kernel each for itself, may be from what is counted in nanoseconds.
const COARSE: Duration = Duration::from_millis(30);

/// What a process has had of a core so far.
#[derive(Clone, Debug)]
pub(crate) struct Had {
    /// Each thread that lives: Linux counts that in nanoseconds.
    threads: HashMap<OsString, Duration>,
    /// All of them, those that ended too: in hundredths of a second.
    whole: Duration,
}

impl Had {
    /// What the process `pid` has had.
    ///
    /// # Errors
    /// There is no such process, or this system does not count that.
    pub(crate) fn by(pid: u32) -> Told<Self> {
        let mut threads = HashMap::new();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?;
            let text = match fs::read_to_string(thread.path().join("schedstat")) {
                Ok(text) => text,
                // It ended while it was looked at.
                Err(error) if matches!(error.raw_os_error(), Some(ENOENT | ESRCH)) => continue,
                Err(error) => return Err(error.into()),
            };
            let nanoseconds = text.split(' ').next().unwrap_or_default().parse()?;
            threads.insert(thread.file_name(), Duration::from_nanos(nanoseconds));
        }
        // proc_pid_stat(5): utime and stime, the 14th and the 15th; the second may have spaces in it, and ends with the last parenthesis.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
        let ticks: u64 = fields.map(str::parse::<u64>).sum::<Result<_, _>>()?;
        Ok(Self { threads, whole: Duration::from_millis(ticks * 1_000 / clock_ticks_per_second()) })
    }

    /// What it had since `earlier`: to the nanosecond, unless a thread has ended, who took with it what it had.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let before = |thread| earlier.threads.get(thread).copied().unwrap_or_default();
        let living: Duration = self.threads.iter().map(|(thread, now)| now.saturating_sub(before(thread))).sum();
        let whole = self.whole.saturating_sub(earlier.whole);
        let gone = earlier.threads.keys().any(|thread| !self.threads.contains_key(thread));
        // One that began and ended meanwhile is known by what is missing.
        if gone || whole > living + COARSE { living.max(whole) } else { living }
    }
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
    let count = if count == 1 { "1 core".to_owned() } else { format!("{count} cores") };
    format!("{name}, {count}, Linux {kernel}; bench {}", env!("CARGO_PKG_VERSION"))
}
