use gantry_sdk::Description;
use regex::Regex;

use super::*;
use crate::graph::FlowSink;

/// Names that mean something to at least one of the formats.
const ODD: [&str; 14] = [
    "a\"b",
    "a\nb",
    "a]b[c",
    "a}b{c",
    "<script>&amp;</script>",
    "приказы/заказы",
    "注文",
    "a\\b\\n",
    "a;b#c|d",
    "`code` *bold* _it_",
    "end",
    "%% comment --> n0",
    "\u{202e}gnp.exe",
    "",
];

fn flow(bridge: &str, from: &str, to: &str) -> Flow {
    let end = |connector, broker: &str, endpoint| {
        let description =
            Description { broker: vec![broker.to_owned()], endpoints: vec![endpoint], ..Description::default() };
        FlowEnd { connector, description }
    };
    Flow {
        bridge: bridge.to_owned(),
        source: end("rabbit", "r1:5672", Endpoint::exact("queue", from)),
        transforms: vec!["filter", "key"],
        sinks: vec![FlowSink { end: end("kafka", "k1:9092", Endpoint::exact("topic", to)), conditional: false }],
        dead_letter: Some(DeadLetterTarget::Sink(end("kafka", "k1:9092", Endpoint::exact("topic", "dead")))),
        counts_hops: true,
    }
}

/// Every text that the format shows, read back as whoever draws it would.
fn texts(format: Format, written: &str) -> Vec<String> {
    let labels = |regex: &str| {
        let regex = Regex::new(regex).expect("it compiles");
        regex.captures_iter(written).map(|found| found.extract::<1>().1[0].to_owned()).collect::<Vec<_>>()
    };
    match format {
        Format::Mermaid => {
            let code = Regex::new("#([0-9]+);").expect("it compiles");
            let decode = |text: &str| {
                let decode = |found: &regex::Captures<'_>| {
                    char::from_u32(found[1].parse().expect("a number")).expect("a character").to_string()
                };
                code.replace_all(text, decode).into_owned()
            };
            let labels = labels(r#""([^"]*)""#);
            labels.iter().flat_map(|label| label.split("<br/>")).map(decode).collect()
        }
        Format::Dot => {
            let unescape = |text: &str| {
                let (mut out, mut chars) = (String::new(), text.chars());
                while let Some(c) = chars.next() {
                    match c {
                        '\\' => match chars.next().expect("a backslash escapes something") {
                            'n' => out.push('\u{1}'),
                            other => out.push(other),
                        },
                        other => out.push(other),
                    }
                }
                out.replace("&amp;", "&")
            };
            let labels = labels(r#"label="((?:[^"\\]|\\.)*)""#);
            labels
                .iter()
                .flat_map(|label| unescape(label).split('\u{1}').map(str::to_owned).collect::<Vec<_>>())
                .collect()
        }
        Format::Svg => labels("<text[^>]*>([^<]*)</text>")
            .iter()
            .map(|text| text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"))
            .collect(),
    }
}

#[test]
fn every_name_survives_every_format() {
    for format in [Format::Mermaid, Format::Dot, Format::Svg] {
        for name in ODD {
            let written = Diagram::new(&[flow(name, "in", name)], &[]).write(format);
            let seen = texts(format, &written);
            let count = seen.iter().filter(|text| **text == shown(name)).count();
            assert_eq!(count, 2, "{name:?} as bridge and as topic in {format:?}:\n{written}");
            let plain = Diagram::new(&[flow("b", "in", "t")], &[]).write(format);
            assert_eq!(written.lines().count(), plain.lines().count(), "{name:?} breaks no line:\n{written}");
        }
    }
}

#[test]
fn what_cannot_be_seen_is_written_out() {
    assert_eq!(shown("a\nb\u{202e}"), "a\\nb\\u{202e}");
    assert_eq!(shown("заказы 注文"), "заказы 注文");
    assert_eq!(shown(""), "\"\"");
}

#[test]
fn one_endpoint_is_one_node_whoever_uses_it() {
    let diagram = Diagram::new(&[flow("one", "in", "out"), flow("two", "in", "out")], &[]);
    assert_eq!(diagram.brokers, ["rabbit r1:5672", "kafka k1:9092"]);
    // Two bridges, the queue, the topic, the dead letters.
    assert_eq!(diagram.nodes.len(), 5);
    assert_eq!(diagram.edges.len(), 6);
}

#[test]
fn routes_are_drawn_as_far_as_they_matter() {
    let route =
        |from: &str, kind, to: &str| Route { from: Endpoint::exact("exchange", from), to: Endpoint::exact(kind, to) };
    let flow = flow("b", "in", "out");
    let routes = vec![
        route("shop", "exchange", "eu"),
        route("eu", "queue", "in"),
        route("eu", "queue", "nobody's"),
        route("elsewhere", "queue", "nobody's"),
    ];
    let diagram = Diagram::new(std::slice::from_ref(&flow), &[(flow.source.clone(), routes)]);
    let names: Vec<_> = diagram.nodes.iter().map(|node| node.lines[1].as_str()).collect();
    assert!(names.contains(&"shop") && names.contains(&"eu"), "{names:?}");
    assert!(!names.contains(&"nobody's") && !names.contains(&"elsewhere"), "{names:?}");
}

#[test]
fn a_circle_and_nothing_at_all_can_be_drawn_too() {
    let there = flow("there", "a", "b");
    let sinks = vec![FlowSink { end: there.source.clone(), conditional: false }];
    let back = Flow { source: there.sinks[0].end.clone(), sinks, ..flow("back", "", "") };
    for format in [Format::Mermaid, Format::Dot, Format::Svg] {
        assert!(Diagram::new(&[there.clone(), back.clone()], &[]).write(format).contains("back"));
        Diagram::new(&[], &[]).write(format);
    }
}

#[test]
fn each_sink_has_an_edge_that_says_whether_it_has_a_condition() {
    let mut fan = flow("orders", "in", "all");
    let mut other = fan.sinks[0].end.clone();
    other.description.endpoints = vec![Endpoint::exact("topic", "audit")];
    fan.sinks.push(FlowSink { end: other, conditional: true });
    let diagram = Diagram::new(&[fan], &[]);
    for format in [Format::Mermaid, Format::Dot, Format::Svg] {
        let written = diagram.write(format);
        assert_eq!(written.matches("on condition").count(), 1, "{written}");
        assert!(written.contains("all") && written.contains("audit"), "{written}");
    }
    let ways: Vec<Way> = diagram.edges.iter().map(|edge| edge.way).collect();
    assert_eq!(ways.iter().filter(|way| **way == Way::Records).count(), 2);
    assert_eq!(ways.iter().filter(|way| **way == Way::Conditional).count(), 1);
}
