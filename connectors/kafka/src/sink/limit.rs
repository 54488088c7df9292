//! How large a record may be, and who says so.

/// A record batch has a header that the topic's limit counts too.
const BATCH_HEADER: usize = 61;
/// What a topic takes unless someone changed it (`max.message.bytes` = 1048588).
const USUAL: usize = 1_048_588 - BATCH_HEADER;
/// What a broker takes in one request unless someone changed it (`socket.request.max.bytes`).
const UTMOST: usize = 100 << 20;
/// What librdkafka's `message.max.bytes` can be set to.
const POSSIBLE: std::ops::RangeInclusive<usize> = 1_000..=1_000_000_000;

/// The producer's `message.max.bytes`. It counts a record before compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    bytes: usize,
    from: From,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Default,
    Property,
    Topic,
}

impl Limit {
    /// The limit as far as it is known: `configured` by a person, `topic`'s own if it could be asked.
    ///
    /// Where the topic's limit is known it is the limit, so that a record which the topic would take is never refused
    /// here, and one that it would not take never makes the broker refuse a whole batch.
    pub(super) fn new(configured: Option<usize>, topic: Option<usize>, dead_letter: bool) -> Self {
        let topic = topic.map(|bytes| bytes.saturating_sub(BATCH_HEADER));
        let (bytes, from) = match (configured, topic) {
            (Some(configured), Some(topic)) if configured < topic => (configured, From::Property),
            (_, Some(topic)) => (topic, From::Topic),
            (Some(configured), None) => (configured, From::Property),
            (None, None) => (if dead_letter { UTMOST } else { USUAL }, From::Default),
        };
        Self { bytes: bytes.clamp(*POSSIBLE.start(), *POSSIBLE.end()), from }
    }

    pub(super) const fn bytes(self) -> usize {
        self.bytes
    }

    /// Why a record of `size` bytes is refused, and how to let it through.
    pub(super) fn refusal(self, size: usize, topic: &str) -> String {
        let limit = self.bytes;
        match self.from {
            From::Topic => format!(
                "the record takes {size} bytes, topic \"{topic}\" at most {limit}: raise the topic's max.message.bytes"
            ),
            From::Property => format!(
                "the record takes {size} bytes, the producer at most {limit}: raise message.max.bytes under properties"
            ),
            From::Default => format!(
                "the record takes {size} bytes, the producer at most {limit}: set message.max.bytes under properties, and \
                 raise max.message.bytes of topic \"{topic}\""
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_decides_unless_a_person_wants_less() {
        assert_eq!(Limit::new(None, Some(5_000_000), false).bytes(), 5_000_000 - BATCH_HEADER);
        assert_eq!(Limit::new(Some(9_000_000), Some(5_000_000), false).bytes(), 5_000_000 - BATCH_HEADER);
        assert_eq!(Limit::new(Some(2_000), Some(5_000_000), false).bytes(), 2_000);
        assert_eq!(Limit::new(Some(9_000_000), None, false).bytes(), 9_000_000);
        assert_eq!(Limit::new(None, None, true).bytes(), UTMOST);
        assert_eq!(Limit::new(None, Some(10), false).bytes(), 1_000, "librdkafka takes no less");
    }

    #[test]
    fn a_topic_as_it_comes_needs_no_second_producer() {
        assert_eq!(Limit::new(None, None, false).bytes(), Limit::new(None, Some(1_048_588), false).bytes());
    }
}
