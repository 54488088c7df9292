//! The partitions that there are to read, and why they cannot be told.

use std::time::Duration;

use gantry_sdk::{Error, ErrorKind, Result};
use rdkafka::{consumer::Consumer as _, error::KafkaError, metadata::MetadataTopic, types::RDKafkaErrorCode as Code};

use super::{events::Consumer, failure, place::Place, plan::Plan};
use crate::error;

/// How long one question may take while opening: between two, the reason of a refused login is looked for.
pub(super) const SLICE: Duration = Duration::from_millis(500);

pub(super) enum OpenFailure {
    /// It may pass.
    Passing(String),
    Final(Error),
}

impl From<KafkaError> for OpenFailure {
    fn from(failed: KafkaError) -> Self {
        Self::Passing(error::plain(&failed))
    }
}

/// The partitions that there are to read.
pub(super) fn find_partitions(plan: &Plan, consumer: &Consumer) -> Result<Vec<Place>, OpenFailure> {
    let mut places = Vec::new();
    if plan.options.topics_regex.is_some() {
        let metadata = consumer.fetch_metadata(None, SLICE)?;
        // librdkafka has expressions of its own. In a group this only shares out memory: a topic more or less does no harm.
        let matches = |name: &str| plan.pattern.as_ref().is_none_or(|pattern| pattern.matches(name));
        let topics = metadata.topics().iter().filter(|topic| matches(topic.name()));
        topics.for_each(|topic| places.extend(partitions_of(topic)));
        return Ok(places);
    }
    for name in plan.options.named() {
        let metadata = consumer.fetch_metadata(Some(name), SLICE)?;
        let found = metadata.topics().iter().find(|found| found.name() == name).ok_or_else(|| missing(name))?;
        check_topic(name, found)?;
        places.extend(partitions_of(found));
    }
    Ok(places)
}

fn partitions_of(topic: &MetadataTopic) -> impl Iterator<Item = Place> {
    topic.partitions().iter().map(|found| Place { topic: topic.name().to_owned(), partition: found.id() })
}

fn check_topic(name: &str, found: &MetadataTopic) -> Result<(), OpenFailure> {
    match found.error().map(Code::from) {
        None => Ok(()),
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => Err(missing(name)),
        Some(Code::TopicAuthorizationFailed) => {
            let text = failure::denied_topic(&format!("topic \"{name}\""));
            Err(OpenFailure::Final(Error::new(ErrorKind::Refused, text)))
        }
        Some(code) => Err(OpenFailure::Passing(format!("topic \"{name}\": {}", error::words(code)))),
    }
}

fn missing(name: &str) -> OpenFailure {
    OpenFailure::Final(Error::new(ErrorKind::Missing, failure::missing_topic(name)))
}
