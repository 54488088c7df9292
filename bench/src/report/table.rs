//! The results for people, in tables that a Markdown page takes as they are.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, Table, presets::ASCII_MARKDOWN};

use super::{
    statistics::{against_first, cpu, median, median_of, median_ratio, place, rate, ratio_of_medians},
    verdicts::verdicts,
};
use crate::{
    compare::{CONTENDERS, CaseResults},
    drain::Rate,
    neighbours::Neighbours,
    own_cost::{OwnCost, OwnRun},
    run::Results,
    scale::Scale,
};

/// Everything, ready to print.
pub(super) fn of(results: &Results) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(results, &mut text);
    text
}

fn write_all(results: &Results, text: &mut String) -> std::fmt::Result {
    if let Some(version) = &results.rabbitmq {
        writeln!(text, "\nRabbitMQ {version}")?;
    }
    for cases in results.cases.chunk_by(|one, next| one.direction == next.direction) {
        let direction = cases[0].direction;
        write!(text, "\n{direction}, {} messages a run, medians", results.messages)?;
        if cases.iter().any(|case| case.latencies.is_some()) {
            write!(text, "; latency at {} messages/s", results.pace)?;
        }
        writeln!(text, "\n{}", table_of(cases))?;
    }
    if !results.own_cost.is_empty() {
        writeln!(text, "\ngantry alone, generator to null, 200 B, {} records a run, medians", results.records)?;
        writeln!(text, "{}", own_costs(&results.own_cost))?;
    }
    if !results.scale.is_empty() {
        writeln!(text, "\none process, each bridge from a queue of its own to one topic")?;
        writeln!(text, "{}", scales(&results.scale))?;
    }
    if !results.neighbours.is_empty() {
        writeln!(text, "\none bridge of a process, RabbitMQ to Kafka, {} messages a run, medians", results.messages)?;
        writeln!(text, "{}", neighbours(&results.neighbours))?;
    }
    for verdict in verdicts(results) {
        writeln!(text, "{verdict}")?;
    }
    for doubt in &results.doubts {
        writeln!(text, "doubtful: {doubt}")?;
    }
    if results.quick {
        writeln!(text, "doubtful: a quick run; its numbers mean nothing")?;
    }
    Ok(())
}

fn table_of(cases: &[CaseResults]) -> Table {
    let mut table = table(&[
        "case",
        "",
        "messages/s",
        "CPU µs",
        "RabbitMQ µs",
        "Kafka µs",
        "peak MiB",
        "p50 ms",
        "p99 ms",
        "max ms",
        "others",
    ]);
    for case in cases {
        for contender in CONTENDERS {
            let of = |of: fn(&Rate) -> Option<f64>| median_of(case, contender, of);
            let latencies = case.latencies.as_ref().map(|pair| &pair[place(contender)].0);
            let millis = |micros: Option<u64>| number(micros.map(|micros| micros as f64 / 1000.0), 1);
            table.add_row(cells([
                case.case.to_string(),
                contender.to_string(),
                number(of(|run| Some(rate(run))), 0),
                number(of(|run| Some(cpu(run))), 2),
                number(of(|run| run.rabbitmq_cpu_us_per_message), 1),
                number(of(|run| run.kafka_cpu_us_per_message), 1),
                number(of(|run| run.peak_memory_bytes.map(mib)), 1),
                millis(latencies.map(|histogram| histogram.value_at_quantile(0.5))),
                millis(latencies.map(|histogram| histogram.value_at_quantile(0.99))),
                millis(latencies.map(|histogram| histogram.max())),
                number(of(|run| Some(run.cores_used_by_others)), 2),
            ]));
        }
        if !case.rates.is_empty() {
            let ratios = [("gantry / floor", ratio_of_medians as fn(&_, _) -> _), ("median of pairs", median_ratio)];
            for (name, ratio) in ratios {
                table.add_row(cells([
                    String::new(),
                    name.to_owned(),
                    number(ratio(case, rate), 2),
                    number(ratio(case, cpu), 2),
                ]));
            }
        }
    }
    table
}

fn own_costs(costs: &[OwnCost]) -> Table {
    let mut table = table(&["records with", "CPU ns a record", "making it", "the path", "records/s"]);
    for cost in costs {
        let of = |of: fn(&OwnRun) -> f64| number(median(cost.runs.iter().map(of)), 0);
        table.add_row(cells([
            cost.workload.to_owned(),
            of(|run| run.cpu_ns_per_record),
            of(|run| run.making_ns_per_record),
            of(OwnRun::path_ns_per_record),
            of(|run| run.records_per_second),
        ]));
    }
    table
}

fn scales(runs: &[Scale]) -> Table {
    let mut table = table(&[
        "bridges",
        "messages/s each",
        "MiB",
        "threads",
        "descriptors",
        "AMQP connections",
        "wake-ups/s",
        "% of a core",
        "ready s",
        "stop s",
        "scrape KiB",
        "scrape ms",
    ]);
    for run in runs {
        table.add_row(cells([
            run.bridges.to_string(),
            number(Some(run.pace), 1),
            number(Some(mib(run.resident_bytes)), 0),
            run.threads.to_string(),
            run.descriptors.to_string(),
            run.amqp_connections.to_string(),
            number(Some(run.wake_ups_per_second), 0),
            number(Some(run.cores * 100.0), 1),
            number(Some(run.ready_seconds), 1),
            number(Some(run.stop_seconds), 1),
            number(Some(run.scrape_bytes as f64 / 1024.0), 0),
            number(Some(run.scrape_millis), 0),
        ]));
    }
    table
}

fn neighbours(all: &[Neighbours]) -> Table {
    let mut table = table(&[
        "the bridge",
        "its messages/s",
        "to alone",
        "messages/s of all",
        "to alone",
        "CPU µs",
        "RabbitMQ µs",
        "Kafka µs",
        "peak MiB",
        "others",
    ]);
    for one in all {
        let of = |of: fn(&Rate) -> Option<f64>| median(one.runs.iter().filter_map(of));
        let own = |run: &Rate| run.first_bridge_messages_per_second;
        table.add_row(cells([
            one.company.name.to_owned(),
            number(of(|run| Some(run.first_bridge_messages_per_second)), 0),
            number(against_first(one, all, own), 2),
            number(of(|run| Some(rate(run))), 0),
            number(against_first(one, all, rate), 2),
            number(of(|run| Some(cpu(run))), 2),
            number(of(|run| run.rabbitmq_cpu_us_per_message), 1),
            number(of(|run| run.kafka_cpu_us_per_message), 1),
            number(of(|run| run.peak_memory_bytes.map(mib)), 1),
            number(of(|run| Some(run.cores_used_by_others)), 2),
        ]));
    }
    table
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header);
    table
}

/// Words to the left, numbers to the right.
fn cells<const N: usize>(texts: [String; N]) -> [Cell; N] {
    texts.map(|text| {
        let numeric =
            text.trim_start_matches('-').starts_with(|first: char| first.is_ascii_digit()) && !text.contains(',');
        let alignment = if numeric { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new(text).set_alignment(alignment)
    })
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}
