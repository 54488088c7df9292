//! Graphviz's DOT language.

use std::fmt::Write as _;

use super::{Diagram, Kind, Node, Way};

pub(super) fn write(diagram: &Diagram) -> String {
    let mut out = String::from("digraph gantry {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n");
    // Writing to a String cannot fail.
    for (number, broker) in diagram.brokers.iter().enumerate() {
        let _ = writeln!(out, "  subgraph cluster_{number} {{\n    label=\"{}\";", escape(broker));
        for node in diagram.nodes_of(Some(number)) {
            let _ = writeln!(out, "    {}", text(node, &diagram.nodes[node]));
        }
        out.push_str("  }\n");
    }
    for node in diagram.nodes_of(None) {
        let _ = writeln!(out, "  {}", text(node, &diagram.nodes[node]));
    }
    for edge in &diagram.edges {
        let style = match edge.way {
            Way::Records => String::new(),
            Way::Inside => " [style=bold]".to_owned(),
            Way::Conditional => format!(" [label=\"{}\"]", edge.way.label().unwrap_or_default()),
            Way::DeadLetters => format!(" [style=dashed, label=\"{}\"]", edge.way.label().unwrap_or_default()),
        };
        let _ = writeln!(out, "  n{} -> n{}{style};", edge.from, edge.to);
    }
    out.push('}');
    out
}

fn text(number: usize, node: &Node) -> String {
    let lines: Vec<_> = node.lines.iter().map(|line| escape(line)).collect();
    let label = lines.join("\\n");
    let style = match node.kind {
        Kind::Bridge => "shape=box, style=bold",
        Kind::Endpoint => "shape=box, style=rounded",
        Kind::Uncertain => "shape=box, style=\"rounded,dashed\"",
    };
    format!("n{number} [label=\"{label}\", {style}];")
}

/// A quoted string is whatever stands between quotes; in a label a backslash begins an escape, and `&` an entity.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('&', "&amp;")
}
