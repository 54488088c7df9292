//! Where headers are written to, and with what.

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
