//! The floor: messages moved between RabbitMQ and Kafka by hand, the best straightforward program on the same client libraries.
//!
//! It does what any correct bridge must do and nothing else. No configuration, no metrics, no reconnecting: the first error ends
//! it with status 1, and what is not acknowledged or committed comes again. SIGTERM finishes what is in flight, and ends it with
//! status 0. Several sources are several tasks on one connection to RabbitMQ.

mod args;
mod confirms;
mod deliveries;
mod headers;
mod rabbit;
mod tasks;
mod to_kafka;
mod to_rabbitmq;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use args::{Args, Direction};

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<()> {
    let connection = rabbit::connect(args).await?;
    match args.direction {
        Direction::ToKafka => to_kafka::run(args, &connection).await?,
        Direction::ToRabbitmq => to_rabbitmq::run(args, &connection).await?,
    }
    connection.close(200, "done".into()).await.context("closing the connection")
}
