//! A picture in SVG 1.1: columns from left to right, as the records go.
//!
//! There are few nodes and they come in a chain, so a small layout of our own is enough: the column of a node is the longest
//! way to it, and in a column each stands near what leads to it. No crate for layouts was as small and draws brokers.

mod layout;

use std::fmt::Write as _;

use super::{Diagram, Kind, Way};
use layout::{Boxed, LINE_HEIGHT, Layout};

/// How far the curve of an edge reaches out.
const REACH: f32 = 40.0;

const STYLE: &str = "text { font: 13px sans-serif; fill: #1b1f24 } .small { font-size: 11px; fill: #57606a } \
    rect { stroke: #57606a; fill: #ffffff } .bridge { fill: #ddf4ff; stroke: #0969da } \
    .uncertain { stroke-dasharray: 4 3 } path { fill: none; stroke: #57606a } .inside { stroke-width: 2.5 } \
    .dead { stroke: #cf222e; stroke-dasharray: 5 4 } .dead-text { font-size: 11px; fill: #cf222e } \
    .way { font-size: 11px }";

pub(super) fn write(diagram: &Diagram) -> String {
    let layout = Layout::new(diagram);
    let (width, height) = (layout.width, layout.height);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <style>{STYLE}</style>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 z\" style=\"fill: #57606a; stroke: none\"/></marker></defs>\n"
    );
    for edge in &diagram.edges {
        draw_edge(&mut out, edge.way, &layout.boxes[edge.from], &layout.boxes[edge.to]);
    }
    for (node, place) in diagram.nodes.iter().zip(&layout.boxes) {
        let broker = node.broker.map(|number| diagram.brokers[number].as_str());
        draw_node(&mut out, node.kind, &node.lines, broker, place);
    }
    out.push_str("</svg>");
    out
}

// Writing to a String cannot fail.
fn draw_edge(out: &mut String, way: Way, from: &Boxed, to: &Boxed) {
    let (x1, y1) = (from.x + from.width, from.y + from.height / 2.0);
    let (x2, y2) = (to.x, to.y + to.height / 2.0);
    let class = match way {
        Way::Records | Way::Conditional => "",
        Way::Inside => " class=\"inside\"",
        Way::DeadLetters => " class=\"dead\"",
    };
    let (out1, out2) = (x1 + REACH, x2 - REACH);
    let _ =
        writeln!(out, "<path{class} d=\"M{x1},{y1} C{out1},{y1} {out2},{y2} {x2},{y2}\" marker-end=\"url(#tip)\"/>");
    if let Some(label) = way.label() {
        let (x, y) = (f32::midpoint(x1, x2), f32::midpoint(y1, y2) - 4.0);
        let class = if way == Way::DeadLetters { "dead-text" } else { "way" };
        let _ = writeln!(out, "<text class=\"{class}\" text-anchor=\"middle\" x=\"{x}\" y=\"{y}\">{label}</text>");
    }
}

fn draw_node(out: &mut String, kind: Kind, lines: &[String], broker: Option<&str>, place: &Boxed) {
    let Boxed { x, y, width, height, .. } = *place;
    let (class, radius) = match kind {
        Kind::Bridge => ("bridge", 2),
        Kind::Endpoint => ("endpoint", 10),
        Kind::Uncertain => ("uncertain", 10),
    };
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\"/>"
    );
    let middle = x + width / 2.0;
    let mut at = y;
    for (index, line) in lines.iter().map(String::as_str).chain(broker).enumerate() {
        at += LINE_HEIGHT;
        // The second line is the name.
        let class = if index == 1 && lines.len() > 1 { "" } else { " class=\"small\"" };
        let line = escape(line);
        let _ = writeln!(out, "<text{class} text-anchor=\"middle\" x=\"{middle}\" y=\"{at}\">{line}</text>");
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
