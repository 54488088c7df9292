//! What the live lines say: a line a bridge, and below it why it is not well.

use std::time::SystemTime;

use gantry_runtime::{BridgeStatus, Counts, Target, TaskState, TaskStatus};

use super::super::display::{Screen, Tone, count, next_try, rate, truncate, urgency, wrap};

/// Lines that a reason may take.
const REASON: usize = 3;
/// Names are cut off at so many columns.
const NAME: usize = 30;
/// The longest word for a state.
const STATE: usize = 11;

/// The lines for these bridges with their rates: as many as fit, those first that need a person.
pub(super) fn lines(mut bridges: Vec<(BridgeStatus, f64)>, screen: Screen, now: SystemTime) -> Vec<String> {
    bridges.sort_by_key(|(status, _)| (worst(status).0, status.name.clone()));
    let width = bridges.iter().map(|(status, _)| status.name.chars().count()).max().unwrap_or(0).min(NAME);
    // One line is left for the log.
    let room = screen.height.map_or(usize::MAX, |height| height.saturating_sub(1).max(1));
    let mut lines = Vec::new();
    for (index, (status, rate)) in bridges.iter().enumerate() {
        let block = block(status, *rate, width, screen, now);
        let left = bridges.len() - index;
        let needed = block.len() + usize::from(left > 1);
        if lines.len() + needed > room && !(left == 1 && lines.len() + block.len() <= room) {
            lines.push(format!("… {left} more"));
            break;
        }
        lines.extend(block);
    }
    lines.truncate(room);
    lines
}

/// `orders  running   1200/s   1234567 out   17 in flight  3 filtered`, and the reason if there is one to tell.
fn block(status: &BridgeStatus, a_second: f64, width: usize, screen: Screen, now: SystemTime) -> Vec<String> {
    let sum = |each: fn(&Counts) -> u64| status.tasks.iter().map(|task| each(&task.counts)).sum::<u64>();
    let (_, tone, word) = worst(status);
    let mut line = format!(
        "{:width$}  {}  {:>8} {:>8} out {:>6} in flight",
        truncate(&status.name, NAME),
        screen.paint(tone, &format!("{word:<STATE$}")),
        rate(a_second),
        count(sum(|counts| counts.records_out)),
        count(sum(|counts| counts.in_flight)),
    );
    if let Some(at) = status.tasks.iter().filter_map(|task| task.next_try).min() {
        line.push_str(&format!("  {}", next_try(now, at)));
    }
    for (number, what) in [
        (sum(|counts| counts.filtered), "filtered"),
        (sum(|counts| counts.dead_lettered), "dead-lettered"),
        (status.tasks.iter().map(lag).sum(), "behind"),
        (status.tasks.iter().map(depth).sum(), "in queues"),
    ] {
        if number > 0 {
            line.push_str(&format!("  {} {what}", count(number)));
        }
    }
    // The last column stays free: some terminals break a line that reaches it.
    let columns = screen.width - 1;
    let mut lines = vec![truncate(&line, columns)];
    if let Some(reason) = status.tasks.iter().find_map(|task| task.error.as_deref()) {
        let indent = (width + 2).min(screen.width / 4);
        let reason = wrap(reason, columns - indent, REASON);
        lines.extend(reason.iter().map(|line| format!("{:indent$}{}", "", screen.paint(tone, line))));
    }
    lines
}

fn lag(task: &TaskStatus) -> u64 {
    task.lag.get().iter().map(|partition| partition.records).sum()
}

fn depth(task: &TaskStatus) -> u64 {
    task.depth.get().iter().map(|queue| queue.records).sum()
}

/// The task that needs attention most: how much, how it looks, and its state in a word.
fn worst(status: &BridgeStatus) -> (usize, Tone, String) {
    let of = |state: TaskState, complains: bool| {
        let (urgency, tone) = urgency(state.as_str(), complains);
        (urgency, tone, state.as_str().replace('_', " "))
    };
    let tasks = status.tasks.iter().map(|task| of(task.state, task.error.is_some()));
    tasks.min_by_key(|(urgency, ..)| *urgency).unwrap_or_else(|| match status.target {
        Target::Stopped => of(TaskState::Stopped, false),
        Target::Running | Target::Paused => of(TaskState::Starting, false),
    })
}
