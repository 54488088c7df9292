//! Kafka headers back to message properties and typed headers.
//!
//! The mapping is total: whatever the headers are, they become some. What the `typed` encoding wrote comes back to the last
//! bit; of everything else the text comes back.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{Headers, Properties, Value};
use rdkafka::message::Headers as NativeHeaders;

use super::{HeaderMapping, Include, properties, typed};

/// A name and a value as they lie in Kafka.
pub type Native<'a> = (&'a str, Option<&'a [u8]>);

/// What headers were made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebuilt {
    /// The application's headers.
    pub headers: Headers,
    /// The message properties.
    pub properties: Properties,
    /// All of it is as it was written; else only the text is.
    pub exact: bool,
    /// Where the headers begin that were added behind those of the record.
    pub rest: usize,
}

/// A mapping made ready for the way back.
#[derive(Debug, Clone)]
pub struct Decoder {
    properties: Option<String>,
    headers: Option<String>,
    has_origin: bool,
    /// Names of headers that the sink adds to each record.
    added: Vec<String>,
}

/// A header has a name that is not UTF-8. Kafka allows it; the client library cannot read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// All headers of a message in order.
pub fn native<H: NativeHeaders>(headers: Option<&H>) -> Result<Vec<Native<'_>>, Unreadable> {
    let Some(headers) = headers else { return Ok(Vec::new()) };
    let read = || headers.iter().map(|header| (header.key, header.value)).collect();
    // rdkafka unwraps each name. It only reads there, so nothing is left half done.
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| Unreadable)
}

pub(super) fn native_value(value: Option<&[u8]>) -> Value {
    match value {
        None => Value::Null,
        Some(bytes) if std::str::from_utf8(bytes).is_ok() => Value::String(Bytes::copy_from_slice(bytes)),
        Some(bytes) => Value::Bytes(Bytes::copy_from_slice(bytes)),
    }
}

impl Decoder {
    /// The way back of that mapping, to which the sink adds headers of these names.
    pub fn new(mapping: &HeaderMapping, added: Vec<String>) -> Self {
        let has = |what| mapping.include.contains(&what);
        Self {
            properties: has(Include::Properties).then(|| mapping.property_prefix.clone()),
            headers: has(Include::Headers).then(|| mapping.header_prefix.clone()),
            has_origin: has(Include::Origin),
            added,
        }
    }

    /// Rebuilds what the headers were made of.
    pub fn rebuild(&self, list: &[Native<'_>]) -> Rebuilt {
        if let Some(typed::Decoded { headers, properties, rest }) = typed::decode(list) {
            let exact = self.properties.is_some() && self.headers.is_some();
            return Rebuilt { headers, properties, exact, rest };
        }
        let rest = self.rest(list);
        let (mut headers, mut properties) = (Vec::new(), Properties::default());
        for (name, value) in &list[..rest] {
            if !self.is_property(&mut properties, name, *value)
                && let Some(own) = self.headers.as_ref().and_then(|prefix| name.strip_prefix(prefix.as_str()))
            {
                headers.push((own.into(), text(*value)));
            }
        }
        Rebuilt { headers: headers.into(), properties, exact: false, rest }
    }

    /// Where the headers begin that stand behind those of the record: those of the sink, and before them the origin.
    fn rest(&self, list: &[Native<'_>]) -> usize {
        let is_ours = |name: &str| name.starts_with("gantry.") || self.added.iter().any(|added| added == name);
        let mut rest = list.len();
        while rest > 0 && is_ours(list[rest - 1].0) {
            rest -= 1;
        }
        let prefix = self.properties.as_deref().unwrap_or_default();
        let is_origin = |name: &str| {
            let own = name.strip_prefix(prefix).unwrap_or_default();
            self.has_origin && matches!(own, "exchange" | "routing_key" | "queue")
        };
        for _ in 0..3 {
            if rest > 0 && is_origin(list[rest - 1].0) {
                rest -= 1;
            }
        }
        rest
    }

    fn is_property(&self, properties: &mut Properties, name: &str, value: Option<&[u8]>) -> bool {
        let own = self.properties.as_ref().and_then(|prefix| name.strip_prefix(prefix.as_str()));
        own.is_some_and(|own| is_property(properties, own, value))
    }
}

/// Takes a property that is not set yet; what does not read as one is a header like any other.
pub(super) fn is_property(properties: &mut Properties, own: &str, value: Option<&[u8]>) -> bool {
    let index = properties::NAMES.iter().position(|known| *known == own);
    let text = || value.and_then(|value| ByteString::try_from(Bytes::copy_from_slice(value)).ok());
    let Some((index, text)) = index.and_then(|index| Some((index, text()?))) else { return false };
    if let Some(place) = properties::text_mut(properties, index) {
        return put(place, Some(text));
    }
    if let Some(place) = properties::number_mut(properties, index) {
        return put(place, text.parse().ok());
    }
    put(&mut properties.timestamp, text.parse().ok())
}

fn put<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let takes = place.is_none() && value.is_some();
    if takes {
        *place = value;
    }
    takes
}

fn text(value: Option<&[u8]>) -> Value {
    value.map_or(Value::Null, |bytes| Value::String(Bytes::copy_from_slice(bytes)))
}

#[cfg(test)]
mod tests {
    use gantry_sdk::Timestamp;
    use rdkafka::message::{Header, OwnedHeaders};

