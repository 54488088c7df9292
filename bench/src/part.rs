//! What can be measured by itself.

use clap::ValueEnum;
use serde::Serialize;

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// Messages a second, CPU a message, memory, of small messages by one bridge.
    Rate,
    /// From due to arrived, at a steady pace; only of small messages by one bridge.
    Latency,
    /// gantry without brokers.
    OwnCost,
    /// Memory, threads, wake-ups of one process with many bridges.
    Scale,
    /// As rate, with TLS to both brokers.
    Tls,
    /// As rate, with a quorum queue.
    Quorum,
    /// As rate, with bodies of 16 KiB.
    Large,
    /// As rate, with one bridge from four queues.
    FourQueues,
    /// As rate, with four bridges in one process.
    FourBridges,
    /// One busy bridge beside idle and beside busy ones, against the same bridge alone.
    Neighbours,
}
