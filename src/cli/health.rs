//! `gantry health`: whether a running gantry lives, for health checks of containers and init systems.

use std::{process::ExitCode, time::Duration};

use super::{
    client::{Address, Method, refusal},
    output::{self, printable},
};

/// It is answered from memory; one that takes longer is not there.
const PATIENCE: Duration = Duration::from_secs(4);

/// Ask a running gantry whether it lives; says nothing if it does.
///
/// That is liveness: it answers, whatever its bridges do. A broker that is away is no reason to restart the process, which
/// goes on by itself. With --ready it must also do everything that is wanted of it: for whoever waits until it is up.
///
/// Exit codes:
///   0  yes
///   1  no, or nobody answers
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct HealthArgs {
    #[command(flatten)]
    address: Address,
    /// Ask whether every bridge does what is wanted of it.
    #[arg(long)]
    ready: bool,
}

/// Asks.
pub fn run(args: &HealthArgs) -> anyhow::Result<ExitCode> {
    let path = if args.ready { "/readyz" } else { "/healthz" };
    match args.address.ask(Method::Get, path, Some(PATIENCE)) {
        Ok((200, _)) => return Ok(ExitCode::SUCCESS),
        Ok((503, answer)) if args.ready => {
            let bridges = answer["not_ready"].as_array().into_iter().flatten();
            let names: Vec<_> = bridges.filter_map(|bridge| bridge["bridge"].as_str()).map(printable).collect();
            output::tell(format_args!("not ready: {}; `gantry status` says why", names.join(", ")));
        }
        Ok((status, answer)) => {
            output::tell(format_args!("asking for {path}: {}", refusal(status, &answer)));
        }
        Err(error) => output::tell(format_args!("{error:#}")),
    }
    Ok(ExitCode::FAILURE)
}
