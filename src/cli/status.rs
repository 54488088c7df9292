//! `gantry status`: asks a running gantry how its bridges are.
//!
//! Exit code 0: every bridge does what is wanted of it. 1: one does not. 2: nobody answers.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use comfy_table::{CellAlignment, Table, presets};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    client::{Address, Method, refusal},
    output::{self, printable},
};

/// A control port answers from memory; one that takes longer is not there.
const PATIENCE: Duration = Duration::from_secs(5);

const NOT_READY: u8 = 1;
const UNREACHABLE: u8 = 2;

/// Options of `gantry status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    #[command(flatten)]
    address: Address,
    /// Print the answer as JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// Prints how the bridges are.
pub fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let answer = match ask(&args.address) {
        Ok(answer) => answer,
        Err(error) => {
            output::tell(format_args!("{error:#}"));
            return Ok(ExitCode::from(UNREACHABLE));
        }
    };
    let overview = Overview::deserialize(&answer).context("reading the answer: is this gantry of the same version?")?;
    if args.json {
        output::print_json(&answer)?;
    } else {
        output::print(overview.for_people().trim_end())?;
    }
    let ready = overview.bridges.iter().all(|bridge| bridge.ready);
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::from(NOT_READY) })
}

fn ask(address: &Address) -> anyhow::Result<Json> {
    match address.ask(Method::Get, "/v1/bridges", Some(PATIENCE))? {
        (200, answer) => Ok(answer),
        (status, answer) => bail!("asking for /v1/bridges: {}", refusal(status, &answer)),
    }
}

/// What `/v1/bridges` answers, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Overview {
    at: Timestamp,
    bridges: Vec<Bridge>,
}

#[derive(Debug, Deserialize)]
struct Bridge {
    name: String,
    target: String,
    ready: bool,
    tasks: Vec<Task>,
}

#[derive(Debug, Deserialize)]
struct Task {
    task: u32,
    state: String,
    error: Option<String>,
    last_progress: Option<Timestamp>,
    counts: Counts,
    #[serde(default)]
    lost: Vec<Loss>,
}

#[derive(Debug, Deserialize)]
struct Loss {
    records: u64,
    what: String,
}

#[derive(Debug, Deserialize)]
struct Counts {
    records_in: u64,
    records_out: u64,
    dead_lettered: u64,
    in_flight: u64,
    #[serde(default)]
    stalls: u64,
}

// === impl Overview ===

impl Overview {
    /// A table, and below it the errors, which may be long, in full.
    fn for_people(&self) -> String {
        if self.bridges.is_empty() {
            return "no bridges\n".to_owned();
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header([
            "BRIDGE",
            "TASK",
            "STATE",
            "IN",
            "OUT",
            "IN FLIGHT",
            "DEAD-LETTERED",
            "STALLS",
            "LAST PROGRESS",
        ]);
        for bridge in &self.bridges {
            if bridge.tasks.is_empty() {
                table.add_row([bridge.name.as_str(), "-", &bridge.target]);
            }
            table.add_rows(bridge.tasks.iter().map(|task| self.row(bridge, task)));
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if (3..=7).contains(&index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut text = table.trim_fmt() + "\n";
        for bridge in &self.bridges {
            for task in &bridge.tasks {
                if let Some(error) = &task.error {
                    text.push_str(&format!("\n{} task {}: {}\n", bridge.name, task.task, printable(error)));
                }
                for Loss { records, what } in &task.lost {
                    let (bridge, task) = (&bridge.name, task.task);
                    text.push_str(&format!(
                        "\n{bridge} task {task}: {records} records lost before they were read; the last: {what}\n"
                    ));
                }
            }
        }
        text
    }

    fn row(&self, bridge: &Bridge, task: &Task) -> [String; 9] {
        let Counts { records_in, records_out, dead_lettered, in_flight, stalls } = task.counts;
        [
            bridge.name.clone(),
            task.task.to_string(),
            task.state.replace('_', " "),
            records_in.to_string(),
            records_out.to_string(),
            in_flight.to_string(),
            dead_lettered.to_string(),
            stalls.to_string(),
            task.last_progress.map_or_else(|| "never".to_owned(), |time| age(self.at, time)),
        ]
    }
}

/// `3s ago`: one unit, the largest that fits.
fn age(now: Timestamp, then: Timestamp) -> String {
    match now.duration_since(then).as_secs() {
        seconds @ ..60 => format!("{}s ago", seconds.max(0)),
        seconds @ ..3_600 => format!("{}m ago", seconds / 60),
        seconds @ ..86_400 => format!("{}h ago", seconds / 3_600),
        seconds => format!("{}d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overview() -> Overview {
        let counts = |n: u64| serde_json::json!({ "records_in": n, "bytes_in": 9, "records_out": n - 2, "dead_lettered": 1, "in_flight": 1, "stalls": 4 });
        let answer = serde_json::json!({ "version": "9.9.9", "at": "2026-01-02T03:04:05.000Z", "bridges": [
            { "name": "orders", "target": "running", "ready": false, "tasks": [
                { "task": 0, "state": "running", "error": null, "last_progress": "2026-01-02T03:04:02.000Z", "counts": counts(100) },
                { "task": 1, "state": "backing_off", "error": "connecting to rabbit1:5672: refused", "last_progress": null, "counts": counts(20), "lost": [{ "reason": "retention", "records": 70, "what": "offsets 0 to 69", "at": "2026-01-02T03:04:00.000Z" }] },
            ] },
            { "name": "idle", "target": "stopped", "ready": true, "tasks": [] },
        ] });
        serde_json::from_value(answer).expect("what the control port answers")
    }

    #[test]
    fn people_see_a_row_a_task_and_each_error_in_full() {
        let text = overview().for_people();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["orders", "0", "running", "100", "98", "1", "1", "4", "3s", "ago"], "{text}");
        assert_eq!(lines[2], ["orders", "1", "backing", "off", "20", "18", "1", "1", "4", "never"], "{text}");
        assert_eq!(lines[3], ["idle", "-", "stopped"], "{text}");
        assert!(text.contains("\norders task 1: connecting to rabbit1:5672: refused\n"), "{text}");
        assert!(
            text.ends_with("\norders task 1: 70 records lost before they were read; the last: offsets 0 to 69\n"),
            "{text}"
        );
    }

    #[test]
    fn an_error_forges_no_line_and_no_colour() {
        let mut overview = overview();
        overview.bridges[0].tasks[1].error = Some("no queue\n\u{1b}[32mpayments task 0: fine".to_owned());
        let text = overview.for_people();
        assert!(text.ends_with("orders task 1: no queue\\n\\u{1b}[32mpayments task 0: fine\n"), "{text}");
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
}
