//! What gantry itself costs: records from a generator into nothing, without a broker.
//!
//! The CPU time of the whole process, divided by its records; starting and ending, measured with a single record, is taken
//! off. It contains making the records, which no real bridge does. So the same generator is also run by itself, in this
//! process, and the difference is the path: credit, batches, transforms, receipts, ledger, counting.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use gantry_sdk::{Limits, Polled, plugin::Context};
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::{
    contender::Starter,
    usage::{ended_cpu, own_cpu},
};

/// How long a run may take.
const DEADLINE: Duration = Duration::from_secs(600);
/// What gantry asks a source for at a time.
const LIMITS: Limits = Limits { records: 500, bytes: 4 << 20 };

/// One workload, measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OwnCost {
    pub(crate) workload: &'static str,
    pub(crate) runs: Vec<OwnRun>,
}

/// One run of it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct OwnRun {
    /// The whole process.
    pub(crate) cpu_ns_per_record: f64,
    /// Making and dropping the records, which is part of it.
    pub(crate) making_ns_per_record: f64,
    pub(crate) records_per_second: f64,
}

impl OwnRun {
    /// The path alone.
    pub(crate) fn path_ns_per_record(&self) -> f64 {
        self.cpu_ns_per_record - self.making_ns_per_record
    }
}

/// What is generated, and what happens to it.
struct Workload {
    name: &'static str,
    source: Json,
    transforms: Json,
}

/// Measures every workload.
pub(crate) async fn measure(starter: &Starter, records: u64, rounds: u32) -> Result<Vec<OwnCost>> {
    let mut costs = Vec::new();
    for workload in workloads() {
        eprintln!("generator to null, {}", workload.name);
        let mut runs = Vec::new();
        for _ in 0..rounds {
            let run = workload.measure(starter, records).await?;
            eprintln!(
                "  {:.0} ns CPU a record, {:.0} of it to make it",
                run.cpu_ns_per_record, run.making_ns_per_record
            );
            runs.push(run);
        }
        costs.push(OwnCost { workload: workload.name, runs });
    }
    Ok(costs)
}

fn workloads() -> [Workload; 4] {
    // Two of the headers differ from record to record, so every record has a list of its own, as from a broker.
    let headers = json!({
        "message_id": "order-{n}",
        "headers": { "tenant": "t{n%3}", "trace-id": "{n}", "source": "shop", "attempt": "1", "test": "false" },
    });
    // One that writes to every record, one that reads every record.
    let transforms = json!([
        { "headers": { "set": { "region": "eu" } } },
        { "filter": { "drop": { "field": "header.tenant", "equals": "none" } } },
    ]);
    // Text in the middle of the body, behind a number; the whole body is gone over.
    let field = json!([{ "filter": { "drop": { "field": "value.check", "equals": "none" } } }]);
    [
        Workload { name: "no headers", source: json!({}), transforms: json!([]) },
        Workload { name: "headers", source: headers.clone(), transforms: json!([]) },
        Workload { name: "headers, set one, filter", source: headers, transforms },
        Workload { name: "no headers, filter by a JSON field", source: json!({}), transforms: field },
    ]
}

impl Workload {
    async fn measure(&self, starter: &Starter, records: u64) -> Result<OwnRun> {
        let start = self.run(starter, 1).await?;
        let whole = self.run(starter, records).await?;
        let making = self.make(records).await?;
        let count = records as f64;
        Ok(OwnRun {
            cpu_ns_per_record: whole.cpu.saturating_sub(start.cpu).as_nanos() as f64 / count,
            making_ns_per_record: making.as_nanos() as f64 / count,
            records_per_second: count / whole.time.saturating_sub(start.time).as_secs_f64(),
        })
    }

    /// Runs gantry to its end.
    async fn run(&self, starter: &Starter, records: u64) -> Result<Spent> {
        let configuration = json!({
            "control": { "listen": "127.0.0.1:0" },
            "bridges": { "own-cost": {
                "source": { "generate": self.source(records) },
                "transforms": self.transforms,
                "sink": { "null": {} },
            } },
        });
        // Nothing else of ours ends meanwhile.
        let before = ended_cpu()?;
        let started = Instant::now();
        // JSON is YAML.
        starter.start_gantry(&configuration.to_string(), false)?.wait(DEADLINE).await?;
        Ok(Spent { cpu: ended_cpu()?.saturating_sub(before), time: started.elapsed() })
    }

    /// The CPU time that making and dropping the records takes.
    async fn make(&self, records: u64) -> Result<Duration> {
        let context = Context::new("own-cost".into(), 64 << 20);
        let opening = (gantry_generate::SOURCE.create)(&self.source(records), context).context("making a generator")?;
        let mut source = opening.await.context("opening the generator")?;
        // On a worker thread, as in gantry: the allocator treats the main thread differently.
        let making = tokio::spawn(async move {
            let before = own_cpu();
            while let Polled::Batch { records, .. } = source.poll(LIMITS).await.context("generating")? {
                drop(records);
            }
            Ok(own_cpu().saturating_sub(before))
        });
        making.await.context("generating")?
    }

    fn source(&self, records: u64) -> Json {
        let mut source = self.source.clone();
        source["count"] = records.into();
        source["size"] = "200B".into();
        source
    }
}

struct Spent {
    cpu: Duration,
    time: Duration,
}
