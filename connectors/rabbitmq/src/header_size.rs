//! What headers take in a frame, and how they are made to fit.

use gantry_sdk::dead_letters::Reason;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};

/// What a content header has besides the properties: class, weight, body size, flags, and the frame around it.
const HEADER_FRAMING: usize = 2 + 2 + 8 + 2 + 8;

/// Bytes that a table may take in a frame, beside these properties.
pub(crate) fn room(frame: usize, properties: &BasicProperties) -> usize {
    frame.saturating_sub(HEADER_FRAMING + properties_size(properties))
}

/// Bytes of all properties but the headers.
fn properties_size(properties: &BasicProperties) -> usize {
    let text = |text: &Option<ShortString>| text.as_ref().map_or(0, |text| 1 + text.as_str().len());
    let texts = [
        properties.content_type(),
        properties.content_encoding(),
        properties.correlation_id(),
        properties.reply_to(),
        properties.expiration(),
        properties.message_id(),
        properties.kind(),
        properties.user_id(),
        properties.app_id(),
        properties.cluster_id(),
    ];
    // Mode, priority and timestamp.
    10 + texts.into_iter().map(text).sum::<usize>()
}

/// Bytes of the table on the wire (AMQP 0-9-1 §4.2.5, with RabbitMQ's field types).
pub(crate) fn size(table: &FieldTable) -> usize {
    4 + table.inner().iter().map(|(name, value)| field_size(name, value)).sum::<usize>()
}

fn field_size(name: &ShortString, value: &AMQPValue) -> usize {
    1 + name.as_str().len() + value_size(value)
}

fn value_size(value: &AMQPValue) -> usize {
    1 + match value {
        AMQPValue::Void => 0,
        AMQPValue::Boolean(_) | AMQPValue::ShortShortInt(_) | AMQPValue::ShortShortUInt(_) => 1,
        AMQPValue::ShortInt(_) | AMQPValue::ShortUInt(_) => 2,
        AMQPValue::LongInt(_) | AMQPValue::LongUInt(_) | AMQPValue::Float(_) => 4,
        AMQPValue::DecimalValue(_) => 5,
        AMQPValue::LongLongInt(_) | AMQPValue::Double(_) | AMQPValue::Timestamp(_) => 8,
        AMQPValue::ShortString(text) => 1 + text.as_str().len(),
        AMQPValue::LongString(text) => 4 + text.len(),
        AMQPValue::ByteArray(bytes) => 4 + bytes.len(),
        AMQPValue::FieldArray(items) => 4 + items.as_slice().iter().map(value_size).sum::<usize>(),
        AMQPValue::FieldTable(fields) => size(fields),
    }
}

/// Takes the largest headers out until the rest fits, and those that are Gantry's own last; says how many went.
pub(crate) fn shrink(table: &mut FieldTable, room: usize) -> u32 {
    let is_ours = |name: &str| name.starts_with("gantry.") || name.starts_with(Reason::PREFIX);
    let mut fields: Vec<_> = table.inner().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    fields.sort_by_key(|(name, value)| (!is_ours(name.as_str()), field_size(name, value)));
    let mut went = 0;
    let mut total = 4 + fields.iter().map(|(name, value)| field_size(name, value)).sum::<usize>();
    while total > room {
        let Some((name, value)) = fields.pop() else { break };
        total -= field_size(&name, &value);
        went += 1;
    }
    *table = fields.into_iter().collect::<std::collections::BTreeMap<_, _>>().into();
    went
}
