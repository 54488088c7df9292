//! Where records go.

use gantry_sdk::{Delivered, ErrorKind, Health, Record, Value, health::Condition};
use lapin::ExchangeKind;
use serde_json::json;

use super::{
    super::support::{Queue, Rabbit, closed, opened, unique, unopened, within},
    support::{Hand, bind, context, deliver, drain, exchange, only, open, record, sink},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_routing_key_is_the_records_own_unless_the_options_make_one() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("keys").await;
    let name = exchange(&rabbit, ExchangeKind::Fanout).await;
    bind(&rabbit, &queue, &name, "").await;
    let mut came_by_amqp = record("amqp");
    came_by_amqp.origin = came_by_amqp.origin.with("routing_key", "order.created");
    came_by_amqp.key = Some("key".into());
    let keyed = Record { key: Some("key".into()), ..record("keyed") };
    let mut bare = record("bare");
    bare.origin.address = "topic".into();
    let routed = Record { destination: Some("chosen".into()), ..keyed.clone() };
    let mut sink = open(json!({ "exchange": name })).await;
    assert!(deliver(&mut *sink, vec![came_by_amqp.clone(), keyed, bare, routed]).await.refused.is_empty());
    let mut sink = open(json!({ "exchange": name, "routing_key": "made.{key}" })).await;
    assert!(deliver(&mut *sink, vec![came_by_amqp]).await.refused.is_empty());
    let messages = drain(&rabbit, &queue).await;
    let keys: Vec<_> = messages.iter().map(|message| message.delivery.routing_key.as_str()).collect();
    assert_eq!(keys, ["order.created", "key", "topic", "chosen", "made.key"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_hears_where_a_record_is() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("answers").await;
    let name = exchange(&rabbit, ExchangeKind::Direct).await;
    bind(&rabbit, &queue, &name, "here").await;
    for (options, address, wants_answers) in [
        (json!({ "queue": queue.name }), &queue.name, true),
        (json!({ "exchange": name, "routing_key": "{value}" }), &name, true),
        (json!({ "queue": queue.name }), &queue.name, false),
    ] {
        let mut sink = open(options).await;
        let mut hand = Hand::new(0);
        hand.wants_answers = wants_answers;
        let nowhere = Record { destination: Some("nowhere".into()), ..record("here") };
        hand.put(&mut *sink, vec![record("here"), nowhere, record("here")]).await.expect("it takes them");
        let fates = hand.fates().await;
        let placed = || Delivered::Placed { address: address.as_str().into(), partition: None, offset: None };
        let expected: Vec<_> = [0, 2].into_iter().filter(|_| wants_answers).map(|number| (number, placed())).collect();
        assert_eq!((fates.answers, fates.refused.len()), (expected, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_more_routing_keys_is_followed() {
    let rabbit = Rabbit::connect().await;
    let (queue, copy) = (rabbit.queue("to").await, rabbit.queue("cc").await);
    let mut record = record("x");
    record.headers.push("CC", Value::List(vec![Value::text(copy.name.as_str())]));
    let mut sink = open(json!({ "queue": queue.name, "broker_headers": "restore" })).await;
    assert!(deliver(&mut *sink, vec![record]).await.refused.is_empty());
    for queue in [queue, copy] {
        assert_eq!(only(&rabbit, &queue).await.1, b"x");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_map_leads_topics_to_queues() {
    let rabbit = Rabbit::connect().await;
    let (exact, matched, rest) =
        (rabbit.queue("exact").await, rabbit.queue("matched").await, rabbit.queue("rest").await);
    let map = json!({ "orders": exact.name, "/^invoice-.*/": matched.name });
    let mut sink = open(json!({ "map": map, "queue": rest.name })).await;
    let from = |topic: &str| {
        let mut record = record(topic);
        record.origin.address = topic.into();
        record
    };
    assert!(deliver(&mut *sink, vec![from("orders"), from("invoice-eu"), from("other")]).await.refused.is_empty());
    for (queue, topic) in [(exact, "orders"), (matched, "invoice-eu"), (rest, "other")] {
        assert_eq!(only(&rabbit, &queue).await.1, topic.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_always_the_same_has_to_be_there() {
    let missing = |options| async {
        let error = unopened(sink(options, context(Health::new()))).await;
        assert_eq!(error.kind(), ErrorKind::Missing);
        error.chain()
    };
    let text = missing(json!({ "exchange": "no-such-exchange" })).await;
    assert!(text.contains("\"no-such-exchange\"") && text.contains("declare"), "{text}");
    let text = missing(json!({ "queue": "no-such-queue" })).await;
    assert!(text.contains("\"no-such-queue\"") && text.contains("declare"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_creates_what_it_is_asked_to_once_and_again() {
    let rabbit = Rabbit::connect().await;
    let (queue, name) = (Queue { name: unique("declared") }, unique("exchange"));
    let topology = json!({
        "queue": {},
        "exchange": { "name": name, "type": "fanout", "auto_delete": true },
        "bindings": [{}],
    });
    let options = json!({ "queue": queue.name, "declare": topology });
    for _ in 0..2 {
        let mut sink = open(options.clone()).await;
        assert!(deliver(&mut *sink, vec![record("x")]).await.refused.is_empty());
        closed(sink.close()).await;
        assert_eq!(only(&rabbit, &queue).await.1, b"x");
    }
    let mut sink = open(json!({ "exchange": name })).await;
    assert!(
        deliver(&mut *sink, vec![Record { key: Some("k".into()), ..record("by exchange") }]).await.refused.is_empty()
    );
    assert_eq!(only(&rabbit, &queue).await.1, b"by exchange");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_that_vanishes_is_no_records_fault() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("vanishes").await;
    let name = exchange(&rabbit, ExchangeKind::Fanout).await;
    bind(&rabbit, &queue, &name, "").await;
    let health = Health::new();
    let mut sink = opened(sink(json!({ "exchange": name }), context(health.clone()))).await;
    rabbit.channel.exchange_delete(name.as_str().into(), Default::default()).await.expect("it is there");
    let mut hand = Hand::new(0);
    hand.put(&mut *sink, vec![Record { key: Some("k".into()), ..record("x") }]).await.expect("it takes it");
    let error = within("flushing", sink.flush()).await.expect_err("there is no exchange");
    assert_eq!(error.kind(), ErrorKind::Missing, "{}", error.chain());
    let fates = hand.fates().await;
    assert_eq!(fates.to_be_repeated(&name), 1, "{fates:?}");
    // Whichever of the three the runtime hears first.
    assert_eq!(fates.refused[0].1.cause, ErrorKind::Missing);
    assert!(matches!(health.get(), Condition::Failed(ErrorKind::Missing, _)), "{:?}", health.get());
}
