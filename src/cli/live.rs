//! The live lines of `gantry run` on a terminal: one a bridge, below the log.
//!
//! # Contract
//! - For a terminal, and only while nothing else writes to it: a console sink would tear the lines.
//! - The lines follow the bridges: a reload may add and remove some.
//! - Logs pass through [`Live::writer`]: each is printed whole, above the lines.
//! - Dropping [`Shown`] wipes the lines.

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{
    bridge::{Bridge, BridgeStatus, Bridges, Target, TaskState},
    printable::printable,
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

    /// Shows a line a bridge. While one has a console sink there are none: what it prints would tear them.
    pub fn show(self, bridges: Bridges) -> Shown {
        let (stop, stopped) = mpsc::channel();
        let draw = move || {
            let mut board = Board::new(self.progress);
            while stopped.recv_timeout(REFRESH) == Err(mpsc::RecvTimeoutError::Timeout) {
                if !is_gone() {
                    board.draw(&bridges);
                }
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

fn prints_records(bridges: &[Arc<Bridge>]) -> bool {
    bridges.iter().any(|bridge| {
        let definition = bridge.definition();
        let dead_letter = definition.errors.dead_letter_sink();
        definition.sink.plugin.name == CONSOLE || dead_letter.is_some_and(|sink| sink.plugin.name == CONSOLE)
    })
}

/// Whether the terminal was closed: nothing can be drawn any more.
fn is_gone() -> bool {
    !std::io::stderr().is_terminal()
}

/// Lets log lines pass.
struct Lines(MultiProgress);

impl log::Display for Lines {
    fn step_aside(&self, write: &mut dyn FnMut()) {
        // The library panics when it cannot clear the lines.
        if is_gone() { write() } else { self.0.suspend(write) }
    }
}

/// The lines and what they showed last.
struct Board {
    progress: MultiProgress,
    lines: BTreeMap<Arc<str>, (ProgressBar, Rate)>,
}

impl Board {
    fn new(progress: MultiProgress) -> Self {
        Self { progress, lines: BTreeMap::new() }
    }

    fn draw(&mut self, bridges: &Bridges) {
        let bridges = bridges.all();
        if prints_records(&bridges) {
            return self.wipe();
        }
        let names: Vec<_> = bridges.iter().map(|bridge| bridge.definition().name.clone()).collect();
        if !names.iter().eq(self.lines.keys()) {
            self.arrange(&names);
        }
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        for (bridge, (line, rate)) in bridges.iter().zip(self.lines.values_mut()) {
            let status = BridgeStatus { tasks: bridge.task_statuses(), ..bridge.status() };
            let rate = rate.next(Instant::now(), total(&status, |counts| counts.records_out));
            line.set_message(text(&status, rate, width));
        }
    }

    /// A line a name, in their order. Those that were there keep their rates.
    fn arrange(&mut self, names: &[Arc<str>]) {
        let mut before = std::mem::take(&mut self.lines);
        for name in names {
            let rate = before.get_mut(name).map(|(_, rate)| std::mem::take(rate)).unwrap_or_default();
            let line = self.progress.add(ProgressBar::no_length().with_style(plain()));
            self.lines.insert(name.clone(), (line, rate));
        }
        before.into_values().for_each(|(line, _)| self.remove(&line));
    }

    fn wipe(&mut self) {
        std::mem::take(&mut self.lines).into_values().for_each(|(line, _)| self.remove(&line));
    }

    fn remove(&self, line: &ProgressBar) {
        line.finish_and_clear();
        self.progress.remove(line);
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
        text.push_str(&printable(error));
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
