//! Measures gantry against the floor: a bare program on the same client libraries ([`floor`](../floor/main.rs)).
//!
//! # What is measured
//! - **Rate**: both programs empty equal, freshly filled queues, in turn (A B A B …), so that a machine that slows down
//!   slows both. Messages a second, CPU a message of the program and of both brokers, peak memory. In several cases.
//! - **Latency**: from the moment a message was due at a steady pace until a consumer at the other end has it.
//! - **Own cost**: gantry from a generator into nothing, without a broker: CPU a record of the whole process.
//! - **Scale**: what one process takes with 1, 10, 100 and 300 bridges. It has no floor: the aims are figures.
//! - **Neighbours**: one busy bridge beside others of its process. Its floor is the same bridge alone.
//!
//! Every run ends by reading the topic: each message once, in order, unaltered (that of scale counts them). A run that is not correct is an error, not
//! a number. docs/benchmarks/README.md has the method in full.
//!
//! # In reading order
//! [`cli`], [`part`], [`case`], [`run`] (what happens when), [`compare`], [`rate`], [`drain`], [`latency`], [`own_cost`], [`scale`], [`neighbours`],
//! [`report`]; and what they use: [`bench`](mod@bench), [`route`], [`message`], [`arrivals`], [`contender`], [`configuration`], [`control`],
//! [`endpoints`], [`direction`], [`process`], [`usage`], [`footprint`], [`rabbit`], [`kafka`].

mod arrivals;
mod bench;
mod case;
mod cli;
mod compare;
mod configuration;
mod contender;
mod control;
mod direction;
mod drain;
mod endpoints;
mod footprint;
mod kafka;
mod latency;
mod message;
mod neighbours;
mod own_cost;
mod part;
mod process;
mod rabbit;
mod rate;
mod report;
mod route;
mod run;
mod scale;
mod usage;

use std::process::{ExitCode, exit};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

/// The status of a program that Ctrl-C ended; the shells' convention.
const INTERRUPTED: i32 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    match measure().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gantry-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<()> {
    let options = cli::Options::parse();
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let results = tokio::select! {
        results = run::all(&options) => Some(results?),
        _ = tokio::signal::ctrl_c() => None,
        _ = terminate.recv() => None,
    };
    let Some(results) = results else {
        // Programs that ran were killed as their handles went. Threads that wait for a broker are not worth waiting for.
        eprintln!("interrupted");
        exit(INTERRUPTED);
    };
    report::write(&results, &options.out)
}
