//! Metrics: what tasks observe, and the text of a scrape.
//!
//! # Contract
//! - A task resolves its handles once, with [`Metrics`]; observing is an atomic addition.
//! - Counts are not kept here. [`render`] takes them from one snapshot a task, so that
//!   `in - returned = out + filtered + dead_lettered + in_flight` holds in every scrape (I6).
//! - Every name comes from [`super::names`].

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use gantry_runtime::{Bridge, BridgeStatus, Bridges, Observer, TaskObserver, TaskState, TaskStatus};
use gantry_sdk::{Loss, PartitionLag, QueueDepth};
use prometheus::{Histogram, HistogramOpts, HistogramVec, TextEncoder, core::Collector, proto};

use super::{
    names::{self, Kind, Metric},
    process::Usage,
};

/// The version that `gantry_build_info` shows.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Observes all tasks of the process: three histograms a task.
#[derive(Debug, Clone, Copy)]
pub struct Metrics;

/// One task's histograms, resolved once.
#[derive(Debug)]
struct TaskMetrics {
    /// Records in a batch.
    batch_records: Histogram,
    /// Bytes in a batch.
    batch_bytes: Histogram,
    /// Seconds from taking a batch until its last record is settled.
    settle_seconds: Histogram,
}

impl Observer for Metrics {
    fn task(&self, bridge: &str, task: u32) -> Arc<dyn TaskObserver> {
        let histograms = &*HISTOGRAMS;
        let labels = [bridge, &task.to_string()];
        Arc::new(TaskMetrics {
            batch_records: histograms.batch_records.with_label_values(&labels),
            batch_bytes: histograms.batch_bytes.with_label_values(&labels),
            settle_seconds: histograms.settle_seconds.with_label_values(&labels),
        })
    }

    fn forget(&self, bridge: &str, task: u32) {
        let labels = [bridge, &task.to_string()];
        for histogram in [&HISTOGRAMS.settle_seconds, &HISTOGRAMS.batch_records, &HISTOGRAMS.batch_bytes] {
            // An error says only that there was none.
            let _ = histogram.remove_label_values(&labels);
        }
    }
}

impl TaskObserver for TaskMetrics {
    fn received(&self, records: usize, bytes: usize) {
        self.batch_records.observe(records as f64);
        self.batch_bytes.observe(bytes as f64);
    }

    fn settled(&self, after: Duration) {
        self.settle_seconds.observe(after.as_secs_f64());
    }
}

/// The Prometheus text of everything, as it is now; of stopped tasks, too, so that counters never go back.
pub fn render(bridges: &Bridges) -> String {
    let whole = |bridge: &Arc<Bridge>| BridgeStatus { tasks: bridge.task_statuses(), ..bridge.status() };
    text_of(&bridges.all().iter().map(whole).collect::<Vec<_>>(), bridges.budget().limit())
}

fn text_of(statuses: &[BridgeStatus], in_flight_bytes: usize) -> String {
    let mut families = of_bridges(statuses);
    families.push(family(names::BYTES_IN_FLIGHT_LIMIT, [(vec![], in_flight_bytes as f64)]));
    families.extend(HISTOGRAMS.collect());
    families.push(family(names::BUILD_INFO, [(vec![VERSION.to_owned()], 1.0)]));
    families.extend(of_process(Usage::read()));
    families.retain(|family| !family.get_metric().is_empty());
    let mut text = String::new();
    if let Err(error) = TextEncoder::new().encode_utf8(&families, &mut text) {
        // Only a family without name or metrics is refused, and there is none.
        tracing::error!("writing metrics: {error}");
    }
    text
}

// === what the process observes ===

static HISTOGRAMS: LazyLock<Histograms> = LazyLock::new(Histograms::new);

struct Histograms {
    settle_seconds: HistogramVec,
    batch_records: HistogramVec,
    batch_bytes: HistogramVec,
}

impl Histograms {
    fn new() -> Self {
        // From a local broker's confirm to the half hour after which RabbitMQ gives up on a delivery.
        let seconds =
            [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];
        let records = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0];
        let bytes = [256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];
        Self {
            settle_seconds: histogram(names::SETTLE_SECONDS, &seconds),
            batch_records: histogram(names::BATCH_RECORDS, &records),
            batch_bytes: histogram(names::BATCH_BYTES, &bytes),
        }
    }

    /// Without those in which nothing is yet: they would be most of a scrape of many idle bridges.
    fn collect(&self) -> impl Iterator<Item = proto::MetricFamily> {
        let all =
            [&self.settle_seconds, &self.batch_records, &self.batch_bytes].into_iter().flat_map(|each| each.collect());
        all.map(|mut family| {
            family.mut_metric().retain(|metric| metric.get_histogram().get_sample_count() > 0);
            family
        })
    }
}

fn histogram(Metric { name, help, labels, .. }: Metric, buckets: &[f64]) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    #[expect(clippy::expect_used, reason = "only a bad name or unsorted buckets fail, and both are constants")]
    HistogramVec::new(options, labels).expect("constant names and buckets are valid")
}

// === what is read at the scrape ===

