use super::*;
use gantry_runtime::{Counts, Target, TaskState, TaskStatus, status::Progress};

fn task(state: TaskState, records_out: u64, error: Option<&str>) -> TaskStatus {
    let counts =
        Counts { records_in: records_out + 3, records_out, in_flight: 2, dead_lettered: 1, ..Counts::default() };
    TaskStatus { state, error: error.map(Into::into), epoch: 1, counts, ..Progress::new(0).snapshot() }
}

fn bridge(tasks: Vec<TaskStatus>) -> BridgeStatus {
    BridgeStatus { name: "orders".into(), target: Target::Running, tasks }
}

fn shown(status: BridgeStatus, rate: f64, width: usize) -> Vec<String> {
    frame::lines(vec![(status, rate)], Screen { width, ..Screen::PIPE }, SystemTime::now())
}

/// Its words, one space between.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_line_sums_up_the_tasks() {
    let mut one = task(TaskState::Running, 100, None);
    one.counts.filtered = 7;
    one.lag.set(vec![gantry_sdk::PartitionLag { topic: "t".into(), partition: 0, records: 40 }]);
    let lines = shown(bridge(vec![one, task(TaskState::Running, 50, None)]), 1200.4, 100);
    assert_eq!(
        words(&lines[0]),
        "orders running 1200/s 150 out 4 in flight 7 filtered 2 dead-lettered 40 behind",
        "{lines:?}"
    );
    assert_eq!(lines.len(), 1);
}

#[test]
fn a_bridge_shows_the_task_that_needs_attention_and_when_it_tries_again() {
    let mut failing = task(TaskState::BackingOff, 1, Some("connecting to rabbit1.example.com:5672: refused"));
    failing.next_try = Some(SystemTime::now() + Duration::from_secs(30));
    let lines = shown(bridge(vec![task(TaskState::Running, 1, None), failing]), 0.0, 80);
    assert!(lines[0].starts_with("orders  backing off ") && lines[0].contains("next try in 30 s"), "{lines:?}");
    assert_eq!(lines[1], "        connecting to rabbit1.example.com:5672: refused");
    let narrow = shown(bridge(vec![task(TaskState::Failed, 1, Some(&"why ".repeat(50)))]), 0.0, 40);
    assert_eq!(narrow.len(), 4);
    assert!(narrow.iter().all(|line| line.chars().count() < 40) && narrow[3].ends_with('…'), "{narrow:?}");
}

#[test]
fn what_failed_comes_first_and_what_does_not_fit_is_counted() {
    let named =
        |name: String, state, error| (BridgeStatus { name: name.into(), ..bridge(vec![task(state, 1, error)]) }, 0.0);
    let mut bridges: Vec<_> = (0..30).map(|number| named(format!("b{number:02}"), TaskState::Running, None)).collect();
    bridges.push(named("z".to_owned(), TaskState::Failed, Some("no queue")));
    let screen = Screen { height: Some(10), ..Screen::PIPE };
    let lines = frame::lines(bridges.clone(), screen, SystemTime::now());
    assert_eq!(lines.len(), 9, "one is left for the log");
    assert!(lines[0].starts_with("z ") && lines[1].contains("no queue") && lines[2].starts_with("b00 "), "{lines:?}");
    assert_eq!(lines[8], "… 24 more");
    let coloured = frame::lines(bridges, Screen { colours: true, ..screen }, SystemTime::now());
    assert!(coloured[0].contains("\x1b[31mfailed") && coloured[2].contains("\x1b[32mrunning"), "{coloured:?}");
}

#[test]
fn a_bridge_without_tasks_is_what_its_target_says() {
    let state = |status| words(&shown(status, 0.0, 100)[0]).split(' ').nth(1).map(str::to_owned);
    assert_eq!(state(bridge(Vec::new())).as_deref(), Some("starting"));
    assert_eq!(state(BridgeStatus { target: Target::Stopped, ..bridge(Vec::new()) }).as_deref(), Some("stopped"));
}

#[test]
fn a_rate_is_taken_over_five_seconds() {
    let mut rate = Rate::default();
    let start = Instant::now();
    assert_eq!(rate.next(start, 500), 0.0, "nothing to compare with yet");
    assert_eq!(rate.next(start + REFRESH, 1500), 2000.0);
    assert_eq!(rate.next(start + 2 * REFRESH, 100), 0.0, "never below zero");
    // One a second: most looks see none, and it shows all the same.
    let mut slow = Rate::default();
    let shown: Vec<_> = (0..60).map(|look| slow.next(start + look * REFRESH, u64::from(look) / 2)).collect();
    assert!(shown[10..].iter().all(|rate| (0.8..=1.2).contains(rate)), "{shown:?}");
}
