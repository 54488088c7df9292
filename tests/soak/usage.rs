//! What the process under test holds: memory, open files, threads. Linux only, like the rest of the harness.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

/// The most that any process of the run ever held, and what the last one holds now.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pid: AtomicU32,
    pub(crate) memory: Peak,
    pub(crate) files: Peak,
    pub(crate) threads: Peak,
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Peak {
    most: AtomicU64,
    now: AtomicU64,
}

impl Usage {
    /// Watches this process from now on.
    pub(crate) fn watch(&self, pid: u32) {
        self.pid.store(pid, Ordering::Relaxed);
    }

    /// Looks twice a second, for ever.
    pub(crate) async fn follow(self: Arc<Self>) {
        loop {
            // Between two processes there is nothing to see.
            let _ = self.look();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn look(&self) -> Option<()> {
        let process = format!("/proc/{}", self.pid.load(Ordering::Relaxed));
        let status = fs::read_to_string(format!("{process}/status")).ok()?;
        let number = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        self.memory.see(number("VmRSS:")? * 1024);
        self.threads.see(number("Threads:")?);
        self.files.see(fs::read_dir(format!("{process}/fd")).ok()?.count() as u64);
        Some(())
    }
}

impl Peak {
    fn see(&self, value: u64) {
        self.now.store(value, Ordering::Relaxed);
        self.most.fetch_max(value, Ordering::Relaxed);
    }

    pub(crate) fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    pub(crate) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }
}
