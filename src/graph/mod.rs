//! What leads where: the bridges of a configuration with the queues, exchanges and topics that they read and write.
//!
//! All of it comes from the options, without asking a broker: connectors describe their own sections
//! ([`gantry_sdk::endpoint`]), and nothing here knows a protocol. No secret is in it.
//!
//! # In reading order
//! [`Flow`]: one bridge · `topology`: which brokers and endpoints are the same, and what reaches what · `circle`: bridges
//! that feed each other · [`diagram`]: nodes and edges, and the formats that they are written in

mod circle;
pub mod diagram;
mod topology;

use gantry_sdk::{Description, endpoint::Name};

pub(crate) use circle::{Circle, circles};
pub(crate) use topology::{overlap, same_broker};

/// One bridge, as far as it matters where records come from and go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// The bridge's name.
    pub bridge: String,
    /// What it reads.
    pub source: FlowEnd,
    /// The names of its transforms, in order.
    pub transforms: Vec<&'static str>,
    /// What it writes; at least one.
    pub sinks: Vec<FlowSink>,
    /// Where records go that can never be delivered.
    pub dead_letter: Option<DeadLetterTarget>,
    /// It counts hops, so what goes round ends.
    pub counts_hops: bool,
}

/// One end of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowEnd {
    /// The connector's name.
    pub connector: &'static str,
    /// What its options say.
    pub description: Description,
}

/// One of the sinks of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowSink {
    /// Where it is.
    pub end: FlowEnd,
    /// Only records go there for which a condition holds.
    pub conditional: bool,
}

/// Where records go that can never be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterTarget {
    /// They are written there.
    Sink(FlowEnd),
    /// The source's broker takes them.
    Broker,
}

impl Flow {
    /// Takes for unknown what a transform decides: with a `route` a name that a destination replaces stands only for what that
    /// leaves alone. What a sink uses whatever the destination stays what it is.
    pub(crate) fn routed(mut self) -> Self {
        if self.transforms.contains(&crate::transform::route::NAME) {
            for sink in &mut self.sinks {
                let Description { endpoints, destination, .. } = &mut sink.end.description;
                for endpoint in endpoints.iter_mut().filter(|endpoint| Some(endpoint.kind) == *destination) {
                    endpoint.name = Name::Template(format!("{{destination|{}}}", endpoint.name.as_str()));
                }
            }
        }
        self
    }

    /// All that it reads and writes.
    fn ends(&self) -> impl Iterator<Item = &FlowEnd> {
        let sinks = self.sinks.iter().map(|sink| &sink.end);
        std::iter::once(&self.source).chain(sinks).chain(self.dead_letters())
    }

    /// The sink that dead letters are written to, if they are.
    fn dead_letters(&self) -> Option<&FlowEnd> {
        match &self.dead_letter {
            Some(DeadLetterTarget::Sink(end)) => Some(end),
            Some(DeadLetterTarget::Broker) | None => None,
        }
    }
}

#[cfg(test)]
mod tests;
