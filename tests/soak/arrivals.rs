//! Reads all topics for as long as the soak runs, and judges each record as it comes: a bit a message, nothing else is kept.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rdkafka::{Offset, TopicPartitionList, consumer::Consumer as _};

use crate::{
    bridges::{Bridge, Fate},
    support::{
        bootstrap_servers,
        kafka::{Cluster, Stored, partitions},
        oracle::{self, Tally},
    },
};

/// Enough to see what went wrong; there may be thousands.
const DESCRIPTIONS: usize = 20;

/// What has arrived of one bridge.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    pub(crate) tally: Tally,
    /// Records that are not what was published, or are where they should not be.
    pub(crate) wrong: u64,
    /// What was wrong or out of order, the first few.
    pub(crate) descriptions: Vec<String>,
}

/// Reads in a thread of its own until it is dropped.
pub(crate) struct Arrivals {
    by_bridge: Arc<Vec<Mutex<Arrived>>>,
    enough: Arc<AtomicBool>,
    reading: Option<JoinHandle<()>>,
}

impl Arrivals {
    /// Begins at the beginning of every topic of these bridges.
    pub(crate) fn read(bridges: &[Bridge]) -> Self {
        let by_bridge = Arc::new(bridges.iter().map(|_| Mutex::default()).collect::<Vec<_>>());
        let enough = Arc::new(AtomicBool::new(false));
        let (bridges, shared, stop) = (bridges.to_vec(), Arc::clone(&by_bridge), Arc::clone(&enough));
        let reading = std::thread::spawn(move || read(&bridges, &shared, &stop));
        Self { by_bridge, enough, reading: Some(reading) }
    }

    /// What has arrived of the bridge with this index.
    pub(crate) fn of(&self, index: usize) -> MutexGuard<'_, Arrived> {
        self.by_bridge[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        if let Some(reading) = self.reading.take() {
            let _ = reading.join();
        }
    }
}

fn read(bridges: &[Bridge], shared: &[Mutex<Arrived>], enough: &AtomicBool) {
    let consumer = Cluster::at(&bootstrap_servers(), 1).consumer();
    let mut list = TopicPartitionList::new();
    let mut owners = HashMap::new();
    for (index, bridge) in bridges.iter().enumerate() {
        for topic in [Some(&bridge.topic), bridge.dead_topic.as_ref()].into_iter().flatten() {
            owners.insert(topic.clone(), index);
            for partition in partitions(&consumer, topic).expect("the topics are made before") {
                list.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
            }
        }
    }
    consumer.assign(&list).expect("assigning");
    while !enough.load(Ordering::Relaxed) {
        // Errors are brokers that come and go; the consumer goes on by itself.
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) else { continue };
        let topic = rdkafka::Message::topic(&message);
        let index = owners[topic];
        let bridge = &bridges[index];
        let arrived = &mut *shared[index].lock().unwrap_or_else(PoisonError::into_inner);
        arrived.take(bridge, bridge.dead_topic.as_deref() == Some(topic), &Stored::of(&message));
    }
}

// === impl Arrived ===

impl Arrived {
    fn take(&mut self, bridge: &Bridge, dead: bool, record: &Stored) {
        let problem = match judge(bridge, dead, record) {
            Ok(sequence) => {
                // Partition 0 of the dead letters is not partition 0 of the topic.
                let later = self.tally.arrives(if dead { -1 } else { record.partition }, sequence);
                later.filter(|_| bridge.is_ordered()).map(|later| format!("{sequence} came after {later}"))
            }
            Err(error) => {
                self.wrong += 1;
                Some(error)
            }
        };
        if let Some(problem) = problem
            && self.descriptions.len() < DESCRIPTIONS
        {
            let time = record.timestamp.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
            let time = time.map_or_else(String::new, |time| time.to_string());
            self.descriptions.push(format!(
                "{} {}{}@{} of {time}: {problem}",
                bridge.name,
                if dead { "dead letter " } else { "" },
                record.partition,
                record.offset
            ));
        }
    }
}

fn judge(bridge: &Bridge, dead: bool, record: &Stored) -> Result<u64, String> {
    let sequence = if dead { read_poison(record)? } else { oracle::read(record)? };
    let expected = if dead { Fate::DeadLetter } else { Fate::Arrives };
    let fate = bridge.fate(sequence);
    if fate != expected { Err(format!("{sequence} should be {fate:?}, and is {expected:?}")) } else { Ok(sequence) }
}

fn read_poison(record: &Stored) -> Result<u64, String> {
    let sequence = record.header("seq").and_then(|text| text.parse().ok()).ok_or("a dead letter without its number")?;
    let body = record.value.as_deref().unwrap_or_default();
    if body == format!("poison {sequence}").as_bytes() { Ok(sequence) } else { Err("its body was changed".into()) }
}