fn of_bridges(statuses: &[BridgeStatus]) -> Vec<proto::MetricFamily> {
    let tasks = || statuses.iter().flat_map(|bridge| bridge.tasks.iter().map(move |task| (bridge, task)));
    let labels = |bridge: &BridgeStatus, task: &TaskStatus| vec![bridge.name.to_string(), task.id.to_string()];
    let by_task = |metric: Metric, value: fn(&TaskStatus) -> Option<f64>| {
        family(metric, tasks().filter_map(|(bridge, task)| Some((labels(bridge, task), value(task)?))))
    };
    let states = tasks().flat_map(|(bridge, task)| {
        TaskState::ALL.map(|state| {
            let mut labels = labels(bridge, task);
            labels.push(state.as_str().to_owned());
            (labels, f64::from(u8::from(task.state == state)))
        })
    });
    let stages = tasks().flat_map(|(bridge, task)| {
        task.dead_letters.iter().map(move |(stage, records)| {
            let mut labels = labels(bridge, task);
            labels.push(stage.to_owned());
            (labels, records as f64)
        })
    });
    let lags = tasks().flat_map(|(bridge, task)| {
        task.lag.get().into_iter().map(move |PartitionLag { topic, partition, records }| {
            let mut labels = labels(bridge, task);
            labels.extend([topic.to_string(), partition.to_string()]);
            (labels, records as f64)
        })
    });
    let depths = tasks().flat_map(|(bridge, task)| {
        task.depth.get().into_iter().map(move |QueueDepth { queue, records }| {
            let mut labels = labels(bridge, task);
            labels.push(queue.to_string());
            (labels, records as f64)
        })
    });
    let losses = tasks().flat_map(|(bridge, task)| {
        task.lost.get().into_iter().map(move |Loss { reason, records, .. }| {
            let mut labels = labels(bridge, task);
            labels.push(reason.to_owned());
            (labels, records as f64)
        })
    });
    let ready = statuses.iter().map(|bridge| (vec![bridge.name.to_string()], f64::from(u8::from(bridge.is_ready()))));
    vec![
        by_task(names::RECORDS_IN, |task| Some(task.counts.records_in as f64)),
        by_task(names::BYTES_IN, |task| Some(task.counts.bytes_in as f64)),
        by_task(names::RECORDS_OUT, |task| Some(task.counts.records_out as f64)),
        by_task(names::BYTES_OUT, |task| Some(task.counts.bytes_out as f64)),
        by_task(names::RECORDS_FILTERED, |task| Some(task.counts.filtered as f64)),
        by_task(names::RECORDS_DROPPED, |task| Some(task.counts.dropped as f64)),
        by_task(names::RECORDS_DEAD_LETTERED, |task| Some(task.counts.dead_lettered as f64)),
        family(names::DEAD_LETTERS, stages),
        by_task(names::RECORDS_RETURNED, |task| Some(task.counts.returned as f64)),
        by_task(names::RECORDS_IN_FLIGHT, |task| Some(task.counts.in_flight as f64)),
        by_task(names::BYTES_IN_FLIGHT, |task| Some(task.counts.in_flight_bytes as f64)),
        by_task(names::BATCHES, |task| Some(task.counts.batches as f64)),
        by_task(names::COMMITS, |task| Some(task.counts.commits as f64)),
        by_task(names::RECONNECTS, |task| Some(task.counts.reconnects as f64)),
        by_task(names::STALLS, |task| Some(task.counts.stalls as f64)),
        family(names::SOURCE_LAG, lags),
        family(names::QUEUE_DEPTH, depths),
        family(names::SOURCE_LOST, losses),
        family(names::TASK_STATE, states),
        by_task(names::TASK_EPOCH, |task| Some(task.epoch as f64)),
        by_task(names::TASK_LAST_PROGRESS, |task| {
            let since_epoch = task.last_progress?.duration_since(std::time::UNIX_EPOCH).ok()?;
            Some(since_epoch.as_secs_f64())
        }),
        family(names::BRIDGE_READY, ready),
    ]
}

fn of_process(usage: Option<Usage>) -> Vec<proto::MetricFamily> {
    let Some(usage) = usage else { return Vec::new() };
    [
        (names::PROCESS_CPU, usage.cpu_seconds),
        (names::PROCESS_MEMORY, usage.resident_bytes),
        (names::PROCESS_OPEN_FDS, usage.open_fds),
        (names::PROCESS_START, usage.started_seconds),
    ]
    .map(|(metric, value)| family(metric, [(Vec::new(), value)]))
    .into()
}

/// One metric with its series: label values in the order of the metric's labels, and a number.
fn family(metric: Metric, series: impl IntoIterator<Item = (Vec<String>, f64)>) -> proto::MetricFamily {
    let mut family = proto::MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(match metric.kind {
        Kind::Counter => proto::MetricType::COUNTER,
        Kind::Gauge | Kind::Histogram => proto::MetricType::GAUGE,
    });
    let one = |(values, value): (Vec<String>, f64)| {
        let labels = metric.labels.iter().zip(values).map(|(name, value)| label(name, value)).collect();
        let mut one = proto::Metric::from_label(labels);
        if metric.kind == Kind::Counter {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            one.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            one.set_gauge(gauge);
        }
        one
    };
    family.set_metric(series.into_iter().map(one).collect());
    family
}

fn label(name: &str, value: String) -> proto::LabelPair {
    let mut pair = proto::LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value);
    pair
}

#[cfg(test)]
mod tests;
