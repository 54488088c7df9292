//! Which letter.

use std::{fmt, str::FromStr};

use bytestring::ByteString;

/// Names one letter within its store: `3:1502`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId {
    /// The stream that it stands in, in the connector's own words: Kafka's partition. Without `:`, `;` and spaces.
    pub stream: ByteString,
    /// Its number there: the same at each reading.
    pub number: u64,
}

impl DeadLetterId {
    /// The letter of that number in that stream.
    pub fn new(stream: impl Into<ByteString>, number: u64) -> Self {
        Self { stream: stream.into(), number }
    }
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.stream, self.number)
    }
}

impl FromStr for DeadLetterId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.trim().rsplit_once(':').filter(|(stream, _)| !stream.is_empty());
        let read = parts.and_then(|(stream, number)| Some(Self::new(stream, number.parse().ok()?)));
        read.ok_or_else(|| format!("\"{text}\" is not the id of a letter: it looks like 0:1502"))
    }
}
