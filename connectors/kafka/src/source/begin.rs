//! Where to begin in partitions whose offset in the group is not there, or is another topic's, when it is not the first
//! record. For exactly once, in all of which a position is stored, or of which the group knows an offset from before that was turned
//! on: it is read, and the group is not joined. Blocks.

use std::{collections::BTreeMap, time::Duration};

use gantry_sdk::{Error, ErrorKind, Result};
use rdkafka::{Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaError};

use super::{
    OffsetReset, OnTopicRecreated, Start,
    commits::committed_for,
    events::Consumer,
    failure, losses,
    place::{Place, lane_key, list_of},
    plan::Plan,
    position,
};
use crate::error;

/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(10);

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begin {
    pub offset: i64,
    /// The group is to hear of it at once: a start before the first commit would begin elsewhere.
    pub remembered: bool,
}

/// What is known of a partition from before.
struct Known {
    /// The offset to read next.
    next: i64,
    /// Of which topic.
    topic_id: Option<String>,
}

/// The offsets to begin at, for those partitions of which the group does not know one that holds.
pub(super) fn find(plan: &Plan, consumer: &Consumer, places: &[Place]) -> Result<BTreeMap<Place, Begin>> {
    let mut begins = BTreeMap::new();
    if places.is_empty() {
        return Ok(begins);
    }
    let known = if plan.context.exactly_once {
        stored_or_committed(plan, consumer, places)?
    } else {
        committed(plan, consumer, places)?
    };
    let mut unknown = TopicPartitionList::new();
    for (place, known) in known {
        if let Some(Known { next, topic_id }) = known {
            if let Some(id) = topic_id
                && !is_of(plan, consumer, &place, &id)?
            {
                if plan.options.on_topic_recreated == OnTopicRecreated::Fail {
                    return Err(Error::new(ErrorKind::Refused, failure::recreated(plan, &place, next)));
                }
                losses::tell_recreated(plan, &place, next, 0);
                begins.insert(place, Begin { offset: 0, remembered: true });
            } else if plan.context.exactly_once {
                begins.insert(place, Begin { offset: next, remembered: true });
            }
            continue;
        }
        let question = match plan.start() {
            // A given offset is the same at every start, and may lie beyond the end: the group must not hear of it.
            Some(Start::Offset(offset)) => {
                let offset = i64::try_from(offset).unwrap_or(i64::MAX);
                begins.insert(place, Begin { offset, remembered: false });
                continue;
            }
            Some(Start::Timestamp(time)) => Offset::Offset(time.0.max(0)),
            None if plan.begins_by_itself() => Offset::End,
            None if plan.context.exactly_once && plan.options.offset_reset == OffsetReset::Error => {
                return Err(failure::no_position(&place));
            }
            None => continue,
        };
        let added = unknown.add_partition_offset(&place.topic, place.partition, question);
        added.map_err(|error| failed(plan, error))?;
    }
    ask_for_offsets(plan, consumer, unknown, &mut begins)?;
    Ok(begins)
}

/// What the group has committed of these.
fn committed(plan: &Plan, consumer: &Consumer, places: &[Place]) -> Result<Vec<(Place, Option<Known>)>> {
    let committed = consumer.committed_offsets(list_of(places), QUESTION).map_err(|error| failed(plan, error))?;
    let known = committed.elements().into_iter().map(|element| {
        element.error().map_err(|error| failed(plan, error))?;
        let place = Place { topic: element.topic().to_owned(), partition: element.partition() };
        let known = match element.offset() {
            Offset::Offset(next) => Some(Known { next, topic_id: committed_for(&element) }),
            _ => None,
        };
        Ok((place, known))
    });
    known.collect()
}

/// What the sink has stored of these; where it has stored nothing, what the group has committed.
fn stored_or_committed(plan: &Plan, consumer: &Consumer, places: &[Place]) -> Result<Vec<(Place, Option<Known>)>> {
    let (others, own): (Vec<_>, Vec<_>) = places.iter().cloned().partition(|place| is_new(plan, place));
    let own = own.into_iter().map(|place| Ok((place.clone(), stored(plan, &place)?)));
    let mut known: Vec<_> = own.collect::<Result<_>>()?;
    if others.is_empty() {
        return Ok(known);
    }
    let committed = committed(plan, consumer, &others)?;
    let from_group: Vec<_> =
        committed.iter().filter_map(|(place, known)| Some(format!("{place} at {}", known.as_ref()?.next))).collect();
    if !from_group.is_empty() {
        tracing::info!(
            bridge = &*plan.context.bridge,
            "nothing is stored yet for exactly once: begins at the offsets that consumer group \"{}\" has committed: {}",
            plan.group(),
            from_group.join(", ")
        );
    }
    known.extend(committed);
    Ok(known)
}

/// Whether nothing is stored of a partition, so that the group is asked.
pub(super) fn is_new(plan: &Plan, place: &Place) -> bool {
    !plan.context.stored.contains_key(&lane_key(&place.topic, place.partition))
}

/// What the sink has stored of a partition.
fn stored(plan: &Plan, place: &Place) -> Result<Option<Known>> {
    let Some(stored) = plan.context.stored.get(&lane_key(&place.topic, place.partition)) else { return Ok(None) };
    let (offset, id) = position::read(stored)
        .ok_or_else(|| Error::internal(format!("the position that is stored of {place} is not of this source")))?;
    Ok(Some(Known { next: offset + 1, topic_id: id.map(str::to_owned) }))
}

/// Whether an offset that was committed for the topic of this id is for the topic that is there now.
fn is_of(plan: &Plan, consumer: &Consumer, place: &Place, id: &str) -> Result<bool> {
    match consumer.context().topic_id(&place.topic) {
        Some(now) => Ok(*now == *id),
        None => Err(Error::disconnected(format!(
            "{}: Kafka does not tell the id of topic \"{}\", so it is not certain that it is the one that was read before",
            plan.doing(),
            place.topic
        ))),
    }
}

/// Finds the offsets to times, and to the end.
fn ask_for_offsets(
    plan: &Plan,
    consumer: &Consumer,
    unknown: TopicPartitionList,
    begins: &mut BTreeMap<Place, Begin>,
) -> Result<()> {
    if unknown.count() == 0 {
        return Ok(());
    }
    let found = consumer.offsets_for_times(unknown, QUESTION).map_err(|error| failed(plan, error))?;
    let mut behind_all = TopicPartitionList::new();
    for element in found.elements() {
        element.error().map_err(|error| failed(plan, error))?;
        let place = Place { topic: element.topic().to_owned(), partition: element.partition() };
        if let Offset::Offset(offset) = element.offset() {
            begins.insert(place, Begin { offset, remembered: true });
            continue;
        }
        // No record is that young: the end, as it is now.
        let added = behind_all.add_partition_offset(&place.topic, place.partition, Offset::End);
        added.map_err(|error| failed(plan, error))?;
    }
    if behind_all.count() == 0 {
        return Ok(());
    }
    let found = consumer.offsets_for_times(behind_all, QUESTION).map_err(|error| failed(plan, error))?;
    for element in found.elements() {
        let place = Place { topic: element.topic().to_owned(), partition: element.partition() };
        let Offset::Offset(offset) = element.offset() else {
            return Err(Error::disconnected(format!("{}: the end of a partition is not known", plan.doing())));
        };
        begins.insert(place, Begin { offset, remembered: true });
    }
    Ok(())
}

fn failed(plan: &Plan, failed: KafkaError) -> Error {
    Error::disconnected(format!("{}: finding where to begin: {}", plan.doing(), error::plain(&failed)))
}
