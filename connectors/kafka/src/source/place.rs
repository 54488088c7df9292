//! Partitions, and lists of them as librdkafka takes and gives them.

use rdkafka::TopicPartitionList;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub topic: String,
    pub partition: i32,
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
