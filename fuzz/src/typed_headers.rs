//! Kafka headers that claim to be `typed`: foreign bytes.

use gantry_kafka::headers::{Encoding, HeaderMapping, Mapper, Out, Scratch, decode::Decoder, typed};
use gantry_sdk::{Record, Value, testkit};

use super::input;

pub(super) fn run(data: &[u8]) {
    let (lines, types) = input::lines(data);
    let mut list: Vec<(&str, Option<&[u8]>)> = Vec::new();
    for line in lines {
        let (name, value) = match line.iter().position(|byte| *byte == b'=') {
            Some(at) => (&line[..at], Some(&line[at + 1..])),
            None => (line, None),
        };
        let Ok(name) = str::from_utf8(name) else { return };
        list.push((name, value));
    }
    list.push((typed::TYPES, Some(types)));
    let rebuilt = Decoder::new(&HeaderMapping::default(), Vec::new()).rebuild(&list);
    assert!(rebuilt.rest <= list.len());
    rebuilt.headers.iter().for_each(|(_, value)| assert_sound(value));
    let Some(decoded) = typed::decode(&list) else {
        assert!(!rebuilt.exact, "exact, and not decoded");
        return;
    };
    assert!(rebuilt.exact && rebuilt.properties == decoded.properties, "two answers about the same headers");
    testkit::assert_same(&rebuilt.headers, &decoded.headers);
    assert!(decoded.headers.len() < list.len(), "more headers than there were");
    if let Some(time) = decoded.properties.timestamp {
        assert_sound(&Value::Timestamp(time));
    }
    // A property could stand twice in the bytes, so the first round may lose one. The second may not.
    let mut record = Record { headers: decoded.headers, ..Record::default() };
    record.set_properties(decoded.properties);
    assert_survives(&record);
}

/// Kafka headers as a sink writes them.
#[derive(Default)]
pub(super) struct Written(pub(super) Vec<(String, Option<Vec<u8>>)>);

impl Out for Written {
    fn add(&mut self, name: &str, value: Option<&[u8]>) {
        self.0.push((name.to_owned(), value.map(<[u8]>::to_vec)));
    }
}

impl Written {
    /// What a mapping makes of a record.
    pub(super) fn by(mapping: &HeaderMapping, record: &Record) -> Self {
        let (mapper, mut written) = (Mapper::new(mapping), Self::default());
        mapper.write(record, &mut Scratch::default(), &mut written);
        let announced = mapper.count(record);
        assert!(written.0.len() <= announced, "{} headers, {announced} announced", written.0.len());
        written
    }

    pub(super) fn decode(&self) -> Option<typed::Decoded> {
        let list: Vec<_> = self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        typed::decode(&list)
    }
}

/// Written as `typed` and decoded, the record's headers and properties are what they were.
pub(super) fn assert_survives(record: &Record) {
    let mapping = HeaderMapping { encoding: Some(Encoding::Typed), ..HeaderMapping::default() };
    let written = Written::by(&mapping, record);
    match written.decode() {
        Some(decoded) => {
            testkit::assert_same(&decoded.headers, &record.headers);
            assert_eq!(decoded.properties, *record.properties());
            assert_eq!(decoded.rest, written.0.len());
        }
        None => assert!(written.0.is_empty(), "what was written does not decode: {:?}", written.0),
    }
}

/// What the types promise beyond their fields.
fn assert_sound(value: &Value) {
    match value {
        Value::Timestamp(time) => assert!(time.nanos < 1_000_000_000, "{time:?}"),
        Value::List(items) => items.iter().for_each(assert_sound),
        Value::Table(fields) => fields.iter().for_each(|(_, value)| assert_sound(value)),
        _ => {}
    }
    // Every value has a text, and only null has none.
    assert_eq!(value.to_text().is_none(), *value == Value::Null);
}
