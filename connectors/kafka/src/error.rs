//! What librdkafka's error codes mean for a record, and in words for people.

use gantry_sdk::{Error, ErrorKind};
use rdkafka::{error::KafkaError, types::RDKafkaErrorCode as Code};

/// What a failed delivery means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The broker refused the batch that the record was in because of this record or of a neighbour.
    BadBatch,
    /// The record can never be delivered as it is.
    Rejected,
    /// The topic is not there.
    NoTopic,
    /// The partition is not there: it never was, or the topic is gone.
    NoPartition,
    /// We may not write there.
    Denied,
    /// We took it back ourselves.
    Purged,
    /// It was not delivered, and may be later.
    GivenUp,
}

/// What a failed delivery means.
pub(crate) const fn meaning(code: Code) -> Meaning {
    match code {
        Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge
        | Code::InvalidRecord
        | Code::InvalidDifferentRecord
        | Code::InvalidTimestamp
        | Code::InvalidMessage
        | Code::InvalidMessageSize
        | Code::PolicyViolation
        | Code::UnsupportedForMessageFormat => Meaning::BadBatch,
        Code::InvalidTopic | Code::InvalidArgument => Meaning::Rejected,
        // Of a record: its partition had no leader any more when its topic went.
        Code::UnknownPartition | Code::BrokerDestroy => Meaning::NoPartition,
        Code::UnknownTopic | Code::UnknownTopicOrPartition => Meaning::NoTopic,
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => Meaning::Denied,
        Code::PurgeQueue | Code::PurgeInflight => Meaning::Purged,
        _ => Meaning::GivenUp,
    }
}

/// Why a record was not delivered to `topic`, and what to do about it.
pub(crate) fn reason(code: Code, topic: &str) -> String {
    match code {
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => {
            format!("the record is larger than topic \"{topic}\" takes: raise the topic's max.message.bytes")
        }
        Code::MessageBatchTooLarge => {
            format!("the record is larger than a segment of topic \"{topic}\": raise the topic's segment.bytes")
        }
        Code::InvalidRecord | Code::InvalidDifferentRecord => {
            format!("topic \"{topic}\" refuses the record as invalid (a compacted topic takes no record without a key)")
        }
        Code::InvalidTimestamp => format!("topic \"{topic}\" refuses the record's timestamp ({TIME_LIMITS})"),
        Code::UnknownPartition | Code::BrokerDestroy => format!("topic \"{topic}\" has no such partition"),
        Code::InvalidTopic => format!("\"{topic}\" is not a legal topic name"),
        Code::UnknownTopic | Code::UnknownTopicOrPartition => missing_topic(topic),
        Code::TopicAuthorizationFailed => {
            format!("not authorised to write to topic \"{topic}\": grant WRITE and DESCRIBE on it")
        }
        Code::ClusterAuthorizationFailed => {
            "not authorised to produce idempotently: grant IDEMPOTENT_WRITE on the cluster (brokers before 2.8)"
                .to_owned()
        }
        Code::MessageTimedOut => format!("Kafka did not confirm the record for topic \"{topic}\" in time"),
        other => format!("delivering to topic \"{topic}\": {}", words(other)),
    }
}

/// A record without a time of its own got this machine's, and `topic` refuses that.
pub(crate) fn wrong_clock(topic: &str) -> String {
    format!(
        "topic \"{topic}\" refuses the time of this machine's clock, which records without a time of their own get: set \
         this clock or Kafka's right ({TIME_LIMITS})"
    )
}

/// Kafka's settings of a topic that refuse timestamps.
const TIME_LIMITS: &str = "the topic's message.timestamp.before.max.ms and message.timestamp.after.max.ms say how far from \
                           the broker's clock a time may be";

/// How to come by a topic.
pub(crate) fn missing_topic(topic: &str) -> String {
    format!(
        "topic \"{topic}\" does not exist: create it (kafka-topics.sh --create --topic {topic} …), or let the sink do it \
         with declare: {{}}"
    )
}

/// Nobody asked for a certain partition, and yet the one that the record was for is gone.
pub(crate) fn vanished_topic(topic: &str) -> String {
    format!("the partitions of topic \"{topic}\" are gone: was it deleted? {}", missing_topic(topic))
}

/// librdkafka's own words for a code, without the code.
pub(crate) fn words(code: Code) -> String {
    let text = code.to_string();
    match text.split_once(" (") {
        Some((_, words)) => words.strip_suffix(')').unwrap_or(words).trim_start_matches("Broker: ").to_owned(),
        None => text,
    }
}

/// An error of librdkafka's in a few words.
pub(crate) fn plain(error: &KafkaError) -> String {
    match error {
        KafkaError::AdminOp(code) => words(*code),
        other => other.rdkafka_error_code().map_or_else(|| other.to_string(), words),
    }
}

/// An error of librdkafka's outside any record. The text of a configuration error may quote a value, so it is left out.
pub(crate) fn client_error(doing: impl Into<String>, error: &KafkaError) -> Error {
    let doing = doing.into();
    match error {
        KafkaError::ClientConfig(_, _, name, _) => {
            Error::config(format!("{doing}: librdkafka does not take the value of \"{name}\""))
        }
        KafkaError::ClientCreation(text) => Error::config(format!("{doing}: {text}")),
        other => match other.rdkafka_error_code() {
            Some(code @ (Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed)) => {
                Error::new(ErrorKind::Refused, format!("{doing}: {}", words(code)))
            }
            _ => Error::disconnected(format!("{doing}: {}", plain(other))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_for_people() {
        assert_eq!(words(Code::MessageSizeTooLarge), "Message size too large");
        assert_eq!(words(Code::MessageTimedOut), "Local: Message timed out");
    }

    #[test]
    fn a_configuration_error_never_quotes_the_value() {
        let error = KafkaError::ClientConfig(
            rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_INVALID,
            "Invalid value hunter2".into(),
            "sasl.password".into(),
            "hunter2".into(),
        );
        let text = client_error("creating the producer", &error).chain();
        assert!(text.contains("sasl.password") && !text.contains("hunter2"), "{text}");
    }
}
