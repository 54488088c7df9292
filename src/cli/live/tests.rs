use super::*;
use crate::bridge::{Counts, TaskStatus, status::Progress};

fn task(state: TaskState, records_out: u64, error: Option<&str>) -> TaskStatus {
    let counts =
        Counts { records_in: records_out + 3, records_out, in_flight: 2, dead_lettered: 1, ..Counts::default() };
    TaskStatus { state, error: error.map(Into::into), epoch: 1, counts, ..Progress::new(0).snapshot() }
}

fn bridge(tasks: Vec<TaskStatus>) -> BridgeStatus {
    BridgeStatus { name: "orders".into(), target: Target::Running, tasks }
}

#[test]
fn a_line_sums_up_the_tasks() {
    let status = bridge(vec![task(TaskState::Running, 100, None), task(TaskState::Running, 50, None)]);
    let words: Vec<_> = text(&status, 1200.4, 8).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words.join(" "), "orders running 1200/s 150 out 4 in flight 2 dead-lettered");
}

#[test]
fn a_line_shows_the_task_that_needs_attention() {
    let status =
        bridge(vec![task(TaskState::Running, 1, None), task(TaskState::BackingOff, 1, Some("connecting: refused"))]);
    let text = text(&status, 0.0, 6);
    assert!(text.starts_with("orders  backing off ") && text.ends_with("dead-lettered  connecting: refused"), "{text}");
}

#[test]
fn a_bridge_without_tasks_is_what_its_target_says() {
    assert_eq!(word(&bridge(Vec::new())), "starting");
    assert_eq!(word(&BridgeStatus { target: Target::Stopped, ..bridge(Vec::new()) }), "stopped");
}

#[test]
fn a_rate_is_what_came_since_the_last_look() {
    let mut rate = Rate::default();
    let start = Instant::now();
    let second = Duration::from_secs(1);
    assert_eq!(rate.next(start, 500), 0.0, "nothing to compare with yet");
    assert_eq!(rate.next(start + second / 2, 1500), 2000.0);
    assert_eq!(rate.next(start + second / 2, 1600), 0.0, "no time has passed");
    assert_eq!(rate.next(start + second, 100), 0.0, "never below zero");
}
