//! What Linux knows of a process, and which processor it runs on.

use std::fs;

use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Pins the calling thread, and the threads and processes it starts from now on, to these processors.
pub fn pin(processors: &[usize]) {
    let mut set = CpuSet::new();
    for processor in processors {
        set.set(*processor);
    }
    sched_setaffinity(None, &set).expect("there is such a processor");
}

/// Has this process killed when its parent ends, however that ends.
pub fn end_with_parent() {
    set_parent_process_death_signal(Some(Signal::KILL)).expect("Linux can do this");
}

/// The nanoseconds of processor time, user and system, that all threads of a process have used. From
/// `schedstat`, which is exact; `stat` counts ticks of 10 ms.
pub fn cpu_ns(process: u32) -> u64 {
    tasks(process, "schedstat")
        .filter_map(|stat| stat.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// How often the threads of a process gave up or lost the processor.
pub fn context_switches(process: u32) -> u64 {
    tasks(process, "status")
        .map(|status| {
            let lines = status.lines();
            let counts = lines.filter(|line| line.contains("voluntary_ctxt_switches"));
            counts.filter_map(number).sum::<u64>()
        })
        .sum()
}

/// The memory of a process that no other shares, in KiB.
pub fn private_kib(process: u32) -> u64 {
    let path = format!("/proc/{process}/smaps_rollup");
    let rollup = fs::read_to_string(path).unwrap_or_default();
    let private = rollup
        .lines()
        .filter(|line| line.starts_with("Private_"))
        .filter_map(number);
    private.sum()
}

/// The resident set of a process, in KiB.
pub fn resident_kib(process: u32) -> u64 {
    let path = format!("/proc/{process}/smaps_rollup");
    let rollup = fs::read_to_string(path).unwrap_or_default();
    rollup
        .lines()
        .find(|line| line.starts_with("Rss:"))
        .and_then(number)
        .unwrap_or(0)
}

/// The nanoseconds of processor time that the calling thread has used.
pub fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The nanoseconds that a processor has been idle. `None` where the system does not count them.
pub fn idle_ns(processor: usize) -> Option<u64> {
    let mut idle = None;
    for state in 0.. {
        let path = format!("/sys/devices/system/cpu/cpu{processor}/cpuidle/state{state}/time");
        let Ok(micros) = fs::read_to_string(path) else {
            break;
        };
        idle = Some(idle.unwrap_or(0) + micros.trim().parse::<u64>().ok()? * 1_000);
    }
    idle
}

/// How many processes wanted to run, on average over the last minute.
pub fn load() -> f64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ')
        .next()
        .and_then(|one| one.parse().ok())
        .unwrap_or(0.0)
}

fn tasks(process: u32, file: &'static str) -> impl Iterator<Item = String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    tasks.filter_map(move |task| fs::read_to_string(task.path().join(file)).ok())
}

fn number(line: &str) -> Option<u64> {
    line.split_whitespace().nth(1)?.parse().ok()
}
