//! Partitions, and lists of them as librdkafka takes and gives them.

use std::{fmt, sync::Arc};

use rdkafka::TopicPartitionList;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub topic: String,
    pub partition: i32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {} of topic \"{}\"", self.partition, self.topic)
    }
}

/// What names a lane of this partition over restarts. A topic's name has no slash in it.
pub(super) fn lane_key(topic: &str, partition: i32) -> Arc<str> {
    format!("{topic}/{partition}").into()
}

/// The places in a list of librdkafka's.
pub(super) fn places(list: &TopicPartitionList) -> Vec<Place> {
    let elements = list.elements().into_iter();
    elements.map(|element| Place { topic: element.topic().to_owned(), partition: element.partition() }).collect()
}

/// The places as librdkafka takes them, without offsets.
pub(super) fn list_of<'a>(places: impl IntoIterator<Item = &'a Place>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for place in places {
        list.add_partition(&place.topic, place.partition);
    }
    list
}
