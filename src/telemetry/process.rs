//! What the operating system knows of this process, from `/proc`. Where there is none, nothing is said.

use std::fs;

/// The clock of `/proc/*/stat`: `USER_HZ`, which Linux fixes at 100 for everything that user space sees.
const TICKS_PER_SECOND: f64 = 100.0;

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: f64,
    pub(super) open_fds: f64,
    /// Unix time.
    pub(super) started_seconds: f64,
}

impl Usage {
    /// Reads it now; `None` where there is no `/proc`.
    pub(super) fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The command's name is in parentheses and may hold blanks; what follows the last one does not.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // proc_pid_stat(5) numbers from 1 and the first two are cut off: utime 14, stime 15, starttime 22.
        let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let boot: f64 = field("/proc/stat", "btime ")?;
        Some(Self {
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
            resident_bytes: field("/proc/self/status", "VmRSS:")? * 1024.0,
            open_fds: fs::read_dir("/proc/self/fd").ok()?.count() as f64,
            started_seconds: boot + ticks(22)? / TICKS_PER_SECOND,
        })
    }
}

/// The number that follows `key` at the start of a line.
fn field(file: &str, key: &str) -> Option<f64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn says_what_can_be_true() {
        let usage = Usage::read().expect("/proc is there on Linux");
        assert!(usage.cpu_seconds >= 0.0);
        assert!(usage.resident_bytes > 100_000.0);
        assert!(usage.open_fds >= 3.0);
        assert!(usage.started_seconds > 1_600_000_000.0);
    }
}
