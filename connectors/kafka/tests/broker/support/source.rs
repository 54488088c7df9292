//! What the tests of the source share: messages in a topic, a source, and what it gives.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use gantry_sdk::{Context, Error, Lane, Limits, Opening, Polled, Position, Record, Source};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};
use serde_json::{Value as Json, json};

use super::{DEADLINE, Topic, bootstrap, context, merge, no_kafka, unique};

/// As much as there is.
pub const ALL: Limits = Limits { records: 500, bytes: 1 << 20 };

pub type Producer = ThreadedProducer<DefaultProducerContext>;

pub fn producer(more: &[(&str, &str)]) -> Producer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap()).set("linger.ms", "1");
    for (name, value) in more {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

/// Writes these numbers as bodies, one after the other into each partition in turn.
pub fn write_numbers(producer: &Producer, topic: &Topic, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let body = number.to_string();
        let partition = (number % topic.partitions as u64) as i32;
        let mut record = BaseRecord::<(), str>::to(&topic.name).partition(partition).payload(&body);
        while let Err((_, back)) = producer.send(record) {
            record = back;
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    producer.flush(DEADLINE).unwrap();
}

/// Writes one message.
pub fn write_one(topic: &Topic, key: Option<&str>, body: Option<&str>, headers: &[(&str, Option<&[u8]>)]) {
    let producer = producer(&[]);
    let mut own = OwnedHeaders::new();
    for (key, value) in headers {
        own = own.insert(Header { key, value: *value });
    }
    let mut record = BaseRecord::<str, str>::to(&topic.name).partition(0).headers(own);
    record.key = key;
    record.payload = body;
    producer.send(record).unwrap();
    producer.flush(DEADLINE).unwrap();
}

/// Options for the real Kafka with these besides; a group of the test's own, and quick rebalances.
pub fn source_options(topic: &str, more: Json) -> Json {
    let own = json!({
        "connection": { "bootstrap_servers": bootstrap() },
        "group": unique("group"),
        "properties": { "session.timeout.ms": 6000, "heartbeat.interval.ms": 300, "fetch.wait.max.ms": 50 },
    });
    let own = if more.get("topics").is_some() || more.get("topics_regex").is_some() {
        own
    } else {
        merge(own, json!({ "topic": topic }))
    };
    merge(own, more)
}

/// Makes ready to open a source; connects nothing.
pub fn create_source(options: &Json, context: Context) -> Opening<dyn Source> {
    (gantry_kafka::SOURCE.create)(options, context).unwrap_or_else(|error| panic!("{}", error.chain()))
}

pub async fn open_source(options: &Json, context: Context) -> Box<dyn Source> {
    create_source(options, context).await.unwrap_or_else(|error| panic!("{} ({})", error.chain(), no_kafka()))
}

/// The next batch.
pub async fn next(source: &mut dyn Source) -> (Lane, Vec<Record>, Position) {
    let polled = async {
        loop {
            match source.poll(ALL).await.unwrap_or_else(|error| panic!("{}", error.chain())) {
                Polled::Batch { lane, records, last, .. } => return (lane, records, last),
                Polled::LaneEnded(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(DEADLINE, polled).await.expect("a batch comes")
}

/// So many records, settled as they come.
pub async fn take(source: &mut dyn Source, count: usize) -> Vec<Record> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let (lane, records, last) = next(source).await;
        taken.extend(records);
        source.commit(lane, &last);
    }
    assert_eq!(taken.len(), count);
    taken
}

/// Opens a source, takes so many records, closes it.
pub async fn take_once(options: &Json, count: usize) -> Vec<Record> {
    let mut source = open_source(options, context()).await;
    let taken = take(&mut *source, count).await;
    source.close().await.unwrap();
    taken
}

/// Whether nothing more comes. It gives a consumer that is wrong the time to be so.
pub async fn is_silent(source: &mut dyn Source) -> bool {
    let came = tokio::time::timeout(Duration::from_millis(1500), next(source)).await;
    if let Ok((_, records, _)) = &came {
        println!("{} records came, the first is {:?}", records.len(), records[0].origin);
    }
    came.is_err()
}

/// What opening a source fails with.
pub async fn failure(options: &Json) -> Error {
    let opened = tokio::time::timeout(DEADLINE, create_source(options, context())).await.expect("opening ends");
    opened.err().expect("it cannot open")
}

/// The partition that it came from.
pub fn partition_of(record: &Record) -> i32 {
    record.origin.integer("partition").unwrap().try_into().unwrap()
}

pub fn number(record: &Record) -> u64 {
    String::from_utf8_lossy(record.value.as_deref().unwrap()).parse().unwrap()
}

/// What several members of a group got, in the order of their getting it.
#[derive(Debug, Clone, Default)]
pub struct Arrivals {
    list: Arc<Mutex<Vec<(i32, u64)>>>,
}

impl Arrivals {
    pub fn add(&self, records: &[Record]) {
        let arrived = records.iter().map(|record| (partition_of(record), number(record)));
        self.list.lock().unwrap().extend(arrived);
    }

    /// Different ones.
    pub fn count(&self) -> usize {
        let list = self.list.lock().unwrap();
        list.iter().collect::<std::collections::HashSet<_>>().len()
    }

    /// Fails when one of these is missing, or the first arrivals of a partition are out of order. Returns how many came
    /// twice.
    pub fn judge(&self, topic: &Topic, numbers: std::ops::Range<u64>) -> usize {
        let list = self.list.lock().unwrap();
        let mut first: BTreeMap<i32, Vec<u64>> = BTreeMap::new();
        let mut seen = std::collections::HashSet::new();
        for (partition, number) in list.iter() {
            if seen.insert(number) {
                first.entry(*partition).or_default().push(*number);
            }
        }
        for partition in 0..topic.partitions {
            let expected: Vec<_> =
                numbers.clone().filter(|number| (number % topic.partitions as u64) as i32 == partition).collect();
            assert_eq!(first.remove(&partition).unwrap_or_default(), expected, "partition {partition}");
        }
        list.len() - seen.len()
    }
}

/// A member of a group that works until it is told to leave, with some batches in flight at a time.
pub struct Worker {
    leave: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Worker {
    pub fn start(options: &Json, arrivals: &Arrivals) -> Self {
        let (options, arrivals) = (options.clone(), arrivals.clone());
        let (leave, mut left) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let mut source = open_source(&options, context()).await;
            let mut held: std::collections::VecDeque<(Lane, Position)> = std::collections::VecDeque::new();
            let limits = Limits { records: 50, bytes: 1 << 20 };
            while left.try_recv().is_err() {
                let polled = tokio::time::timeout(Duration::from_millis(20), source.poll(limits)).await;
                match polled {
                    Ok(Ok(Polled::Batch { lane, records, last, .. })) => {
                        arrivals.add(&records);
                        held.push_back((lane, last));
                    }
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => panic!("{}", error.chain()),
                    Err(_) => {}
                }
                let keep = if polled_nothing(&held) { 0 } else { 3 };
                // What is in flight is settled a little later: at once when nothing more comes.
                tokio::time::sleep(Duration::from_millis(1)).await;
                while held.len() > keep {
                    let (lane, last) = held.pop_front().unwrap();
                    source.commit(lane, &last);
                }
            }
            for (lane, last) in held {
                source.commit(lane, &last);
            }
            source.close().await.unwrap();
        });
        Self { leave, task }
    }

    pub async fn leave(self) {
        let _ = self.leave.send(());
        tokio::time::timeout(DEADLINE, self.task).await.expect("it leaves").unwrap();
    }
}

fn polled_nothing(held: &std::collections::VecDeque<(Lane, Position)>) -> bool {
    held.len() < 3
}
