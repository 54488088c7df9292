//! The way back: `rabbitmq.*` headers to properties, origin and headers.

use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{Headers, Origin, Properties};

use super::{FIELDS, Field, header_prefix, text};
use crate::headers::{
    HeaderMapping, Include,
    decode::{Native, native_value},
};

/// A mapping in this encoding, made ready for the way back.
#[derive(Debug, Clone)]
pub(in crate::headers) struct Reader {
    has_properties: bool,
    headers: Option<String>,
}

impl Reader {
    pub(in crate::headers) fn new(mapping: &HeaderMapping) -> Self {
        let has_properties = mapping.include.contains(&Include::Properties);
        Self { has_properties, headers: header_prefix(mapping) }
    }

    /// What the headers say. Exchange and routing key go to the origin; the tags of the delivery that was are left out.
    pub(in crate::headers) fn read(&self, list: &[Native<'_>], origin: &mut Origin) -> (Headers, Properties) {
        let (mut headers, mut properties) = (Vec::new(), Properties::EMPTY);
        let mut seen = [false; FIELDS.len()];
        for (name, value) in list {
            if let Some((index, field)) = Field::named(name)
                // The second of that name is a header of the application's.
                && !std::mem::replace(&mut seen[index], true)
                && (!self.has_properties || take(field, *value, &mut properties, origin))
            {
                continue;
            }
            if let Some(prefix) = &self.headers {
                // One without the prefix is somebody else's, and stays as it is.
                let own = name.strip_prefix(prefix.as_str()).unwrap_or(name);
                headers.push((own.into(), native_value(*value)));
            }
        }
        (headers.into(), properties)
    }
}

/// Takes a field; `false` when the value does not read as one.
fn take(field: Field, value: Option<&[u8]>, properties: &mut Properties, origin: &mut Origin) -> bool {
    // Null says that the message had none.
    let Some(value) = value else { return true };
    let Ok(text) = ByteString::try_from(Bytes::copy_from_slice(value)) else { return false };
    let place = match field {
        Field::ConsumerTag | Field::DeliveryTag | Field::Redeliver => return true,
        Field::Exchange => {
            add(origin, "exchange", text);
            return true;
        }
        Field::RoutingKey => {
            add(origin, "routing_key", text);
            return true;
        }
        Field::DeliveryMode => return put(&mut properties.delivery_mode, text.parse().ok()),
        Field::Priority => return put(&mut properties.priority, text.parse().ok()),
        Field::Timestamp => return put(&mut properties.timestamp, text::read_time(&text)),
        Field::ContentType => &mut properties.content_type,
        Field::ContentEncoding => &mut properties.content_encoding,
        Field::CorrelationId => &mut properties.correlation_id,
        Field::ReplyTo => &mut properties.reply_to,
        Field::Expiration => &mut properties.expiration,
        Field::MessageId => &mut properties.message_id,
        Field::Type => &mut properties.message_type,
        Field::UserId => &mut properties.user_id,
        Field::AppId => &mut properties.app_id,
    };
    put(place, Some(text))
}

fn add(origin: &mut Origin, name: &'static str, text: ByteString) {
    *origin = std::mem::take(origin).with(name, text);
}

fn put<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    *place = value;
    place.is_some()
}
