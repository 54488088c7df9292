//! CPU time, of processes and of the machine, as the kernel counts it.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use nix::{
    sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike as _,
    },
    time::{ClockId, clock_getcpuclockid},
    unistd::{Pid, SysconfVar, sysconf},
};

/// The CPU time of a process and those it had started when the clock was made. Threads that have ended count.
#[derive(Debug)]
pub(crate) struct CpuClock {
    clocks: Vec<ClockId>,
}

impl CpuClock {
    pub(crate) fn of(pid: i32) -> Result<Self> {
        let clock = |pid| clock_getcpuclockid(Pid::from_raw(pid)).with_context(|| format!("watching process {pid}"));
        let children = descendants(pid).into_iter().filter_map(|child| clock(child).ok());
        Ok(Self { clocks: std::iter::once(clock(pid)?).chain(children).collect() })
    }

    pub(crate) fn read(&self) -> Duration {
        // The clock of a process that has ended cannot be read; a helper that ends takes its last moments with it.
        self.clocks.iter().filter_map(|clock| clock.now().ok()).map(Duration::from).sum()
    }
}

/// All processes that a process has started, directly or not.
fn descendants(pid: i32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let parents: Vec<(i32, i32)> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, own)| *own == parent).map(|(child, _)| *child));
        next += 1;
    }
    found.split_off(1)
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // "pid (name) state parent …", and the name may hold anything.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// The CPU time of this process.
pub(crate) fn own_cpu() -> Duration {
    ClockId::CLOCK_PROCESS_CPUTIME_ID.now().map(Duration::from).unwrap_or_default()
}

/// The CPU time of all programs that this process has started and seen the end of.
pub(crate) fn ended_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("asking for the CPU time of ended programs")?;
    let [user, system] = [usage.user_time(), usage.system_time()];
    Ok(Duration::from_micros((user.num_microseconds() + system.num_microseconds()).cast_unsigned()))
}

/// The CPU time of the whole machine, whoever used it.
pub(crate) fn machine_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    // user, nice, system, idle, iowait, irq, softirq, steal; what guests use is in user already.
    let times = first.split_ascii_whitespace().skip(1).take(8).map(|time| time.parse().unwrap_or(0));
    let ticks: u64 = times.enumerate().filter(|(place, _)| !matches!(place, 3 | 4)).map(|(_, ticks)| ticks).sum();
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    Duration::from_secs_f64(ticks as f64 / per_second as f64)
}
