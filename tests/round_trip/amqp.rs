//! RabbitMQ → Kafka → RabbitMQ.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesOrdered};
use lapin::{
    BasicProperties,
    options::BasicPublishOptions,
    types::{AMQPValue, DecimalValue, FieldArray, FieldTable, ShortString},
};
use proptest::prelude::*;

use crate::{
    assert_same, cases,
    support::{
        self, SOON, eventually,
        gantry::Gantry,
        kafka::{self, Stored},
        rabbit::Rabbit,
        unique,
    },
};

/// A message as an AMQP client sees it.
#[derive(Debug)]
pub(crate) struct Message {
    pub properties: BasicProperties,
    pub body: Bytes,
}

fn short() -> impl Strategy<Value = ShortString> {
    prop_oneof![
        4 => "[a-zA-Z0-9_.\\-а-я/ ]{0,24}",
        2 => "\\PC{0,16}",
        1 => "[a-z]{255}",
    ]
    .prop_map(ShortString::from)
}

fn scalar() -> impl Strategy<Value = AMQPValue> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        Just(AMQPValue::Void),
        any::<bool>().prop_map(AMQPValue::Boolean),
        any::<i8>().prop_map(AMQPValue::ShortShortInt),
        any::<u8>().prop_map(AMQPValue::ShortShortUInt),
        any::<i16>().prop_map(AMQPValue::ShortInt),
        any::<u16>().prop_map(AMQPValue::ShortUInt),
        any::<i32>().prop_map(AMQPValue::LongInt),
        any::<u32>().prop_map(AMQPValue::LongUInt),
        any::<i64>().prop_map(AMQPValue::LongLongInt),
        // RabbitMQ takes no float that is not a finite number.
        any::<u32>()
            .prop_map(f32::from_bits)
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(AMQPValue::Float),
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(AMQPValue::Double),
        (any::<u8>(), any::<u32>()).prop_map(|(scale, value)| AMQPValue::DecimalValue(DecimalValue { scale, value })),
        any::<u64>().prop_map(AMQPValue::Timestamp),
        "\\PC{0,24}".prop_map(|text| AMQPValue::LongString(text.into())),
        bytes().prop_map(|bytes| AMQPValue::LongString(bytes.into())),
        bytes().prop_map(|bytes| AMQPValue::ByteArray(bytes.into())),
    ]
}

/// Headers of that name RabbitMQ reads itself, as more routing keys.
pub(crate) fn routes(name: &str) -> bool {
    matches!(name, "CC" | "BCC")
}

pub(crate) fn table(value: impl Strategy<Value = AMQPValue>, size: Range<usize>) -> impl Strategy<Value = FieldTable> {
    let name = short().prop_filter("no routing key", |name| !routes(name.as_str()));
    prop::collection::btree_map(name, value, size).prop_map(FieldTable::from)
}

fn value() -> impl Strategy<Value = AMQPValue> {
    scalar().prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| AMQPValue::FieldArray(FieldArray::from(items))),
            table(inner, 0..5).prop_map(AMQPValue::FieldTable),
        ]
    })
}

fn properties() -> impl Strategy<Value = BasicProperties> {
    let text = || prop::option::of(short());
    let texts = (text(), text(), text(), text(), text(), text(), text(), text());
    // A time to live that no test outlives, and the user that the bridges log in as: RabbitMQ checks both.
    let life =
        prop::option::of((100_000_000_u32..4_000_000_000).prop_map(|millis| ShortString::from(millis.to_string())));
    let user = prop::option::of(Just(ShortString::from("guest")));
    let mode = prop::option::of(1_u8..=2);
    // No time ahead of Kafka's clock, which refuses the record. So large a number is no time at all, and only kept.
    let timestamp = prop::option::of(100_000_000_000_000..=u64::MAX);
    let numbers = (prop::option::of(any::<u8>()), mode, timestamp);
    // A header table without fields is left out on the way, and means the same.
    let headers = prop::option::of(table(value(), 1..8));
    (texts, life, user, numbers, headers).prop_map(|(texts, life, user, (priority, mode, timestamp), headers)| {
        let mut all = BasicProperties::default();
        let mut set = |value: Option<ShortString>, with: fn(BasicProperties, ShortString) -> BasicProperties| {
            if let Some(value) = value {
                all = with(std::mem::take(&mut all), value);
            }
        };
        set(texts.0, BasicProperties::with_content_type);
        set(texts.1, BasicProperties::with_content_encoding);
        set(texts.2, BasicProperties::with_correlation_id);
        set(texts.3, BasicProperties::with_reply_to);
        set(texts.4, BasicProperties::with_message_id);
        set(texts.5, BasicProperties::with_type);
        set(texts.6, BasicProperties::with_app_id);
        set(texts.7, BasicProperties::with_cluster_id);
        set(life, BasicProperties::with_expiration);
        set(user, BasicProperties::with_user_id);
        all = priority.into_iter().fold(all, BasicProperties::with_priority);
        all = mode.into_iter().fold(all, BasicProperties::with_delivery_mode);
        all = timestamp.into_iter().fold(all, BasicProperties::with_timestamp);
        headers.into_iter().fold(all, BasicProperties::with_headers)
    })
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    let body = prop_oneof![
        20 => prop::collection::vec(any::<u8>(), 0..200),
        // More than a frame.
        1 => (any::<u8>(), 130_000_usize..200_000).prop_map(|(byte, size)| vec![byte; size]),
    ];
    (properties(), body).prop_map(|(properties, body)| Message { properties, body: body.into() })
}

