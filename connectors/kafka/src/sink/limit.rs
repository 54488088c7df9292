//! How large a record may be, and who says so. Kafka counts after compression, a producer before: so of a topic's limit only a
//! sink that does not compress knows beforehand what it means for a record. Else the broker judges.

/// A record batch has a header that the topic's limit counts too.
const BATCH_HEADER: usize = 61;
/// What a topic takes unless someone changed it (`max.message.bytes` = 1048588).
const USUAL: usize = 1_048_588 - BATCH_HEADER;
/// What a broker takes in one request unless someone changed it (`socket.request.max.bytes`).
const UTMOST: usize = 100 << 20;
/// What librdkafka's `message.max.bytes` can be set to.
const POSSIBLE: std::ops::RangeInclusive<usize> = 1_000..=1_000_000_000;

/// The most that a topic takes of a record, from its `max.message.bytes`.
pub(super) const fn of_topic(max_message_bytes: usize) -> usize {
    max_message_bytes.saturating_sub(BATCH_HEADER)
}

/// The producer's `message.max.bytes`: a person's own limit, or what brokers take at all.
pub(super) fn of_producer(configured: Option<usize>) -> usize {
    configured.unwrap_or(UTMOST).clamp(*POSSIBLE.start(), *POSSIBLE.end())
}

/// The most bytes of several records in one batch: as many as are wanted, and never more than the topic takes, so that no batch
/// is refused for its size but that of a single record.
pub(super) fn of_batch(wanted: u64, topic: Option<usize>) -> usize {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    wanted.min(topic.unwrap_or(usize::MAX)).max(1)
}

/// Whether a dead letter that takes so much may not take what was too large for the sink.
pub(super) fn is_small_for_letters(limit: usize) -> bool {
    limit <= USUAL
}

/// Why a record of `size` bytes is refused without asking the broker, which would refuse it.
pub(super) fn refused_by_topic(size: usize, limit: usize, topic: &str) -> String {
    format!("the record takes {size} bytes, topic \"{topic}\" at most {limit}: raise the topic's max.message.bytes")
}

/// Why the producer does not take a record of `size` bytes.
pub(super) fn refused_by_producer(size: usize, configured: Option<usize>) -> String {
    let limit = of_producer(configured);
    match configured {
        Some(_) => format!(
            "the record takes {size} bytes, the producer at most {limit}: raise message.max.bytes under properties"
        ),
        None => format!(
            "the record takes {size} bytes, and brokers take at most {limit} in a request (socket.request.max.bytes): if \
             yours take more, set message.max.bytes under properties"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_never_more_than_the_topic_takes() {
        assert_eq!(of_batch(1_000_000, None), 1_000_000);
        assert_eq!(of_batch(1_000_000, Some(of_topic(1_048_588))), 1_000_000, "a usual topic needs no second producer");
        assert_eq!(of_batch(1_000_000, Some(of_topic(3_000))), 2_939);
        assert_eq!(of_batch(1_000_000, Some(0)), 1);
    }

    #[test]
    fn the_producer_takes_what_a_broker_takes_unless_a_person_wants_less() {
        assert_eq!(of_producer(None), 104_857_600);
        assert_eq!(of_producer(Some(2_000)), 2_000);
        assert_eq!(of_producer(Some(10)), 1_000, "librdkafka takes no less");
    }
}
