use gantry_sdk::endpoint::{Endpoint, Route};

use super::*;

fn end(connector: &'static str, broker: &str, endpoint: Endpoint) -> FlowEnd {
    let description =
        Description { broker: vec![broker.to_owned()], endpoints: vec![endpoint], ..Description::default() };
    FlowEnd { connector, description }
}

fn queue(name: &str) -> FlowEnd {
    end("rabbit", "r1:5672", Endpoint::exact("queue", name))
}

fn topic(name: &str) -> FlowEnd {
    end("kafka", "k1:9092", Endpoint::exact("topic", name))
}

fn flow(bridge: &str, source: FlowEnd, sink: FlowEnd) -> Flow {
    let bridge = bridge.to_owned();
    let sinks = vec![FlowSink { end: sink, conditional: false }];
    Flow { bridge, source, transforms: Vec::new(), sinks, dead_letter: None, counts_hops: false }
}

/// `there b> back a>`: each bridge of each circle, and what the next one reads.
fn found(flows: &[Flow]) -> Vec<String> {
    let step = |step: &circle::Step<'_>| {
        let mark = if step.dead_letters { "!" } else { "" };
        format!("{} {}{mark}>", step.flow.bridge, step.through.name.as_str())
    };
    let line = |circle: &Circle<'_>| circle.steps.iter().map(step).collect::<Vec<_>>().join(" ");
    circles(flows).iter().map(line).collect()
}

#[test]
fn a_bridge_there_and_a_bridge_back_are_a_circle() {
    let flows = [flow("there", queue("a"), topic("b")), flow("back", topic("b"), queue("a"))];
    assert_eq!(found(&flows), ["there b> back a>"]);
}

#[test]
fn the_same_names_elsewhere_are_not() {
    let elsewhere = end("kafka", "k2:9092", Endpoint::exact("topic", "b"));
    assert_eq!(found(&[flow("there", queue("a"), topic("b")), flow("back", elsewhere.clone(), queue("a"))]), [""; 0]);
    assert_eq!(found(&[flow("mirror", topic("b"), elsewhere)]), [""; 0]);
    let exchange = end("rabbit", "r1:5672", Endpoint::exact("exchange", "a"));
    assert_eq!(found(&[flow("there", queue("a"), topic("b")), flow("back", topic("b"), exchange)]), [""; 0]);
}

#[test]
fn one_shared_address_is_one_broker() {
    let mut other = topic("b");
    other.description.broker.insert(0, "k9:9092".to_owned());
    assert_eq!(found(&[flow("there", queue("a"), topic("b")), flow("back", other, queue("a"))]).len(), 1);
}

#[test]
fn a_long_way_round_is_told_whole_and_once() {
    let flows = [
        flow("aside", queue("x"), topic("one")),
        flow("first", topic("one"), queue("two")),
        flow("second", queue("two"), topic("three")),
        flow("third", topic("three"), topic("one")),
    ];
    assert_eq!(found(&flows), ["first two> second three> third one>"]);
}

#[test]
fn a_bridge_that_feeds_itself_is_a_circle_of_one() {
    assert_eq!(found(&[flow("mirror", topic("a"), topic("a"))]), ["mirror a>"]);
    let regex = end("kafka", "k1:9092", Endpoint::matching("topic", "^orders"));
    assert_eq!(found(&[flow("mirror", regex.clone(), topic("orders-all"))]), ["mirror orders-all>"]);
    assert_eq!(found(&[flow("mirror", regex, topic("all-orders"))]), [""; 0]);
}

#[test]
fn what_only_records_decide_is_no_circle() {
    let template = end("kafka", "k1:9092", Endpoint { kind: "topic", name: Name::Template("{header.to}".to_owned()) });
    assert_eq!(found(&[flow("there", topic("a"), template)]), [""; 0]);
    let mut named = topic("a");
    named.description.destination = Some("topic");
    let routed = Flow { transforms: vec!["filter", "route"], ..flow("there", topic("a"), named) }.routed();
    assert_eq!(found(&[routed]), [""; 0]);
}

