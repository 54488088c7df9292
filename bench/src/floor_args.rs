//! What the floors of both directions are told.

use clap::Parser;

/// Moves messages between a RabbitMQ queue and a Kafka topic, as a bare program would.
#[derive(Parser)]
pub(crate) struct Args {
    /// amqp://user:password@host:port/vhost
    pub(crate) amqp_url: String,
    pub(crate) queue: String,
    /// host:port
    pub(crate) bootstrap_servers: String,
    pub(crate) topic: String,
    /// Map headers as text, as gantry does; to Kafka the message properties too.
    #[arg(long)]
    pub(crate) headers: bool,
}
