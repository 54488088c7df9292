//! Mermaid's `flowchart`, as its documentation has it ("Special characters that break syntax", "Entity codes").

use std::fmt::Write as _;

use super::{Diagram, Kind, Node, Way};

pub(super) fn write(diagram: &Diagram) -> String {
    let mut out = String::from("flowchart LR\n");
    // Writing to a String cannot fail.
    for (number, broker) in diagram.brokers.iter().enumerate() {
        let _ = writeln!(out, "  subgraph b{number}[\"{}\"]", escape(broker));
        for node in diagram.nodes_of(Some(number)) {
            let _ = writeln!(out, "    {}", text(node, &diagram.nodes[node]));
        }
        out.push_str("  end\n");
    }
    for node in diagram.nodes_of(None) {
        let _ = writeln!(out, "  {}", text(node, &diagram.nodes[node]));
    }
    for edge in &diagram.edges {
        let arrow = match edge.way {
            Way::Records => "-->".to_owned(),
            Way::Inside => "==>".to_owned(),
            Way::Conditional => format!("-->|{}|", edge.way.label().unwrap_or_default()),
            Way::DeadLetters => format!("-. {} .->", edge.way.label().unwrap_or_default()),
        };
        let _ = writeln!(out, "  n{} {arrow} n{}", edge.from, edge.to);
    }
    out.trim_end().to_owned()
}

fn text(number: usize, node: &Node) -> String {
    let lines: Vec<_> = node.lines.iter().map(|line| escape(line)).collect();
    let label = lines.join("<br/>");
    match node.kind {
        Kind::Bridge => format!("n{number}[\"{label}\"]"),
        Kind::Endpoint => format!("n{number}([\"{label}\"])"),
        Kind::Uncertain => format!("n{number}{{{{\"{label}\"}}}}"),
    }
}

/// Entity codes for all that means something to Mermaid, to the Markdown in its labels, or to the HTML that it makes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '#' | '&' | '<' | '>' | '`' | '*' | '_' | '\\' | ';' | '~' | '[' | ']' | '{' | '}' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}
