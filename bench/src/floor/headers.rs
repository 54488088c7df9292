//! Headers as gantry writes them: those that the benchmark sends.

use std::{borrow::Cow, collections::BTreeMap};

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use lapin::{
    protocol::basic::AMQPProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Header, Headers as _, OwnedHeaders},
};

/// Properties and headers as text, under gantry's names and in its order: those that the benchmark sends.
pub(crate) fn kafka_headers(properties: &AMQPProperties) -> Result<OwnedHeaders> {
    let texts = [
        ("amqp.message_id", properties.message_id()),
        ("amqp.correlation_id", properties.correlation_id()),
        ("amqp.content_type", properties.content_type()),
    ];
    let own = properties.headers().as_ref().map(FieldTable::inner);
    let mut headers = OwnedHeaders::new_with_capacity(texts.len() + 2 + own.map_or(0, |own| own.len()));
    for (key, text) in texts {
        if let Some(text) = text {
            headers = headers.insert(Header { key, value: Some(text.as_str()) });
        }
    }
    if let Some(mode) = properties.delivery_mode() {
        headers = headers.insert(Header { key: "amqp.delivery_mode", value: Some(&mode.to_string()) });
    }
    if let Some(seconds) = properties.timestamp() {
        let time = Timestamp::from_second(seconds.cast_signed()).context("reading a timestamp")?;
        headers = headers.insert(Header { key: "amqp.timestamp", value: Some(&time.to_string()) });
    }
    for (name, value) in own.into_iter().flatten() {
        headers = headers.insert(Header { key: name.as_str(), value: Some(&*text_of(value)?) });
    }
    Ok(headers)
}

/// The kinds of values that the benchmark sends.
fn text_of(value: &AMQPValue) -> Result<Cow<'_, [u8]>> {
    Ok(match value {
        AMQPValue::LongString(text) => text.as_bytes().into(),
        AMQPValue::LongInt(number) => number.to_string().into_bytes().into(),
        AMQPValue::LongLongInt(number) => number.to_string().into_bytes().into(),
        AMQPValue::Boolean(value) => value.to_string().into_bytes().into(),
        _ => bail!("the benchmark sends no header like {value:?}"),
    })
}

/// Text headers become strings, as with gantry.
pub(crate) fn amqp_headers(record: &BorrowedMessage<'_>) -> FieldTable {
    let mut table = BTreeMap::new();
    for header in record.headers().into_iter().flat_map(|headers| headers.iter()) {
        let value = header.value.map_or(AMQPValue::Void, |value| AMQPValue::LongString(value.into()));
        table.insert(ShortString::from(header.key), value);
    }
    table.into()
}
