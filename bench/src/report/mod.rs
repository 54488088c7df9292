//! The results, as a table for people and as JSON for programs.

mod statistics;
mod table;
mod verdicts;

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};

use crate::{
    compare::{CONTENDERS, CaseResults},
    drain::Rate,
    latency::Latencies,
    neighbours::Neighbours,
    own_cost::{OwnCost, OwnRun},
    run::Results,
};
use statistics::{against_first, cpu, median, median_ratio, rate, ratio_of_medians};

/// Prints the table, and writes the file.
pub(crate) fn write(results: &Results, file: &Path) -> Result<()> {
    println!("{}", table::of(results));
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    }
    let text = serde_json::to_string_pretty(&json_of(results)).context("writing JSON")?;
    fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
    println!("all runs: {}", file.display());
    Ok(())
}

fn json_of(results: &Results) -> Json {
    json!({
        "finished": jiff::Timestamp::now().to_string(),
        "machine": machine(),
        "rabbitmq": results.rabbitmq,
        "quick": results.quick,
        "messages": results.messages,
        "pace": results.pace,
        "own_cost_records": results.records,
        "cases": results.cases.iter().map(case).collect::<Vec<_>>(),
        "own_cost": results.own_cost.iter().map(own_cost).collect::<Vec<_>>(),
        "scale": results.scale,
        "neighbours": results.neighbours.iter().map(|one| neighbours(one, &results.neighbours)).collect::<Vec<_>>(),
        "doubts": results.doubts,
    })
}

fn case(results: &CaseResults) -> Json {
    let programs = CONTENDERS.into_iter().zip(0..).map(|(contender, place)| {
        let runs: Vec<&Rate> = results.rates.iter().map(|round| &round[place]).collect();
        let latency = results.latencies.as_ref().map(|pair| latency(&pair[place]));
        (contender.to_string(), json!({ "runs": runs, "latency": latency }))
    });
    let ratios = (!results.rates.is_empty()).then(|| {
        json!({
            "messages_per_second": { "of_medians": ratio_of_medians(results, rate), "median_of_pairs": median_ratio(results, rate) },
            "cpu_us_per_message": { "of_medians": ratio_of_medians(results, cpu), "median_of_pairs": median_ratio(results, cpu) },
        })
    });
    json!({
        "direction": results.direction,
        "case": results.case,
        "programs": programs.collect::<serde_json::Map<_, _>>(),
        "gantry_to_floor": ratios,
    })
}

fn latency(Latencies(histogram): &Latencies) -> Json {
    let millis = |micros: u64| micros as f64 / 1000.0;
    json!({
        "messages": histogram.len(),
        "p50_ms": millis(histogram.value_at_quantile(0.5)),
        "p99_ms": millis(histogram.value_at_quantile(0.99)),
        "max_ms": millis(histogram.max()),
    })
}

fn own_cost(cost: &OwnCost) -> Json {
    json!({
        "workload": cost.workload,
        "runs": cost.runs,
        "median_cpu_ns_per_record": median(cost.runs.iter().map(|run| run.cpu_ns_per_record)),
        "median_path_ns_per_record": median(cost.runs.iter().map(OwnRun::path_ns_per_record)),
    })
}

fn neighbours(one: &Neighbours, all: &[Neighbours]) -> Json {
    json!({
        "company": one.company,
        "runs": one.runs,
        "first_bridge_to_alone": against_first(one, all, |run| run.first_bridge_messages_per_second),
        "all_to_alone": against_first(one, all, rate),
    })
}

/// What the numbers were measured on.
fn machine() -> Json {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| -> Option<String> {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    json!({
        "cpu": value(&read("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": value(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}