async fn publish(rabbit: &Rabbit, queue: &str, messages: &[Message]) {
    let mut confirms = FuturesOrdered::new();
    for Message { properties, body } in messages {
        let (queue, options) = (queue.into(), BasicPublishOptions::default());
        let publish = rabbit.channel.basic_publish("".into(), queue, options, body, properties.clone());
        confirms.push_back(publish.await.expect("publishing"));
        if confirms.len() >= 500 {
            confirms.next().await.expect("there is one").expect("its confirm");
        }
    }
    while let Some(confirm) = confirms.next().await {
        confirm.expect("its confirm");
    }
}

/// Two bridges, `there` and `back`.
#[derive(Default)]
pub(crate) struct Way {
    /// More options of the Kafka sink.
    pub there: &'static str,
    /// The transform in front of it.
    pub wrap: &'static str,
    /// More options of the Kafka source.
    pub back: &'static str,
    /// The transform behind it.
    pub unwrap: &'static str,
    /// More options of the RabbitMQ sink.
    pub out: &'static str,
}

impl Way {
    fn yaml(&self, input: &str, topic: &str, output: &str) -> String {
        let Self { there, wrap, back, unwrap, out } = self;
        format!(
            r#"connections:
  rabbit: {{ rabbitmq: {{ urls: ["{}"] }} }}
  events: {{ kafka: {{ bootstrap_servers: "{}" }} }}
bridges:
  there:
    source: {{ rabbitmq: {{ connection: rabbit, queue: {input} }} }}
    transforms: [{wrap}]
    sink: {{ kafka: {{ connection: events, topic: {topic}, {there} }} }}
  back:
    source: {{ kafka: {{ connection: events, topic: {topic}, group: {topic}, commit_interval: 500ms, {back} }} }}
    transforms: [{unwrap}]
    sink: {{ rabbitmq: {{ connection: rabbit, queue: {output}, persistent: false, {out} }} }}
"#,
            support::amqp_url(),
            support::bootstrap_servers(),
        )
    }

    /// Sends the messages there and back: as they lie in the topic, and as they come out of the last queue.
    pub(crate) async fn round(&self, sent: &[Message]) -> (Vec<Stored>, Vec<Message>) {
        let (input, topic, output) = (unique("round-in"), unique("round"), unique("round-out"));
        let rabbit = Rabbit::connect().await;
        rabbit.queue(&input).await;
        rabbit.queue(&output).await;
        // Times at random are older than any retention.
        kafka::create_topic_with(&topic, 1, &[("retention.ms", "-1")]).await;
        publish(&rabbit, &input, sent).await;

        let gantry = Gantry::ready(&self.yaml(&input, &topic, &output)).await;
        let mut back = Vec::with_capacity(sent.len());
        eventually("as many come out as went in", SOON, async || {
            let taken = rabbit.take_deliveries(&output).await.into_iter();
            back.extend(taken.map(|delivery| Message { properties: delivery.properties, body: delivery.data.into() }));
            let has_halted =
                ["there", "back"].iter().any(|bridge| gantry.task(bridge).is_some_and(|task| task.0 == "failed"));
            (back.len() >= sent.len() || has_halted).then_some(())
        })
        .await;
        assert!(back.len() >= sent.len(), "{} of {} came back:\n{}", back.len(), sent.len(), gantry.log());
        let stored = kafka::read_all(&topic);
        rabbit.wait_until_empty(&input).await;
        for bridge in ["there", "back"] {
            gantry.check_conservation(bridge);
        }
        drop(gantry);
        rabbit.delete(&input).await;
        rabbit.delete(&output).await;
        kafka::delete_topic(&topic).await;
        (stored, back)
    }
}

/// Every property, every field type, nested: what comes out of the second queue is what went into the first.
#[tokio::test(flavor = "multi_thread")]
async fn messages_come_back_from_kafka_as_they_were() {
    let sent = cases(&message());
    let way = Way { there: "header_mapping: { encoding: typed }", ..Way::default() };
    let (_, back) = way.round(&sent).await;
    assert_same(&sent, &back);
}

/// RabbitMQ acts by some headers. They come back under another name, or asked for as they were, with their types.
#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_rabbitmq_comes_back_kept_or_restored() {
    const NAMES: [&str; 5] =
        ["x-death", "x-first-death-queue", "x-opt-any", "x-received-from", "x-stream-filter-value"];
    let mut death = FieldTable::default();
    death.insert("count".into(), AMQPValue::LongLongInt(3));
    death.insert("reason".into(), AMQPValue::LongString("expired".into()));
    let value = || AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::FieldTable(death.clone())]));
    let named = |prefix: &str| {
        let mut headers = FieldTable::default();
        headers.insert("tenant".into(), AMQPValue::ShortInt(-7));
        // No routing key in it: it copies nothing.
        headers.insert(format!("{prefix}CC").into(), AMQPValue::FieldArray(FieldArray::default()));
        for name in NAMES {
            headers.insert(format!("{prefix}{name}").into(), value());
        }
        let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
        Message { properties, body: "x".into() }
    };
    for (out, prefix) in [("", "gantry.kept."), ("broker_headers: restore", "")] {
        let way = Way { there: "header_mapping: { encoding: typed }", out, ..Way::default() };
        let (_, back) = way.round(&[named("")]).await;
        assert_same(&[named(prefix)], &back);
    }
}
