use jiff::Timestamp;
use serde_json::json;

use super::{table::age, *};

fn counts(n: u64) -> Json {
    json!({ "records_in": n, "bytes_in": 9, "records_out": n - 2, "filtered": 5, "dead_lettered": 1, "in_flight": 1, "stalls": 4 })
}

fn overview(bridges: &Json) -> Overview {
    let answer = json!({ "version": "9.9.9", "at": "2026-01-02T03:04:05.000Z", "bridges": bridges });
    serde_json::from_value(answer).expect("what the control port answers")
}

fn three() -> Overview {
    overview(&json!([
        { "name": "idle", "target": "stopped", "ready": true, "tasks": [] },
        { "name": "orders", "target": "running", "ready": false, "tasks": [
            { "task": 0, "state": "running", "error": null, "last_progress": "2026-01-02T03:04:02.000Z", "counts": counts(100),
              "lag": 40, "queue_depth": 7 },
            { "task": 1, "state": "backing_off", "error": "connecting to rabbit1.example.com:5672: connection refused by the other side",
              "next_try": "2026-01-02T03:04:39.000Z", "last_progress": null, "counts": counts(20),
              "lost": [{ "reason": "retention", "records": 70, "what": "offsets 0 to 69", "at": "2026-01-02T03:04:00.000Z" }] },
        ] },
    ]))
}

/// A terminal without colours.
const TERMINAL: Screen = Screen { width: 80, height: Some(24), colours: false };

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn people_see_a_row_a_task_and_each_error_in_full() {
    let lines = table::lines(&three(), Screen::PIPE);
    let text: Vec<_> = lines.iter().map(|line| words(line)).collect();
    assert_eq!(
        text,
        [
            "BRIDGE TASK STATE IN OUT IN FLIGHT FILTERED DEAD LAG DEPTH STALLS SETTLED",
            "orders 1 backing off 20 18 1 5 1 4 never",
            "orders 0 running 100 98 1 5 1 40 7 4 3s ago",
            "idle - stopped",
            "",
            "orders task 1 (next try in 34 s): connecting to rabbit1.example.com:5672: connection refused by the other side",
            "",
            "orders task 1: 70 records lost before they were read; the last: offsets 0 to 69",
        ]
    );
}

#[test]
fn an_error_forges_no_line_and_no_colour() {
    let mut overview = three();
    overview.bridges[1].tasks[1].error = Some("no queue\n\u{1b}[32mpayments task 0: fine".to_owned());
    overview.bridges[1].tasks[1].lost.clear();
    let lines = table::lines(&overview, Screen::PIPE);
    assert!(lines[5].ends_with(": no queue\\n\\u{1b}[32mpayments task 0: fine"), "{lines:#?}");
}

#[test]
fn what_nobody_has_is_no_column_and_everything_fits_eighty_columns() {
    let quiet = json!({ "records_in": 9_999_999, "records_out": 9_999_999, "dead_lettered": 0, "in_flight": 1 });
    let task = json!({ "task": 0, "state": "running", "last_progress": "2026-01-02T03:04:02.000Z", "counts": quiet });
    let lines = table::lines(
        &overview(&json!([{ "name": "b", "target": "running", "ready": true, "tasks": [task] }])),
        TERMINAL,
    );
    assert_eq!(words(&lines[0]), "BRIDGE TASK STATE IN OUT IN FLIGHT SETTLED");
    let lines = table::lines(&three(), TERMINAL);
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    assert_eq!(lines.last().map(|line| line.starts_with("  ")), Some(true), "a reason goes on further in: {lines:#?}");
}

#[test]
fn failed_ones_are_above_and_what_a_short_terminal_does_not_show_is_counted() {
    let bridge = |name: String, state: &str, error: Option<&str>| {
        let task = json!({ "task": 0, "state": state, "error": error, "counts": counts(9) });
        json!({ "name": name, "target": "running", "ready": error.is_none(), "tasks": [task] })
    };
    let mut bridges: Vec<_> = (0..50).map(|number| bridge(format!("b{number}"), "running", None)).collect();
    bridges.push(bridge("z".to_owned(), "failed", Some("no queue")));
    let lines = table::lines(&overview(&bridges.into()), Screen { colours: true, ..TERMINAL });
    assert_eq!(lines.len(), 23, "the prompt has one line: {lines:#?}");
    assert!(lines[1].starts_with('z') && lines[1].contains("\x1b[31mfailed"), "{lines:#?}");
    assert_eq!((lines[20].as_str(), lines[22].as_str()), ("… 32 more", "z task 0: no queue"), "{lines:#?}");
}

#[test]
fn ages_have_one_unit() {
    let then: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let after = |seconds| age(then + jiff::SignedDuration::from_secs(seconds), then);
    assert_eq!(
        [-5, 0, 59, 60, 3_599, 3_600, 86_400].map(after),
        ["0s ago", "0s ago", "59s ago", "1m ago", "59m ago", "1h ago", "1d ago"]
    );
}
