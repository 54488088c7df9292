//! Kafka headers of anybody's as message properties and typed headers: what the source makes of them.
//!
//! Nothing is left out that the options do not leave out. What a sink with `typed` encoding wrote comes back to the last
//! bit; of everything else the bytes come back: as text where they are UTF-8, and as bytes where they are not.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gantry_sdk::{Headers, Properties, Record};
use rdkafka::message::Headers as NativeHeaders;

use super::{
    Encoding, HeaderMapping, Include, confluent,
    decode::{Native, is_property, native_value},
    typed,
};

/// A mapping made ready.
#[derive(Debug, Clone)]
pub struct HeaderReader {
    typed: bool,
    /// Reads everything, in place of what follows.
    confluent: Option<confluent::Reader>,
    /// The prefix of properties, if there are any to be read.
    properties: Option<String>,
    /// The prefix of the application's headers, if they are to be read.
    headers: Option<String>,
}

/// The headers whose names can be read, and how many there are besides.
pub fn readable<H: NativeHeaders>(headers: Option<&H>) -> (Vec<Native<'_>>, u32) {
    let Some(headers) = headers else { return (Vec::new(), 0) };
    let (mut list, mut unreadable) = (Vec::new(), 0);
    for index in 0..headers.count() {
        // rdkafka unwraps the name. It only reads there, so nothing is left half done.
        match catch_unwind(AssertUnwindSafe(|| headers.get(index))) {
            Ok(header) => list.push((header.key, header.value)),
            Err(_) => unreadable += 1,
        }
    }
    (list, unreadable)
}

impl HeaderReader {
    /// Makes a mapping ready.
    pub fn new(mapping: &HeaderMapping) -> Self {
        let has = |what| mapping.include.contains(&what);
        let encoding = mapping.encoding.unwrap_or(Encoding::Typed);
        Self {
            typed: encoding == Encoding::Typed,
            confluent: (encoding == Encoding::Confluent).then(|| confluent::Reader::new(mapping)),
            properties: has(Include::Properties).then(|| mapping.property_prefix.clone()),
            headers: has(Include::Headers).then(|| mapping.header_prefix.clone()),
        }
    }

    /// Puts what the headers say into the record.
    pub fn fill(&self, list: &[Native<'_>], record: &mut Record) {
        let (headers, properties) = match &self.confluent {
            Some(confluent) => confluent.read(list, &mut record.origin),
            None => self.read(list),
        };
        record.headers = headers;
        record.set_properties(properties);
    }

    /// What the headers say, in the encodings of our own.
    fn read(&self, list: &[Native<'_>]) -> (Headers, Properties) {
        if self.properties.is_none() && self.headers.is_none() {
            return (Headers::EMPTY, Properties::EMPTY);
        }
        match self.typed.then(|| typed::decode(list)).flatten() {
            Some(typed::Decoded { headers, properties, rest }) => {
                let mut headers = if self.headers.is_some() { headers } else { Headers::EMPTY };
                // Somebody added them behind ours.
                for (name, value) in self.headers.iter().flat_map(|_| &list[rest..]) {
                    headers.push(*name, native_value(*value));
                }
                (headers, if self.properties.is_some() { properties } else { Properties::EMPTY })
            }
            None => self.read_text(list),
        }
    }

    fn read_text(&self, list: &[Native<'_>]) -> (Headers, Properties) {
        let (mut headers, mut properties) = (Vec::new(), Properties::EMPTY);
        for (name, value) in list {
            let property = self.properties.as_ref().and_then(|prefix| name.strip_prefix(prefix.as_str()));
            if property.is_some_and(|own| is_property(&mut properties, own, *value)) {
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gantry_sdk::Value;

    use super::*;

    const LIST: &[Native<'_>] = &[
        ("amqp.message_id", Some(b"m-1")),
        ("amqp.message_id", Some(b"m-2")),
        ("amqp.priority", Some(b"high")),
        ("a", Some(b"1")),
        ("a", None),
        ("b", Some(b"\xff\x00")),
        ("gantry.timestamp", Some(b"7")),
    ];

    #[test]
    fn nothing_of_anybodys_headers_is_left_out() {
        let (headers, properties) = HeaderReader::new(&HeaderMapping::default()).read(LIST);
        assert_eq!(properties.message_id.as_deref(), Some("m-1"));
        let expected = [
            ("amqp.message_id".into(), Value::text("m-2")),
            ("amqp.priority".into(), Value::text("high")),
            ("a".into(), Value::text("1")),
            ("a".into(), Value::Null),
            ("b".into(), Value::Bytes(Bytes::from_static(b"\xff\x00"))),
            ("gantry.timestamp".into(), Value::text("7")),
        ];
        assert_eq!(headers.to_vec(), expected);
    }

    #[test]
    fn what_a_typed_sink_wrote_comes_back_and_what_others_added_too() {
        let list: &[Native<'_>] = &[
            ("amqp.priority", Some(b"7")),
            ("n", Some(b"-5")),
            ("gantry.types", Some(b"10:pki")),
            ("trace", Some(b"abc")),
        ];
        let (headers, properties) = HeaderReader::new(&HeaderMapping::default()).read(list);
        assert_eq!(properties.priority, Some(7));
        assert_eq!(headers.to_vec(), [("n".into(), Value::I32(-5)), ("trace".into(), Value::text("abc"))]);
        let text = HeaderMapping { encoding: Some(Encoding::Text), ..HeaderMapping::default() };
        let (headers, _) = HeaderReader::new(&text).read(list);
        assert_eq!(headers.to_vec()[0], ("n".into(), Value::text("-5")));
        assert_eq!(headers.len(), 3, "gantry.types is a header like any other then");
    }

    #[test]
    fn what_is_not_included_is_left_out() {
        let mapping = HeaderMapping { include: Vec::new(), ..HeaderMapping::default() };
        assert_eq!(HeaderReader::new(&mapping).read(LIST), (Headers::EMPTY, Properties::EMPTY));
        let mapping = HeaderMapping { include: vec![Include::Properties], ..HeaderMapping::default() };
        let (headers, properties) = HeaderReader::new(&mapping).read(LIST);
        assert!(headers.is_empty() && properties.message_id.is_some());
    }

    /// Headers of which every second name cannot be read.
    struct HalfUtf8;

    impl NativeHeaders for HalfUtf8 {
        fn count(&self) -> usize {
            4
        }

        fn try_get(&self, index: usize) -> Option<rdkafka::message::Header<'_, &[u8]>> {
            assert!(index.is_multiple_of(2), "called `Result::unwrap()` on an `Err` value: Utf8Error");
            Some(rdkafka::message::Header { key: "k", value: None })
        }
    }

    #[test]
    fn a_name_that_cannot_be_read_is_counted_and_the_others_come() {
        let (list, unreadable) = readable(Some(&HalfUtf8));
        assert_eq!((list.len(), unreadable), (2, 2));
    }
}
