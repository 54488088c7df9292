//! Where headers are written to, and with what.

use bytestring::ByteString;

/// Where Kafka headers are written to, in order.
pub trait Out {
    /// One more header; `None` is Kafka's null value.
    fn add(&mut self, name: &str, value: Option<&[u8]>);
}

/// Memory that is used again for every record.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) name: String,
    pub(super) text: Vec<u8>,
    pub(super) types: Vec<u8>,
}

/// A name with its prefix.
pub(super) fn prefixed<'a>(prefix: &str, name: &'a str, scratch: &'a mut String) -> &'a str {
    if prefix.is_empty() {
        return name;
    }
    scratch.clear();
    scratch.push_str(prefix);
    scratch.push_str(name);
    scratch
}

/// The bytes of a text, none of what is not there.
pub(super) fn bytes_of(text: Option<&ByteString>) -> &[u8] {
    text.map_or(&[], |text| text.as_bytes())
}
