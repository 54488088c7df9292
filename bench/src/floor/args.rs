//! What the floor is told.

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use rdkafka::ClientConfig;

/// Moves messages between RabbitMQ queues and Kafka topics, as a bare program would.
#[derive(Parser)]
pub(crate) struct Args {
    pub(crate) direction: Direction,
    /// amqp://user:password@host:port/vhost
    pub(crate) amqp_url: String,
    /// host:port
    bootstrap_servers: String,
    /// From this queue to that topic, or from this topic to that queue; can be given several times.
    #[arg(long = "move", value_name = "SOURCE=TARGET", value_parser = pair, required = true)]
    pub(crate) moves: Vec<(String, String)>,
    /// Map headers as text, as gantry does; to Kafka the message properties too.
    #[arg(long)]
    pub(crate) headers: bool,
    /// The authority to trust for an amqps:// URL.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<std::path::PathBuf>,
    /// A property of librdkafka; can be given several times.
    #[arg(long = "kafka", value_name = "NAME=VALUE", value_parser = pair)]
    properties: Vec<(String, String)>,
}

/// Which way.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Direction {
    ToKafka,
    ToRabbitmq,
}

fn pair(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once('=').context("it has no \"=\"")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Args {
    /// How Kafka is reached.
    pub(crate) fn kafka(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap_servers);
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }
}
