//! A program under measurement: started, watched, stopped.

use std::{
    fs::File,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{footprint::Footprint, usage::CpuClock};

/// How long a program may take to end after SIGTERM; gantry's own deadline for draining is as long.
const END_DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks at something that comes soon.
pub(crate) const LOOK: Duration = Duration::from_millis(10);

/// A running program. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
    log: PathBuf,
    pub(crate) cpu: CpuClock,
}

impl Process {
    /// Starts it; all it says goes to a log in `directory`.
    pub(crate) fn start(mut command: Command, name: &str, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        // A process group of its own: Ctrl-C is for us, and ends it by our hand.
        command.process_group(0).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        let cpu = CpuClock::of(i32::try_from(child.id())?)?;
        Ok(Self { child, name: name.to_owned(), log, cpu })
    }

    /// An error with the end of its log when it has ended, which it should not.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.complaint(&format!("ended with {status}"))),
        }
    }

    /// What it holds.
    pub(crate) fn footprint(&self) -> Footprint {
        Footprint::of(self.child.id())
    }

    /// Asks it to end, and waits until it has, having finished what it was doing.
    pub(crate) async fn terminate(mut self) -> Result<()> {
        self.check()?;
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM).context("sending SIGTERM")?;
        self.wait(END_DEADLINE).await
    }

    /// Waits for its end, which must be a good one.
    pub(crate) async fn wait(&mut self, deadline: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            match self.child.try_wait()? {
                Some(status) => return self.judge(status),
                None if started.elapsed() > deadline => {
                    return Err(self.complaint(&format!("did not end within {deadline:?}")));
                }
                None => tokio::time::sleep(LOOK).await,
            }
        }
    }

    fn judge(&self, status: ExitStatus) -> Result<()> {
        if status.success() { Ok(()) } else { Err(self.complaint(&format!("ended with {status}"))) }
    }

    /// What went wrong, with the last lines of the log.
    pub(crate) fn complaint(&self, what: &str) -> anyhow::Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n    ");
        anyhow::anyhow!("{} {what}; its last words:\n    {last}", self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when it has ended already, and that is all that is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for an answer, looking again and again; an error that says what was waited for when it does not come.
pub(crate) async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if started.elapsed() > deadline {
            bail!("waited {deadline:?} in vain for this: {what}");
        }
        tokio::time::sleep(LOOK).await;
    }
}
