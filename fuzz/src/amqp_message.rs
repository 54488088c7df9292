//! A message's properties and headers as RabbitMQ sends them: to a record, and on to Kafka headers and back.

use gantry_kafka::headers::HeaderMapping;
use gantry_rabbitmq::fuzzing;
use gantry_sdk::{Record, Value, testkit::same};
use lapin::{
    message::Delivery,
    protocol::basic::parse_properties,
    types::{AMQPValue, FieldTable},
};

use super::typed_headers::{Written, assert_survives};

/// As deep as the typed encoding keeps lists and tables apart; deeper ones it keeps as text.
const DEEPEST: usize = 64;

pub(super) fn run(data: &[u8]) {
    // What the client library refuses never becomes a delivery.
    let Ok((body, properties)) = parse_properties(data) else { return };
    let mut delivery = Delivery::mock(1, "exchange".into(), "key".into(), false, body.to_vec());
    let table = properties.headers().clone().unwrap_or_default();
    if table.contains_key("gantry.tombstone") || table.contains_key("gantry.duplicates") {
        // Our own sink's marks are taken back, and are no headers.
        return;
    }
    delivery.properties = properties;

    let record = fuzzing::record("queue", delivery);
    assert_eq!(record.value.as_deref(), Some(body));
    assert_comes_back(&record, &table);

    let text = Written::by(&HeaderMapping::default(), &record);
    let own = text.0.len() - record.headers.len();
    for ((name, value), (own, written)) in record.headers.iter().zip(&text.0[own..]) {
        assert_eq!(own, &**name);
        assert_eq!(written.as_deref(), value.to_text().as_deref(), "{value:?}");
    }
    if record.headers.iter().all(|(_, value)| depth(value) <= DEEPEST) {
        assert_survives(&record);
    }
}

/// Every header is there, and is for AMQP what it was.
fn assert_comes_back(record: &Record, table: &FieldTable) {
    assert_eq!(record.headers.len(), table.inner().len());
    for ((name, value), (own, original)) in record.headers.iter().zip(table.inner()) {
        assert_eq!(&**name, own.as_str());
        let back = fuzzing::to_amqp(value).unwrap_or_else(|reason| panic!("{original:?}: {reason}"));
        // A short string comes back as a long one: RabbitMQ itself sends none in headers.
        let (back, original) = (fuzzing::from_amqp(&back), fuzzing::from_amqp(original));
        assert!(same(&back, &original), "{original:?} came back as {back:?}");
        if let (AMQPValue::FieldTable(_) | AMQPValue::FieldArray(_), None) =
            (table.inner()[own].clone(), value.to_text())
        {
            panic!("{value:?} has no text");
        }
    }
}

/// How deep lists and tables lie in one another.
fn depth(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Table(fields) => 1 + fields.iter().map(|(_, value)| depth(value)).max().unwrap_or_default(),
        _ => 0,
    }
}
