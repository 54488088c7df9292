//! What librdkafka's errors mean for the source, and in words for people.

use gantry_sdk::{Error, ErrorKind};
use rdkafka::{consumer::Consumer as _, error::KafkaError, types::RDKafkaErrorCode as Code};

use super::{events::Consumer, lane::PartitionLane, place::Place, plan::Plan};
use crate::error;

/// An error that belongs to no partition; `None` when librdkafka mends it by itself.
pub(super) fn of_member(failed: &KafkaError, consumer: &Consumer, plan: &Plan) -> Option<Error> {
    let code = failed.rdkafka_error_code()?;
    if let KafkaError::MessageConsumptionFatal(_) = failed {
        let (code, text) = consumer.client().fatal_error().unwrap_or((code, String::new()));
        let error = of_member_of_group(code, plan);
        return Some(error.unwrap_or_else(|| Error::disconnected(format!("{}: {text}", plan.doing()))));
    }
    match code {
        Code::PollExceeded => {
            tracing::warn!(
                bridge = &*plan.context.bridge,
                "the process stood still for longer than max.poll.interval.ms: the group took its partitions away"
            );
            None
        }
        // A topic of an expression may go.
        Code::UnknownTopicOrPartition | Code::UnknownTopic if plan.options.topics_regex.is_some() => None,
        Code::UnknownTopicOrPartition | Code::UnknownTopic => {
            let which = plan.options.named().find(|name| consumer.context().reason().contains(*name));
            Some(Error::new(ErrorKind::Missing, missing_topic(which.unwrap_or("?"))))
        }
        Code::TopicAuthorizationFailed => Some(Error::new(ErrorKind::Refused, denied_topic(&plan.what()))),
        other => of_member_of_group(other, plan),
    }
}

/// What the group's coordinator refuses to a member for good. Without a group nothing that it says matters.
fn of_member_of_group(code: Code, plan: &Plan) -> Option<Error> {
    (!plan.context.exactly_once).then(|| of_group(code, plan)).flatten()
}

/// What the group's coordinator refuses for good, to whoever asks it something.
pub(super) fn of_group(code: Code, plan: &Plan) -> Option<Error> {
    let group = plan.group();
    let text = match code {
        Code::GroupAuthorizationFailed if plan.context.exactly_once => format!(
            "not authorised for consumer group \"{group}\", whose offsets say where to begin until there are stored positions: grant \
             DESCRIBE on it"
        ),
        Code::GroupAuthorizationFailed => format!("not authorised for consumer group \"{group}\": grant READ on it"),
        Code::FencedInstanceId => format!(
            "another consumer of group \"{group}\" came with the same group_instance_id: each needs a name of its own"
        ),
        Code::InconsistentGroupProtocol => format!(
            "the members of consumer group \"{group}\" have another assignment strategy than cooperative-sticky: give this \
             bridge a group of its own"
        ),
        Code::GroupMaxSizeReached => format!("consumer group \"{group}\" is full (the broker's group.max.size)"),
        Code::InvalidGroupId => format!("\"{group}\" is no name that a consumer group may have"),
        Code::InvalidSessionTimeout => {
            "session.timeout.ms is not within the broker's group.min.session.timeout.ms and group.max.session.timeout.ms"
                .to_owned()
        }
        _ => return None,
    };
    Some(Error::new(ErrorKind::Refused, format!("{}: {text}", plan.doing())))
}

/// An error that came out of a partition's queue.
pub(super) fn of_lane(failed: &KafkaError, lane: &PartitionLane, plan: &Plan) -> Error {
    let (topic, partition) = (&lane.topic, lane.partition);
    match failed.rdkafka_error_code() {
        Some(Code::AutoOffsetReset | Code::NoOffset) if plan.context.exactly_once => {
            no_position(&Place { topic: topic.to_string(), partition })
        }
        // Not for good: what is left of an expression's topics is read on.
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition)
            if plan.context.exactly_once && plan.options.topics_regex.is_some() =>
        {
            Error::disconnected(format!("topic \"{topic}\" is gone: starting again with those that are left"))
        }
        Some(Code::AutoOffsetReset | Code::NoOffset) => Error::new(
            ErrorKind::Refused,
            format!(
                "consumer group \"{}\" has no offset in partition {partition} of topic \"{topic}\", or one whose record is \
                 gone, and offset_reset is error: set the group's offset (kafka-consumer-groups.sh --reset-offsets), or \
                 another offset_reset",
                plan.group()
            ),
        ),
        Some(Code::TopicAuthorizationFailed) => {
            Error::new(ErrorKind::Refused, denied_topic(&format!("topic \"{topic}\"")))
        }
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
            Error::new(ErrorKind::Missing, missing_topic(topic))
        }
        _ => {
            Error::disconnected(format!("reading partition {partition} of topic \"{topic}\": {}", error::plain(failed)))
        }
    }
}

/// Nothing says where to begin in a partition that is read for exactly once.
pub(super) fn no_position(place: &Place) -> Error {
    let reason = "no position is stored, and no offset is committed to the group, or its record is gone, and offset_reset is error: \
                  say where to begin with start, or with another offset_reset";
    Error::new(ErrorKind::Refused, format!("{place}: {reason}"))
}

/// A topic is another than the one whose offset `next` was to be read.
pub(super) fn recreated(plan: &Plan, place: &Place, next: i64) -> String {
    let Place { topic, partition } = place;
    let or_offsets = match plan.context.exactly_once {
        true => String::new(),
        false => {
            let group = plan.group();
            format!("the offsets of consumer group \"{group}\" (kafka-consumer-groups.sh --reset-offsets), or ")
        }
    };
    format!(
        "topic \"{topic}\" was deleted and created again: offset {next} of partition {partition} is of the old one, and \
         on_topic_recreated is fail: set {or_offsets}on_topic_recreated: earliest"
    )
}

pub(super) fn missing_topic(topic: &str) -> String {
    format!("topic \"{topic}\" does not exist: create it (kafka-topics.sh --create --topic {topic} …)")
}

pub(super) fn denied_topic(what: &str) -> String {
    format!("not authorised to read {what}: grant READ and DESCRIBE on it")
}
