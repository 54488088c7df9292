//! Nodes and edges, to be drawn: brokers with what is in them, bridges, and the ways of the records.
//!
//! What is known only when records flow (a template, a regular expression) is a node of its own, marked as uncertain.

mod dot;
mod format;
mod mermaid;
mod svg;

use std::collections::{BTreeMap, BTreeSet};

use gantry_sdk::{
    Endpoint,
    endpoint::{Name, Route},
};

pub use format::Format;

use super::{DeadLetterTarget, Flow, FlowEnd, same_broker};

/// All that is drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagram {
    /// What stands around nodes of one broker: the connector's name and its addresses.
    brokers: Vec<String>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    kind: Kind,
    /// What it is, its name, and more: each on a line.
    lines: Vec<String>,
    /// The broker it is in, by its place in the list.
    broker: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bridge,
    /// A queue, a topic: whatever has a name in a broker.
    Endpoint,
    /// The same, and which one, only the records say.
    Uncertain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    from: usize,
    to: usize,
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// A bridge reads or writes.
    Records,
    /// A bridge writes what fulfils a condition.
    Conditional,
    /// A bridge writes what it cannot deliver.
    DeadLetters,
    /// The broker passes on.
    Inside,
}

impl Diagram {
    /// The bridges, and `routes` that brokers told of themselves: as many as lead to what bridges read, or from what they
    /// write.
    pub fn new(flows: &[Flow], routes: &[(FlowEnd, Vec<Route>)]) -> Self {
        let mut builder = Builder::default();
        for flow in flows {
            builder.flow(flow);
        }
        let told = flows.iter().flat_map(Flow::ends).map(|end| (end, &end.description.routes));
        for (end, routes) in routes.iter().map(|(end, routes)| (end, routes)).chain(told) {
            builder.routes(end, routes);
        }
        builder.finish()
    }

    /// The numbers of the nodes in a broker, or of those in none.
    fn nodes_of(&self, broker: Option<usize>) -> impl Iterator<Item = usize> {
        self.nodes.iter().enumerate().filter(move |(_, node)| node.broker == broker).map(|(number, _)| number)
    }
}

impl Way {
    /// What stands at the edge, if anything has to.
    const fn label(self) -> Option<&'static str> {
        match self {
            Self::Records | Self::Inside => None,
            Self::Conditional => Some("on condition"),
            Self::DeadLetters => Some("dead letters"),
        }
    }
}

#[derive(Default)]
struct Builder<'f> {
    diagram: Diagram,
    /// An end of each broker.
    brokers: Vec<&'f FlowEnd>,
    endpoints: BTreeMap<(usize, Endpoint), usize>,
    edges: BTreeSet<Edge>,
}

impl<'f> Builder<'f> {
    fn flow(&mut self, flow: &'f Flow) {
        let inputs = self.end(&flow.source, None);
        let mut lines = vec!["bridge".to_owned(), shown(&flow.bridge)];
        lines.extend((!flow.transforms.is_empty()).then(|| flow.transforms.join(", ")));
        lines.extend(flow.counts_hops.then(|| "counts hops".to_owned()));
        let bridge = self.node(Node { kind: Kind::Bridge, lines, broker: None });
        self.edges.extend(inputs.into_iter().map(|from| Edge { from, to: bridge, way: Way::Records }));
        for sink in &flow.sinks {
            let way = if sink.conditional { Way::Conditional } else { Way::Records };
            let outputs = self.end(&sink.end, None);
            self.edges.extend(outputs.into_iter().map(|to| Edge { from: bridge, to, way }));
        }
        let letters = match &flow.dead_letter {
            None => Vec::new(),
            Some(DeadLetterTarget::Sink(end)) => self.end(end, None),
            Some(DeadLetterTarget::Broker) => self.end(&flow.source, Some("dead letter of the source")),
        };
        self.edges.extend(letters.into_iter().map(|to| Edge { from: bridge, to, way: Way::DeadLetters }));
    }

