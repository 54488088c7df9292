//! The other direction: from Kafka to RabbitMQ.
//!
//! What came out is judged by source partition: that is what keeps its order.

mod cluster;
mod connections;
mod group;
mod limits;
mod processes;
mod restarts;
mod unroutable;
mod wires;
