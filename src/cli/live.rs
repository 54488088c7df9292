//! The live lines of `gantry run` on a terminal: bridges below the log, those first that need a person.
//!
//! # Contract
//! - For a terminal, and only while nothing else writes to it: a sink that prints would tear the lines.
//! - The lines follow the bridges, and the size of the terminal: there are never more than fit.
//! - Logs pass through [`Live::writer`]: each is printed whole, above the lines.
//! - Dropping [`Shown`] wipes the lines.

mod canvas;
mod frame;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use console::Term;
use gantry_runtime::{Bridge, BridgeStatus, Bridges};

use self::canvas::{Canvas, is_gone};
use super::display::Screen;
use crate::telemetry::log;

/// How often lines change: fast enough to look alive, slow enough to read.
const REFRESH: Duration = Duration::from_millis(500);
/// Over how long a rate is taken: a bridge at one a second shows that.
const WINDOW: Duration = Duration::from_secs(5);

/// The terminal, before there is anything to show: logs already pass through it.
#[derive(Debug, Default)]
pub struct Live {
    canvas: Arc<Canvas>,
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
        self.canvas.clone()
    }

    /// Shows the bridges. While one has a sink that prints there are no lines: what it prints would tear them.
    pub fn show(self, bridges: Bridges) -> Shown {
        let (stop, stopped) = mpsc::channel();
        let draw = move || {
            let mut rates = Rates::default();
            while stopped.recv_timeout(REFRESH) == Err(mpsc::RecvTimeoutError::Timeout) {
                if !is_gone() {
                    self.canvas.show(rates.lines(&bridges));
                }
            }
            self.canvas.show(Vec::new());
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
        let sinks = definition.sinks.iter().map(|branch| &branch.sink);
        sinks.chain(definition.errors.dead_letter_sink()).any(|sink| sink.plugin.prints)
    })
}

/// How fast each bridge is.
#[derive(Debug, Default)]
struct Rates {
    bridges: BTreeMap<Arc<str>, Rate>,
}

impl Rates {
    /// What is to be shown now.
    fn lines(&mut self, bridges: &Bridges) -> Vec<String> {
        let bridges = bridges.all();
        if prints_records(&bridges) {
            return Vec::new();
        }
        let mut before = std::mem::take(&mut self.bridges);
        let now = Instant::now();
        let mut shown = Vec::with_capacity(bridges.len());
        for bridge in &bridges {
            let status = BridgeStatus { tasks: bridge.task_statuses(), ..bridge.status() };
            let mut rate = before.remove(&status.name).unwrap_or_default();
            let out = status.tasks.iter().map(|task| task.counts.records_out).sum();
            let a_second = rate.next(now, out);
            self.bridges.insert(status.name.clone(), rate);
            shown.push((status, a_second));
        }
        let screen = Screen::of(&std::io::stderr(), &Term::stderr());
        frame::lines(shown, screen, SystemTime::now())
    }
}

/// Records a second, over a window.
#[derive(Debug, Default)]
struct Rate {
    looks: VecDeque<(Instant, u64)>,
}

impl Rate {
    fn next(&mut self, now: Instant, count: u64) -> f64 {
        self.looks.push_back((now, count));
        // One look stays that is as old as the window, or older.
        while self.looks.get(1).is_some_and(|(then, _)| now.saturating_duration_since(*then) >= WINDOW) {
            self.looks.pop_front();
        }
        let Some((then, before)) = self.looks.front() else { return 0.0 };
        let seconds = now.saturating_duration_since(*then).as_secs_f64();
        if seconds > 0.0 { count.saturating_sub(*before) as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests;
