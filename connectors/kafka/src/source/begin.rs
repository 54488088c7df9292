//! Where to begin in partitions for which the group has no offset, when it is not the first record. Blocks.

use std::{collections::BTreeMap, time::Duration};

use gantry_sdk::{Error, Result};
use rdkafka::{Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaError};

use super::{
    Start,
    events::{Consumer, Place, list_of},
    plan::Plan,
};
use crate::error;

/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(10);

/// The offsets to begin at, for those partitions that the group does not know and the options say something about.
pub(super) fn find(plan: &Plan, consumer: &Consumer, places: &[Place]) -> Result<BTreeMap<Place, i64>> {
    if !plan.begins_by_itself() || places.is_empty() {
        return Ok(BTreeMap::new());
    }
    let failed = |failed: KafkaError| {
        Error::disconnected(format!("{}: finding where to begin: {}", plan.doing(), error::plain(&failed)))
    };
    let committed = consumer.committed_offsets(list_of(places), QUESTION).map_err(failed)?;
    let mut unknown = TopicPartitionList::new();
    let mut begins = BTreeMap::new();
    for element in committed.elements() {
        element.error().map_err(failed)?;
        if element.offset() != Offset::Invalid {
            continue;
        }
        let place = Place { topic: element.topic().to_owned(), partition: element.partition() };
        let question = match plan.start() {
            Some(Start::Offset(offset)) => {
                begins.insert(place, i64::try_from(offset).unwrap_or(i64::MAX));
                continue;
            }
            Some(Start::Timestamp(time)) => Offset::Offset(time.0.max(0)),
            None => Offset::End,
        };
        unknown.add_partition_offset(element.topic(), element.partition(), question).map_err(failed)?;
    }
    if unknown.count() > 0 {
        let mut found = consumer.offsets_for_times(unknown, QUESTION).map_err(failed)?;
        let mut behind_all = TopicPartitionList::new();
        for element in found.elements() {
            element.error().map_err(failed)?;
            match element.offset() {
                Offset::Offset(offset) => {
                    let place = Place { topic: element.topic().to_owned(), partition: element.partition() };
                    begins.insert(place, offset);
                }
                // No record is that young: the end, as it is now.
                _ => behind_all
                    .add_partition_offset(element.topic(), element.partition(), Offset::End)
                    .map_err(failed)?,
            }
        }
        if behind_all.count() > 0 {
            found = consumer.offsets_for_times(behind_all, QUESTION).map_err(failed)?;
            for element in found.elements() {
                let place = Place { topic: element.topic().to_owned(), partition: element.partition() };
                match element.offset() {
                    Offset::Offset(offset) => begins.insert(place, offset),
                    _ => {
                        return Err(Error::disconnected(format!(
                            "{}: the end of a partition is not known",
                            plan.doing()
                        )));
                    }
                };
            }
        }
    }
    Ok(begins)
}
