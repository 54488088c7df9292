//! The sinks and the source against a real Kafka, and against librdkafka's mock cluster, which fails on demand.
//!
//! Each module is a promise. Sink: what opening says, what is written, what is refused, what becomes of records in an outage,
//! that each has one outcome and an
//! answer if one is wanted. Both: what is left of an opening that nobody waits for. Source: what it makes of topics, what it gives back, how it shares a group, what it does in an
//! outage, how it goes on without a group for exactly once. And sinks that share a producer, dead letters read back, and transactions.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod conformance;
mod dead_letters;
mod open;
mod opening;
mod outage;
mod refuse;
mod replay;
mod sharing;
mod source;
mod source_give_back;
mod source_group;
mod source_outage;
mod support;
mod transactions;
mod transactions_outage;
mod volume;
mod write;
