//! The live lines of `gantry run` on a terminal: one a bridge, below the log.
//!
//! # Contract
//! - For a terminal, and only while nothing else writes to it: a console sink would tear the lines.
//! - Logs pass through [`Live::writer`]: each is printed whole, above the lines.
//! - Dropping [`Shown`] wipes the lines.

use std::{
    collections::HashMap,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{
    bridge::{BridgeStatus, Bridges, Target, TaskState},
    telemetry::log,
};

/// How often lines change: fast enough to look alive, slow enough to read.
const REFRESH: Duration = Duration::from_millis(500);

/// The sink that prints records to stdout.
const CONSOLE: &str = "console";

/// The terminal, before there is anything to show: logs already pass through it.
#[derive(Debug, Default)]
pub struct Live {
    progress: MultiProgress,
}

/// The lines; they are there until this is dropped.
#[derive(Debug)]
pub struct Shown {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    /// Takes over the terminal on stderr; draws nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The way for log lines to pass.
    pub fn writer(&self) -> Arc<dyn log::Display> {
        Arc::new(Lines(self.progress.clone()))
    }

    /// Shows a line a bridge. With a console sink there are none: what it prints would tear them.
    pub fn show(self, bridges: Bridges) -> Shown {
        let (stop, stopped) = mpsc::channel();
        if prints_records(&bridges) {
            return Shown { stop: None, thread: None };
        }
        let draw = move || {
            let mut board = Board::new(self.progress, &bridges);
            while stopped.recv_timeout(REFRESH) == Err(mpsc::RecvTimeoutError::Timeout) {
                board.draw(&bridges);
            }
            board.wipe();
        };
        // A thread of its own: drawing blocks on the terminal, and must not hold up anything that moves records.
        let thread = std::thread::Builder::new().name("live".to_owned()).spawn(draw).ok();
        Shown { stop: Some(stop), thread }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends at once; if it panicked, the lines are gone all the same.
            let _ = thread.join();
        }
    }
}

fn prints_records(bridges: &Bridges) -> bool {
    bridges.all().iter().any(|bridge| {
        let definition = bridge.definition();
        let dead_letter = definition.errors.dead_letter.as_ref();
        definition.sink.plugin.name == CONSOLE || dead_letter.is_some_and(|sink| sink.plugin.name == CONSOLE)
    })
}

/// Lets log lines pass.
struct Lines(MultiProgress);

impl log::Display for Lines {
    fn step_aside(&self, write: &mut dyn FnMut()) {
        self.0.suspend(write);
    }
}

/// The lines and what they showed last.
struct Board {
    progress: MultiProgress,
    lines: HashMap<Arc<str>, (ProgressBar, Rate)>,
    width: usize,
}

impl Board {
    fn new(progress: MultiProgress, bridges: &Bridges) -> Self {
        let width = bridges.all().iter().map(|bridge| bridge.definition().name.chars().count()).max().unwrap_or(0);
        Self { progress, lines: HashMap::new(), width }
    }

    fn draw(&mut self, bridges: &Bridges) {
        for bridge in bridges.all() {
            let status = BridgeStatus { tasks: bridge.task_statuses(), ..bridge.status() };
            let (line, rate) = self.lines.entry(status.name.clone()).or_insert_with(|| {
                let line = self.progress.add(ProgressBar::no_length().with_style(plain()));
                (line, Rate::default())
            });
            let rate = rate.next(Instant::now(), total(&status, |counts| counts.records_out));
            line.set_message(text(&status, rate, self.width));
        }
    }

    fn wipe(&mut self) {
        self.lines.values().for_each(|(line, _)| line.finish_and_clear());
    }
}

fn plain() -> ProgressStyle {
    // A bar without length and spinner is a line of text.
    ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Records a second between two looks.
#[derive(Debug, Default)]
struct Rate {
    last: Option<(Instant, u64)>,
}

impl Rate {
    fn next(&mut self, now: Instant, count: u64) -> f64 {
        let rate = self.last.map_or(0.0, |(then, before)| {
            let seconds = now.saturating_duration_since(then).as_secs_f64();
            if seconds > 0.0 { count.saturating_sub(before) as f64 / seconds } else { 0.0 }
        });
        self.last = Some((now, count));
        rate
    }
}

fn total(status: &BridgeStatus, count: impl Fn(&crate::bridge::Counts) -> u64) -> u64 {
    status.tasks.iter().map(|task| count(&task.counts)).sum()
}

/// `orders  running   1200/s   1234567 out   17 in flight   0 dead-lettered`, and an error if there is one.
fn text(status: &BridgeStatus, rate: f64, width: usize) -> String {
    let sum = |count: fn(&crate::bridge::Counts) -> u64| total(status, count);
    let mut text = format!(
        "{:width$}  {:<12} {rate:>9.0}/s {:>12} out {:>8} in flight {:>6} dead-lettered",
        status.name,
        word(status),
        sum(|counts| counts.records_out),
        sum(|counts| counts.in_flight),
        sum(|counts| counts.dead_lettered),
    );
    if let Some(error) = status.tasks.iter().find_map(|task| task.error.as_deref()) {
        text.push_str("  ");
        text.push_str(error);
    }
    text
}

/// One word for all tasks: the one that needs attention most.
fn word(status: &BridgeStatus) -> String {
    const BY_URGENCY: [TaskState; 8] = [
        TaskState::Failed,
        TaskState::BackingOff,
        TaskState::Starting,
        TaskState::Stopping,
        TaskState::Running,
        TaskState::Paused,
        TaskState::Stopped,
        TaskState::Finished,
    ];
    let worst = BY_URGENCY.into_iter().find(|state| status.tasks.iter().any(|task| task.state == *state));
    match worst {
        Some(state) => state.as_str().replace('_', " "),
        None if status.target == Target::Stopped => TaskState::Stopped.as_str().to_owned(),
        None => TaskState::Starting.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests;