    /// The nodes of one end of a bridge; with `instead`, one node of that text in the same broker.
    fn end(&mut self, end: &'f FlowEnd, instead: Option<&str>) -> Vec<usize> {
        let broker = self.broker(end);
        let alone = |text: &str| Node { kind: Kind::Endpoint, lines: vec![text.to_owned()], broker };
        if let Some(text) = instead {
            return vec![self.node(Node { kind: Kind::Uncertain, ..alone(text) })];
        }
        if end.description.endpoints.is_empty() {
            return vec![self.node(alone(end.connector))];
        }
        end.description.endpoints.iter().map(|endpoint| self.endpoint(broker, endpoint)).collect()
    }

    /// The broker's place in the list; `None` when none is needed.
    fn broker(&mut self, end: &'f FlowEnd) -> Option<usize> {
        if end.description.broker.is_empty() {
            return None;
        }
        let known = self.brokers.iter().position(|other| same_broker(other, end));
        Some(known.unwrap_or_else(|| {
            self.brokers.push(end);
            let addresses = shown(&end.description.broker.join(", "));
            self.diagram.brokers.push(format!("{} {addresses}", end.connector));
            self.brokers.len() - 1
        }))
    }

    fn endpoint(&mut self, broker: Option<usize>, endpoint: &Endpoint) -> usize {
        // What needs no broker is told apart by its kind.
        let key = (broker.unwrap_or(usize::MAX), endpoint.clone());
        if let Some(known) = self.endpoints.get(&key) {
            return *known;
        }
        let kind = if matches!(endpoint.name, Name::Exact(_)) { Kind::Endpoint } else { Kind::Uncertain };
        let lines = vec![endpoint.kind.to_owned(), shown(endpoint.name.as_str())];
        let node = self.node(Node { kind, lines, broker });
        self.endpoints.insert(key, node);
        node
    }

    fn node(&mut self, node: Node) -> usize {
        self.diagram.nodes.push(node);
        self.diagram.nodes.len() - 1
    }

    /// Adds the routes that touch what is drawn, and then those that touch these.
    fn routes(&mut self, end: &FlowEnd, routes: &[Route]) {
        let Some(broker) = self.brokers.iter().position(|other| same_broker(other, end)) else { return };
        let is_drawn =
            |builder: &Self, endpoint: &Endpoint| builder.endpoints.contains_key(&(broker, endpoint.clone()));
        // Upwards from queues that are read, downwards from exchanges that are written; never up and down again, which would
        // draw half of the broker.
        let (mut up, mut down) = (BTreeSet::new(), BTreeSet::new());
        for route in routes {
            up.extend(is_drawn(self, &route.to).then_some(&route.to));
            down.extend(is_drawn(self, &route.from).then_some(&route.from));
        }
        let mut wanted = BTreeSet::new();
        loop {
            let before = wanted.len();
            for route in routes {
                if up.contains(&route.to) {
                    up.insert(&route.from);
                    wanted.insert(route);
                }
                if down.contains(&route.from) {
                    down.insert(&route.to);
                    wanted.insert(route);
                }
            }
            if wanted.len() == before {
                break;
            }
        }
        for Route { from, to } in wanted {
            let (from, to) = (self.endpoint(Some(broker), from), self.endpoint(Some(broker), to));
            self.edges.insert(Edge { from, to, way: Way::Inside });
        }
    }

    fn finish(self) -> Diagram {
        Diagram { edges: self.edges.into_iter().collect(), ..self.diagram }
    }
}

/// A name as it can be seen: what would break a line, or change how the text around it looks, is written out.
fn shown(name: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
            || matches!(c, '\u{fdd0}'..='\u{fdef}')
            || u32::from(c) & 0xfffe == 0xfffe
    };
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if hidden(c) { text.extend(c.escape_default()) } else { text.push(c) }
    }
    if text.is_empty() { "\"\"".to_owned() } else { text }
}

#[cfg(test)]
mod tests;
