//! The parts of a record that have the same shape wherever they stand: bytes, times, where it came from, properties.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{Detail, Origin, Properties, Timestamp};
use serde_json::{Map, Value as Json};

type Object = Map<String, Json>;

/// Bytes as text where they are text.
pub(super) fn put_bytes(object: &mut Object, text: &str, base64: &str, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(utf8) => object.insert(text.into(), utf8.into()),
        Err(_) => object.insert(base64.into(), STANDARD.encode(bytes).into()),
    };
}

/// What [`put_bytes`] wrote: nothing, null and bytes are three things, of which the outer `None` says that it is none.
pub(super) fn bytes(object: &Object, text: &str, base64: &str) -> Option<Option<Bytes>> {
    match (object.get(text), object.get(base64)) {
        (Some(Json::String(text)), None) => Some(Some(Bytes::copy_from_slice(text.as_bytes()))),
        (None, Some(Json::String(encoded))) => Some(Some(STANDARD.decode(encoded).ok()?.into())),
        (None | Some(Json::Null), None) => Some(None),
        _ => None,
    }
}

/// Nothing is fine; something that does not read is not.
pub(super) fn optional<T>(json: Option<&Json>, read: impl FnOnce(&Json) -> Option<T>) -> Option<Option<T>> {
    match json {
        None | Some(Json::Null) => Some(None),
        Some(json) => read(json).map(Some),
    }
}

/// `"value"` with RFC 3339 where that says all of it, else seconds and nanoseconds.
pub(super) fn time(time: Timestamp) -> Object {
    let text = time.to_string();
    if text.parse() == Ok(time) {
        return Object::from_iter([("value".to_owned(), text.into())]);
    }
    Object::from_iter([("seconds".to_owned(), time.seconds.into()), ("nanos".to_owned(), time.nanos.into())])
}

pub(super) fn read_time(object: &Object) -> Option<Timestamp> {
    match object.get("value") {
        Some(text) => text.as_str()?.parse().ok(),
        None => Some(Timestamp {
            seconds: object.get("seconds")?.as_i64()?,
            nanos: u32::try_from(object.get("nanos")?.as_u64()?).ok().filter(|nanos| *nanos < 1_000_000_000)?,
        }),
    }
}

/// Everything that an origin holds; a detail that is empty too, which is another thing than one that is not there.
pub(super) fn origin(origin: &Origin) -> Object {
    let own = [
        ("kind", (!origin.kind.is_empty()).then(|| Json::from(origin.kind))),
        ("address", (!origin.address.is_empty()).then(|| Json::from(&*origin.address))),
        ("redelivered", origin.redelivered.then_some(Json::Bool(true))),
    ];
    let details = origin.details().map(|(name, detail)| {
        let detail = match detail {
            Detail::Text(text) => Json::from(&**text),
            Detail::Integer(integer) => Json::from(*integer),
        };
        (name, Some(detail))
    });
    own.into_iter().chain(details).filter_map(|(name, json)| Some((name.to_owned(), json?))).collect()
}

/// What [`origin`] wrote; kinds and details that nobody knows any more are left out.
pub(super) fn read_origin(object: &Object) -> Option<Origin> {
    let kind = optional(object.get("kind"), |kind| Some(known(Origin::KINDS, kind.as_str()?).unwrap_or_default()))?;
    let mut origin = Origin::new(kind.unwrap_or_default(), optional(object.get("address"), text)?.unwrap_or_default());
    origin.redelivered = optional(object.get("redelivered"), Json::as_bool)?.unwrap_or_default();
    for (name, detail) in object {
        let Some(name) = known(Origin::DETAILS, name) else { continue };
        origin = match detail {
            Json::Null => origin,
            Json::String(text) => origin.with(name, &**text),
            other => origin.with(name, other.as_i64()?),
        };
    }
    Some(origin)
}

fn known(names: &[&'static str], name: &str) -> Option<&'static str> {
    names.iter().find(|known| **known == name).copied()
}

pub(super) fn read_properties(object: &Object) -> Option<Properties> {
    let text = |name| optional(object.get(name), text);
    let number = |name| optional(object.get(name), |number| u8::try_from(number.as_u64()?).ok());
    let timestamp = optional(object.get("timestamp"), |time| match time {
        Json::String(text) => text.parse().ok(),
        other => read_time(other.as_object()?),
    });
    Some(Properties {
        message_id: text("message_id")?,
        correlation_id: text("correlation_id")?,
        reply_to: text("reply_to")?,
        content_type: text("content_type")?,
        content_encoding: text("content_encoding")?,
        message_type: text("type")?,
        user_id: text("user_id")?,
        app_id: text("app_id")?,
        expiration: text("expiration")?,
        priority: number("priority")?,
        delivery_mode: number("delivery_mode")?,
        timestamp: timestamp?,
        cluster_id: text("cluster_id")?,
    })
}

fn text(json: &Json) -> Option<ByteString> {
    json.as_str().map(ByteString::from)
}
