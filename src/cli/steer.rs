//! `gantry pause`, `resume`, `stop` and `restart`: have a running gantry do something with bridges.

use std::{process::ExitCode, time::Duration};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;

use super::{
    client::{Address, Method, refusal},
    output::{self, printable},
};
use crate::config::suggest;

/// It is answered before it has happened.
const PATIENCE: Duration = Duration::from_secs(10);

const REFUSED: u8 = 1;
const UNREACHABLE: u8 = 2;

/// What `--help` says of all of them.
const MORE: &str = "\
It is asked for at once and happens soon after; `gantry status` shows when. It lasts as long as the process: after a
restart of the process every bridge runs.

Exit codes:
  0  it was asked for
  1  there is no such bridge, or it was refused
  2  nobody answers";

/// Which bridges.
#[derive(Debug, clap::Args)]
#[command(after_help = MORE)]
pub struct BridgeArgs {
    /// The bridges, by name.
    #[arg(required = true, value_name = "BRIDGE")]
    bridges: Vec<String>,
    #[command(flatten)]
    address: Address,
}

/// Options of `gantry restart`.
#[derive(Debug, clap::Args)]
pub struct RestartArgs {
    #[command(flatten)]
    of: BridgeArgs,
    /// Only the tasks that failed.
    #[arg(long, conflicts_with = "task")]
    failed: bool,
    /// Only this task; the first one is 0.
    #[arg(long, value_name = "N")]
    task: Option<u32>,
}

/// Stays connected and moves nothing.
pub fn pause(args: &BridgeArgs) -> anyhow::Result<ExitCode> {
    each(args, Method::Put, "pause", "will pause")
}

/// Runs again.
pub fn resume(args: &BridgeArgs) -> anyhow::Result<ExitCode> {
    each(args, Method::Put, "resume", "will run")
}

/// Gives back what is in flight, and disconnects.
pub fn stop(args: &BridgeArgs) -> anyhow::Result<ExitCode> {
    each(args, Method::Put, "stop", "will stop")
}

/// Drains and starts again.
pub fn restart(args: &RestartArgs) -> anyhow::Result<ExitCode> {
    match args.task {
        Some(task) => each(&args.of, Method::Post, &format!("tasks/{task}/restart"), "will restart that task"),
        None if args.failed => {
            let path = "restart?includeTasks=true&onlyFailed=true";
            each(&args.of, Method::Post, path, "will restart the tasks that failed")
        }
        None => each(&args.of, Method::Post, "restart?includeTasks=true", "will restart"),
    }
}

/// Asks it of each bridge; one that is refused does not keep the others from it.
fn each(args: &BridgeArgs, method: Method, what: &str, promise: &str) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for bridge in &args.bridges {
        let path = format!("/connectors/{}/{what}", utf8_percent_encode(bridge, NON_ALPHANUMERIC));
        match args.address.ask(method, &path, Some(PATIENCE)) {
            Ok((200..300, _)) => output::print(&format!("{} {promise}", printable(bridge)))?,
            Ok((status, answer)) => {
                output::tell(complaint(args, bridge, status, &answer));
                code = ExitCode::from(REFUSED);
            }
            Err(error) => {
                output::tell(format_args!("{error:#}"));
                return Ok(ExitCode::from(UNREACHABLE));
            }
        }
    }
    Ok(code)
}

fn complaint(args: &BridgeArgs, bridge: &str, status: u16, answer: &Json) -> String {
    match (status, names(&args.address)) {
        (404, Some(names)) if !names.iter().any(|name| name == bridge) => {
            let instead = suggest::instead(bridge, names.iter().map(String::as_str));
            format!("there is no bridge \"{bridge}\"; {instead}")
        }
        _ => format!("{bridge}: {}", refusal(status, answer)),
    }
}

fn names(address: &Address) -> Option<Vec<String>> {
    let (_, answer) = address.ask(Method::Get, "/connectors", Some(PATIENCE)).ok()?;
    serde_json::from_value(answer).ok()
}
