//! Every metric there is.
//!
//! Names follow Prometheus: base units, `_total` on counters. docs/operations/metrics.md shows this table; a test
//! compares the two.

use std::fmt;

/// One metric: its name, type, labels and meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// What a query calls it.
    pub name: &'static str,
    /// How its values behave.
    pub kind: Kind,
    /// What tells its series apart.
    pub labels: &'static [&'static str],
    /// What it counts, for `# HELP` and the documentation.
    pub help: &'static str,
}

/// How values behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

const TASK: &[&str] = &["bridge", "task"];
const TASK_AND_PARTITION: &[&str] = &["bridge", "task", "topic", "partition"];
const TASK_AND_STAGE: &[&str] = &["bridge", "task", "stage"];
const TASK_AND_QUEUE: &[&str] = &["bridge", "task", "queue"];
const TASK_AND_REASON: &[&str] = &["bridge", "task", "reason"];
const TASK_AND_STATE: &[&str] = &["bridge", "task", "state"];
const BRIDGE: &[&str] = &["bridge"];
const VERSION: &[&str] = &["version"];
const NONE: &[&str] = &[];

/// Defines one constant a metric, and `ALL` of them.
macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal $labels:ident, $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $constant: Metric =
                Metric { name: $name, kind: Kind::$kind, labels: $labels, help: $help };
        )+

        /// All metrics, in the order of a scrape and of the documentation.
        pub const ALL: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    RECORDS_IN: Counter "gantry_records_in_total" TASK, "Records that the source gave; a redelivered record counts again.";
    BYTES_IN: Counter "gantry_bytes_in_total" TASK, "Bytes of the records that the source gave.";
    RECORDS_OUT: Counter "gantry_records_out_total" TASK, "Records of the source that are delivered: the sink confirmed all that became of them.";
    BYTES_OUT: Counter "gantry_bytes_out_total" TASK, "Bytes of the settled records, as the source gave them.";
    RECORDS_FILTERED: Counter "gantry_records_filtered_total" TASK, "Records that an explicit rule dropped.";
    RECORDS_DROPPED: Counter "gantry_records_dropped_total" TASK, "Refused records that errors.tolerance dropped; they count as filtered, too.";
    RECORDS_DEAD_LETTERED: Counter "gantry_records_dead_lettered_total" TASK, "Records whose dead letter is confirmed.";
    DEAD_LETTERS: Counter "gantry_dead_letters_total" TASK_AND_STAGE, "Confirmed dead letters by the part that refused the record: TRANSFORMATION, KAFKA_PRODUCE and so on.";
    RECORDS_RETURNED: Counter "gantry_records_returned_total" TASK, "Records given back to the source unsettled; it delivers them again.";
    RECORDS_IN_FLIGHT: Gauge "gantry_records_in_flight" TASK, "Records that the source gave and nobody has settled yet.";
    BYTES_IN_FLIGHT: Gauge "gantry_bytes_in_flight" TASK, "Bytes of the records in flight.";
    BATCHES: Counter "gantry_batches_total" TASK, "Batches that the source gave.";
    COMMITS: Counter "gantry_commits_total" TASK, "Commits to the source.";
    RECONNECTS: Counter "gantry_reconnects_total" TASK, "Times that the task started again after an error.";
    STALLS: Counter "gantry_stalls_total" TASK, "Times that the task started again because nothing moved although it could.";
    SOURCE_LAG: Gauge "gantry_source_lag_records" TASK_AND_PARTITION, "Records of the partition that the source has not handed out yet.";
    QUEUE_DEPTH: Gauge "gantry_queue_depth" TASK_AND_QUEUE, "Records that wait in the source's queue; what a consumer holds does not count.";
    SOURCE_LOST: Counter "gantry_source_lost_total" TASK_AND_REASON, "Records that were gone at the source's broker before they were read; absent while there are none.";
    TASK_STATE: Gauge "gantry_task_state" TASK_AND_STATE, "1 for the state that the task is in, 0 for the others.";
    TASK_EPOCH: Gauge "gantry_task_epoch" TASK, "The incarnation of the task's lanes; it grows with every reconnect.";
    TASK_LAST_PROGRESS: Gauge "gantry_task_last_progress_timestamp_seconds" TASK, "When a record was last settled, in Unix time; absent before the first.";
    BRIDGE_READY: Gauge "gantry_bridge_ready" BRIDGE, "1 when the bridge does what is wanted of it, else 0.";
    BYTES_IN_FLIGHT_LIMIT: Gauge "gantry_bytes_in_flight_limit" NONE, "Bytes that may be in flight in all tasks together.";
    SETTLE_SECONDS: Histogram "gantry_settle_seconds" TASK, "Seconds from taking a batch from the source until its last record is settled.";
    BATCH_RECORDS: Histogram "gantry_batch_records" TASK, "Records in a batch.";
    BATCH_BYTES: Histogram "gantry_batch_bytes" TASK, "Bytes in a batch.";
    BUILD_INFO: Gauge "gantry_build_info" VERSION, "1, with the version as label.";
    PROCESS_CPU: Counter "process_cpu_seconds_total" NONE, "User and system CPU time spent, in seconds.";
    PROCESS_MEMORY: Gauge "process_resident_memory_bytes" NONE, "Resident memory.";
    PROCESS_OPEN_FDS: Gauge "process_open_fds" NONE, "Open file descriptors.";
    PROCESS_START: Gauge "process_start_time_seconds" NONE, "When the process started, in Unix time.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follow_the_conventions_of_prometheus() {
        for metric in ALL {
            let Metric { name, kind, .. } = metric;
            assert!(name.starts_with("gantry_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert_eq!(ALL.iter().filter(|other| other.name == *name).count(), 1, "{name} is there once");
        }
    }

    #[test]
    fn documentation_shows_the_same_table() {
        let page = include_str!("../../docs/operations/metrics.md");
        let documented: Vec<_> =
            page.lines().filter(|line| line.starts_with("| `gantry_") || line.starts_with("| `process_")).collect();
        let row = |Metric { name, kind, labels, help }: &Metric| {
            format!("| `{name}` | {kind} | {} | {help} |", labels.join(", "))
        };
        assert_eq!(documented, ALL.iter().map(row).collect::<Vec<_>>());
    }
}