#[test]
fn a_destination_changes_only_what_it_names() {
    let mut source = queue("a");
    source.description.routes =
        vec![Route { from: Endpoint::exact("exchange", "in"), to: Endpoint::exact("queue", "a") }];
    // On RabbitMQ a destination is the routing key: the exchange stays, and so do its bindings.
    let exchange = end("rabbit", "r1:5672", Endpoint::exact("exchange", "in"));
    let routed = Flow { transforms: vec!["route"], ..flow("mirror", source, exchange) }.routed();
    assert_eq!(routed.sinks[0].end.description.endpoints, [Endpoint::exact("exchange", "in")]);
    assert_eq!(found(&[routed]), ["mirror a>"]);
}

#[test]
fn routes_inside_a_broker_close_a_circle() {
    let exchange = end("rabbit", "r1:5672", Endpoint::exact("exchange", "in"));
    let mut source = queue("a");
    let flows = |source: FlowEnd| [flow("there", source, topic("b")), flow("back", topic("b"), exchange.clone())];
    assert_eq!(found(&flows(source.clone())), [""; 0]);
    let route = |from, to| Route { from, to };
    source.description.routes = vec![
        route(Endpoint::exact("exchange", "in"), Endpoint::exact("exchange", "middle")),
        // Exchanges may be bound to each other in a circle.
        route(Endpoint::exact("exchange", "middle"), Endpoint::exact("exchange", "in")),
        route(Endpoint::exact("exchange", "middle"), Endpoint::exact("queue", "a")),
    ];
    assert_eq!(found(&flows(source)), ["there b> back a>"]);
}

#[test]
fn counting_hops_ends_it_but_not_for_dead_letters() {
    let back = Flow { counts_hops: true, ..flow("back", topic("b"), queue("a")) };
    let there = flow("there", queue("a"), topic("b"));
    assert_eq!(found(&[there.clone(), back]), [""; 0]);
    let poison = Flow { counts_hops: true, dead_letter: Some(DeadLetterTarget::Sink(queue("a"))), ..there };
    assert_eq!(found(&[poison]), ["there a!>"]);
}

#[test]
fn dead_letters_that_another_bridge_brings_back_are_a_circle() {
    let there =
        Flow { dead_letter: Some(DeadLetterTarget::Sink(topic("dead"))), ..flow("there", queue("a"), topic("b")) };
    assert_eq!(found(&[there, flow("redo", topic("dead"), queue("a"))]), ["there dead!> redo a>"]);
}

#[test]
fn every_sink_can_close_a_circle() {
    let more = |end: FlowEnd| FlowSink { end, conditional: true };
    let mut there = flow("there", queue("a"), topic("b"));
    there.sinks.extend([more(topic("c")), more(queue("d"))]);
    assert_eq!(found(std::slice::from_ref(&there)), [""; 0]);
    assert_eq!(found(&[there.clone(), flow("back", queue("d"), queue("a"))]), ["there d> back a>"]);
    assert_eq!(found(&[Flow { counts_hops: true, ..there.clone() }, flow("back", queue("d"), queue("a"))]), [""; 0]);
    there.sinks.push(more(queue("a")));
    assert_eq!(found(&[there]), ["there a>"]);
}

#[test]
fn a_destination_changes_every_sink() {
    let mut named = topic("b");
    named.description.destination = Some("topic");
    let mut both = flow("there", topic("a"), named.clone());
    both.sinks.push(FlowSink { end: named, conditional: true });
    let routed = Flow { transforms: vec!["route"], ..both }.routed();
    let is_open = |sink: &FlowSink| matches!(sink.end.description.endpoints[0].name, Name::Template(_));
    assert!(routed.sinks.iter().all(is_open));
}
