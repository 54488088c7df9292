//! RabbitMQ → Kafka → RabbitMQ in the conventions of other connectors: what lies in between is what they write.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldArray, FieldTable},
};
use proptest::prelude::*;
use rdkafka::producer::FutureRecord;

use crate::{
    amqp::{Message, Way, message, table},
    assert_same, cases,
    support::{
        self, SOON, eventually,
        feed::Feeder,
        gantry::Gantry,
        kafka::{self, Cluster},
        rabbit::Rabbit,
        unique,
    },
};

const CONFLUENT: Way = Way {
    there: r#"key: "{message_id}", timestamp: "0", header_mapping: { encoding: confluent }"#,
    wrap: "",
    back: "header_mapping: { encoding: confluent }",
    unwrap: "",
    out: "",
};

const ENVELOPE: Way = Way {
    there: r#"timestamp: "0""#,
    wrap: "{ rabbitmq_envelope: { do: wrap, key: message_key } }",
    back: "",
    unwrap: "{ rabbitmq_envelope: { do: unwrap } }",
    out: "",
};

/// A message with everything, so that it can be read below as consumers of those connectors read it.
fn example() -> Message {
    let mut headers = FieldTable::default();
    headers.insert("tenant".into(), AMQPValue::LongString("acme".into()));
    headers.insert("type".into(), AMQPValue::LongString("not the property".into()));
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(2)
        .with_priority(5)
        .with_correlation_id("c-1".into())
        .with_reply_to("answers".into())
        .with_expiration("600000000".into())
        .with_message_id("m-1".into())
        .with_timestamp(1_700_000_000)
        .with_type("order".into())
        .with_user_id("guest".into())
        .with_app_id("shop".into())
        .with_headers(headers);
    Message { properties, body: r#"{"test":"test"}"#.into() }
}

fn bare() -> Message {
    Message { properties: BasicProperties::default(), body: "bare".into() }
}

/// The two of them, and others at random with headers of this kind.
fn messages(value: impl Strategy<Value = AMQPValue> + 'static) -> Vec<Message> {
    let headers = prop::option::of(table(value, 1..8));
    // Milliseconds have to fit in 64 bits.
    let time = prop::option::of(0..9_000_000_000_000_000_u64);
    let random = (message(), headers, time).prop_map(|(Message { properties: own, body }, headers, time)| {
        // A cluster id has no place there.
        let mut properties = BasicProperties::default();
        macro_rules! keep {
            ($($get:ident: $with:ident),*) => {
                $(if let Some(value) = own.$get().clone() { properties = properties.$with(value); })*
            };
        }
        keep!(
            content_type: with_content_type, content_encoding: with_content_encoding,
            delivery_mode: with_delivery_mode, priority: with_priority, correlation_id: with_correlation_id,
            reply_to: with_reply_to, expiration: with_expiration, message_id: with_message_id, kind: with_type,
            user_id: with_user_id, app_id: with_app_id
        );
        properties = time.into_iter().fold(properties, BasicProperties::with_timestamp);
        properties = headers.into_iter().fold(properties, BasicProperties::with_headers);
        Message { properties, body }
    });
    let mut all = vec![example(), bare()];
    all.extend(cases(&random));
    all
}

fn text() -> impl Strategy<Value = AMQPValue> {
    "\\PC{0,24}".prop_map(|text| AMQPValue::LongString(text.into()))
}

/// All that jcustenborder's connector can say of a header.
fn original() -> impl Strategy<Value = AMQPValue> {
    prop_oneof![
        any::<bool>().prop_map(AMQPValue::Boolean),
        any::<i8>().prop_map(AMQPValue::ShortShortInt),
        any::<i16>().prop_map(AMQPValue::ShortInt),
        any::<i32>().prop_map(AMQPValue::LongInt),
        any::<i64>().prop_map(AMQPValue::LongLongInt),
        any::<f32>().prop_filter("finite", |value| value.is_finite()).prop_map(AMQPValue::Float),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(AMQPValue::Double),
        (0..9_000_000_000_000_000_u64).prop_map(AMQPValue::Timestamp),
        text(),
        prop::collection::vec(text(), 0..4).prop_map(|items| AMQPValue::FieldArray(FieldArray::from(items))),
    ]
}

/// What a consumer of Confluent's connector reads, and texts come back.
#[tokio::test(flavor = "multi_thread")]
async fn confluents_headers_are_written_and_read_back() {
    let sent = messages(text());
    let (stored, back) = CONFLUENT.round(&sent).await;
    let shown = |index: usize| -> Vec<String> {
        let text = |value: &Vec<u8>| String::from_utf8(value.clone()).expect("UTF-8");
        let value = |value: &Option<Vec<u8>>| value.as_ref().map_or_else(|| "(null)".to_owned(), text);
        stored[index].headers.iter().map(|(name, own)| format!("{name}={}", value(own))).collect()
    };
    let example = [
        "rabbitmq.consumer.tag=(null)",
        "rabbitmq.content.type=application/json",
        "rabbitmq.content.encoding=utf-8",
        "rabbitmq.delivery.mode=2",
        "rabbitmq.priority=5",
        "rabbitmq.correlation.id=c-1",
        "rabbitmq.reply.to=answers",
        "rabbitmq.expiration=600000000",
        "rabbitmq.message.id=m-1",
        "rabbitmq.timestamp=2023-11-14T22:13:20.000Z",
        "rabbitmq.type=order",
        "rabbitmq.user.id=guest",
        "rabbitmq.app.id=shop",
        "rabbitmq.delivery.tag=(null)",
        "rabbitmq.redeliver=false",
        "rabbitmq.exchange=",
    ];
    assert_eq!(shown(0)[..16], example);
    assert!(shown(0)[16].starts_with("rabbitmq.routing.key=round-in"), "{:?}", shown(0));
    assert_eq!(shown(0)[17..], ["rabbitmq.tenant=acme", "rabbitmq.type=not the property"]);
    assert_eq!((stored[0].key.as_deref(), stored[0].value.as_deref()), (Some(&b"m-1"[..]), Some(&sent[0].body[..])));

    assert_eq!((shown(1).len(), stored[1].key.as_deref()), (17, None));
    assert_eq!(shown(1).iter().filter(|header| header.ends_with("=(null)")).count(), 14, "{:?}", shown(1));
    assert_same(&sent, &back);
}

/// What a consumer of jcustenborder's connector reads, and everything that it can say comes back.
#[tokio::test(flavor = "multi_thread")]
async fn the_envelope_is_written_and_read_back() {
    let sent = messages(original());
    let (stored, back) = ENVELOPE.round(&sent).await;
    assert!(stored.iter().all(|record| record.headers.is_empty()), "it writes no headers");
    assert_eq!(stored[0].key.as_deref(), Some(&br#"{"messageId":"m-1"}"#[..]));
    let mut envelope: serde_json::Value =
        serde_json::from_slice(stored[0].value.as_ref().expect("a body")).expect("JSON");
    let routing_key = envelope["envelope"]["routingKey"].take();
    assert!(routing_key.as_str().is_some_and(|key| key.starts_with("round-in")), "{routing_key}");
    let header = |text: &str| {
        serde_json::json!({
            "type": "string", "timestamp": null, "array": null, "int8": null, "int16": null, "int32": null, "int64": null,
            "float32": null, "float64": null, "boolean": null, "string": text, "bytes": null,
        })
    };
    let expected = serde_json::json!({
        "consumerTag": "",
        "envelope": { "deliveryTag": 0, "isRedeliver": false, "exchange": "", "routingKey": null },
        "basicProperties": {
            "contentType": "application/json", "contentEncoding": "utf-8",
            "headers": { "tenant": header("acme"), "type": header("not the property") },
            "deliveryMode": 2, "priority": 5, "correlationId": "c-1", "replyTo": "answers", "expiration": "600000000",
            "messageId": "m-1", "timestamp": 1_700_000_000_000_i64, "type": "order", "userId": "guest", "appId": "shop",
        },
        "body": "eyJ0ZXN0IjoidGVzdCJ9",
    });
    // As text: the order of fields counts.
    assert_eq!(envelope.to_string(), expected.to_string());
    assert_same(&sent, &back);
}

/// Between two envelopes lie a tombstone and what is none.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_envelope_is_a_dead_letter_and_holds_up_nothing() {
    let (topic, dead, queue) = (unique("round"), unique("round-dead"), unique("round-out"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    kafka::create_topic(&dead, 1).await;
    let envelope = r#"{"envelope":{"exchange":"","routingKey":"q"},"basicProperties":{"messageId":"m"},"body":"eA=="}"#;
    let mut feeder = Feeder::new(&Cluster::at(&support::bootstrap_servers(), 1));
    for value in [Some(envelope), None, Some("{\"id\":1}"), Some(envelope)] {
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&topic).partition(0);
        record.payload = value.map(str::as_bytes);
        feeder.send(record).await;
    }
    feeder.confirmed().await;

    let gantry = Gantry::ready(&format!(
        r#"connections:
  rabbit: {{ rabbitmq: {{ urls: ["{}"] }} }}
  events: {{ kafka: {{ bootstrap_servers: "{}" }} }}
bridges:
  back:
    source: {{ kafka: {{ connection: events, topic: {topic}, group: {topic} }} }}
    transforms: [{{ rabbitmq_envelope: {{ do: unwrap }} }}]
    sink: {{ rabbitmq: {{ connection: rabbit, queue: {queue} }} }}
    errors: {{ dead_letter: {{ kafka: {{ connection: events, topic: {dead} }} }} }}
"#,
        support::amqp_url(),
        support::bootstrap_servers(),
    ))
    .await;
    let mut bodies = Vec::new();
    eventually("three come out", SOON, async || {
        bodies.extend(rabbit.take_deliveries(&queue).await.into_iter().map(|delivery| delivery.data));
        (bodies.len() >= 3).then_some(())
    })
    .await;
    assert_eq!(bodies, [&b"x"[..], b"", b"x"]);
    eventually("there is a dead letter", SOON, async || kafka::count(&dead).filter(|count| *count > 0)).await;
    let [letter] = kafka::read_all(&dead).try_into().expect("one dead letter");
    assert_eq!(letter.value.as_deref(), Some(&b"{\"id\":1}"[..]));
    let reason = letter.header("__connect.errors.exception.message");
    assert_eq!(reason.as_deref(), Some("rabbitmq_envelope: the body is no envelope: it has no envelope"));
    gantry.check_conservation("back");
    drop(gantry);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&dead).await;
}
