use std::time::{Duration, UNIX_EPOCH};

use gantry_runtime::{ByStage, Counts, Target, status::Progress};
use gantry_sdk::{Depth, Lag, Lost, PartitionLag, QueueDepth};

use super::*;

fn task(id: u32, state: TaskState) -> TaskStatus {
    let counts = Counts {
        records_in: 107,
        bytes_in: 10_700,
        records_out: 80,
        bytes_out: 9_000,
        filtered: 10,
        dropped: 3,
        dead_lettered: 5,
        returned: 7,
        in_flight: 5,
        in_flight_bytes: 500,
        batches: 12,
        commits: 11,
        reconnects: 2,
        stalls: 1,
    };
    let last_progress = Some(UNIX_EPOCH + Duration::from_millis(1_700_000_000_250));
    let lag = Lag::default();
    lag.set(vec![PartitionLag { topic: "orders".into(), partition: 2, records: 40 }]);
    let mut dead_letters = ByStage::default();
    dead_letters.add("TRANSFORMATION", 2);
    dead_letters.add("KAFKA_PRODUCE", 3);
    let depth = Depth::default();
    depth.set(vec![QueueDepth { queue: "orders".into(), records: 12 }]);
    let lost = Lost::default();
    lost.report("retention", 70, "offsets 0 to 69 of orders/2");
    TaskStatus {
        state,
        last_progress,
        epoch: 3,
        counts,
        dead_letters,
        lag,
        depth,
        lost,
        ..Progress::new(id).snapshot()
    }
}

fn bridge(name: &str, tasks: Vec<TaskStatus>) -> BridgeStatus {
    BridgeStatus { name: name.into(), target: Target::Running, tasks }
}

#[test]
fn a_histogram_in_which_nothing_is_is_left_out() {
    let observer = Metrics.task("half", 0);
    observer.received(1, 100);
    let text = text_of(&[], 1000);
    assert!(text.contains("gantry_batch_records_count{bridge=\"half\",task=\"0\"} 1"), "{text}");
    assert!(!text.contains("gantry_settle_seconds_count{bridge=\"half\""), "{text}");
}

#[test]
fn a_scrape_holds_every_metric_and_no_other() {
    let observer = Metrics.task("whole", 0);
    observer.received(1, 100);
    observer.settled(Duration::from_millis(20));
    let text = text_of(&[bridge("whole", vec![task(0, TaskState::Running)])], 1000);
    let types: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(str::to_owned).collect();
    let expected: Vec<_> = names::ALL.iter().map(|metric| format!("{} {}", metric.name, metric.kind)).collect();
    assert_eq!(types, expected);
}

#[test]
fn series_carry_bridge_and_task() {
    let text = text_of(&[bridge("a \"b\"", vec![task(0, TaskState::Running), task(1, TaskState::Failed)])], 1000);
    for line in [
        r#"gantry_records_in_total{bridge="a \"b\"",task="0"} 107"#,
        r#"gantry_records_returned_total{bridge="a \"b\"",task="1"} 7"#,
        r#"gantry_dead_letters_total{bridge="a \"b\"",task="0",stage="KAFKA_PRODUCE"} 3"#,
        r#"gantry_source_lag_records{bridge="a \"b\"",task="0",topic="orders",partition="2"} 40"#,
        r#"gantry_queue_depth{bridge="a \"b\"",task="1",queue="orders"} 12"#,
        r#"gantry_source_lost_total{bridge="a \"b\"",task="0",reason="retention"} 70"#,
        r#"gantry_task_state{bridge="a \"b\"",task="0",state="running"} 1"#,
        r#"gantry_task_state{bridge="a \"b\"",task="1",state="running"} 0"#,
        r#"gantry_task_state{bridge="a \"b\"",task="1",state="failed"} 1"#,
        r#"gantry_task_last_progress_timestamp_seconds{bridge="a \"b\"",task="0"} 1700000000.25"#,
        r#"gantry_bridge_ready{bridge="a \"b\""} 0"#,
        concat!(r#"gantry_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
    ] {
        assert!(text.lines().any(|own| own == line), "{line} is missing in\n{text}");
    }
}

#[test]
fn what_never_happened_is_absent() {
    let idle = TaskStatus { last_progress: None, ..task(0, TaskState::Starting) };
    let text = text_of(&[bridge("idle", vec![idle])], 1000);
    assert!(!text.contains("gantry_task_last_progress_timestamp_seconds"), "{text}");
    let text = text_of(&[], 1000);
    assert!(!text.contains("gantry_records_in_total") && text.contains("gantry_build_info"), "{text}");
}

#[test]
fn a_task_that_starts_again_goes_on_with_its_histograms() {
    Metrics.task("again", 4).received(3, 1);
    Metrics.task("again", 4).received(4, 1);
    let text = text_of(&[], 1000);
    assert!(text.contains("gantry_batch_records_sum{bridge=\"again\",task=\"4\"} 7"), "{text}");
}
