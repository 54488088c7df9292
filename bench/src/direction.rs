//! Which way messages go.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

/// From where to where, by the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Direction {
    /// From RabbitMQ to Kafka.
    ToKafka,
    /// From Kafka to RabbitMQ.
    ToRabbitmq,
}

impl Direction {
    pub(crate) const BOTH: [Self; 2] = [Self::ToKafka, Self::ToRabbitmq];
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToKafka => "RabbitMQ to Kafka",
            Self::ToRabbitmq => "Kafka to RabbitMQ",
        })
    }
}