    use super::*;

    fn decoder(origin: bool) -> Decoder {
        let mut mapping = HeaderMapping { header_prefix: "h.".to_owned(), ..HeaderMapping::default() };
        if origin {
            mapping.include.push(Include::Origin);
        }
        Decoder::new(&mapping, vec!["source".to_owned()])
    }

    #[test]
    fn of_text_the_text_comes_back() {
        let list: Vec<Native<'_>> = vec![
            ("amqp.message_id", Some(b"m-1")),
            ("amqp.priority", Some(b"7")),
            ("amqp.timestamp", Some(b"2023-11-14T22:13:20Z")),
            ("h.a", Some(b"1")),
            ("h.", None),
            ("amqp.queue", Some(b"orders")),
            ("source", Some(b"added")),
            ("gantry.timestamp", Some(b"1")),
        ];
        let rebuilt = decoder(true).rebuild(&list);
        assert!(!rebuilt.exact);
        assert_eq!(rebuilt.rest, 5);
        assert_eq!(rebuilt.headers.to_vec(), [("a".into(), Value::text("1")), ("".into(), Value::Null)]);
        assert_eq!(rebuilt.properties.message_id.as_deref(), Some("m-1"));
        assert_eq!(rebuilt.properties.priority, Some(7));
        assert_eq!(rebuilt.properties.timestamp, Some(Timestamp::from_seconds(1_700_000_000)));
    }

    #[test]
    fn what_is_no_property_after_all_is_a_header() {
        let mapping = HeaderMapping::default();
        let list: Vec<Native<'_>> =
            vec![("amqp.priority", Some(b"high")), ("amqp.type", Some(b"a")), ("amqp.type", Some(b"b"))];
        let rebuilt = Decoder::new(&mapping, Vec::new()).rebuild(&list);
        assert_eq!(rebuilt.headers.len(), 2);
        assert_eq!(rebuilt.properties.message_type.as_deref(), Some("a"));
    }

    #[test]
    fn headers_come_out_of_the_library_as_they_went_in() {
        let headers = OwnedHeaders::new().insert(Header { key: "a", value: Some("1") });
        let headers = headers.insert(Header { key: "", value: None::<&[u8]> });
        let expected: Vec<Native<'_>> = vec![("a", Some(b"1")), ("", None)];
        assert_eq!(native(Some(headers.as_borrowed())), Ok(expected));
        assert_eq!(native::<OwnedHeaders>(None), Ok(Vec::new()));
    }

    /// Headers whose reading fails as rdkafka's does.
    struct NotUtf8;

    impl NativeHeaders for NotUtf8 {
        fn count(&self) -> usize {
            1
        }

        fn try_get(&self, _: usize) -> Option<Header<'_, &[u8]>> {
            panic!("called `Result::unwrap()` on an `Err` value: Utf8Error")
        }
    }

    #[test]
    fn a_name_that_the_library_cannot_read_is_said_and_ends_nothing() {
        assert_eq!(native(Some(&NotUtf8)), Err(Unreadable));
    }
}
