//! The promises of every source and sink, on a real Kafka; and where something must stand in the sink's way, on librdkafka's mock
//! cluster.

use std::{ops::RangeInclusive, sync::mpsc, thread};

use async_trait::async_trait;
use gantry_sdk::{
    Context, Opening, Record, Sink, SinkCapabilities, Source, SourceCapabilities,
    plugin::RetryPolicy,
    testkit::conformance::{SinkAbilities, SinkWorld, SourceAbilities, SourceWorld},
};
use serde_json::{Value as Json, json};

use crate::{
    outage::{all_numbers_at, mock, options_at},
    support::{
        Topic, committed, context, create, options,
        source::{Producer, create_source, producer, source_options, write_numbers},
    },
};

/// A topic, and a group that reads it.
struct Log {
    topic: Topic,
    options: Json,
    producer: Producer,
}

impl Log {
    async fn new(partitions: i32) -> Self {
        let topic = Topic::new("conformance", partitions, &[]).await;
        let options = source_options(&topic.name, json!({ "commit_interval": "100ms" }));
        Self { topic, options, producer: producer(&[]) }
    }
}

#[async_trait]
impl SourceWorld for Log {
    fn capabilities(&self) -> SourceCapabilities {
        gantry_kafka::SOURCE.capabilities
    }

    fn abilities(&self) -> SourceAbilities {
        // librdkafka connects anew by itself, and to where the brokers say that they are: no wire of ours is in between.
        SourceAbilities::default().without_cuts().without_silence()
    }

    async fn put(&mut self, numbers: RangeInclusive<u64>) {
        write_numbers(&self.producer, &self.topic, *numbers.start()..*numbers.end() + 1);
    }

    fn open(&mut self, context: Context) -> Opening<dyn Source> {
        create_source(&self.options, context)
    }
}

mod source_of_one_partition {
    gantry_sdk::source_conformance!(super::Log::new(1).await);
}

mod source_of_three_partitions {
    gantry_sdk::source_conformance!(super::Log::new(3).await);
}

#[async_trait]
impl SinkWorld for Topic {
    fn capabilities(&self) -> SinkCapabilities {
        gantry_kafka::SINK.capabilities
    }

    fn abilities(&self) -> SinkAbilities {
        SinkAbilities::default().without_blocking().without_cuts()
    }

    fn open(&mut self, own: Context) -> Opening<dyn Sink> {
        // Transactions are fenced by the bridge's name: each check is a bridge of its own.
        let own = Context { bridge: self.name.as_str().into(), retry: context().retry, ..own };
        create(&options(&self.name, json!({})), own)
    }

    fn refused(&mut self, _number: u64) -> Record {
        Record { value: Some("x".repeat(2_000_000).into()), ..Record::default() }
    }

    async fn arrived(&mut self) -> Vec<u64> {
        committed(&self.name).iter().map(|number| number.parse().unwrap()).collect()
    }
}

mod sink {
    use super::Topic;

    gantry_sdk::sink_conformance!(Topic::new("conformance", 1, &[]).await);
}

/// A cluster in this process, whose broker comes and goes. It stays on a thread of its own.
struct Cluster {
    bootstrap_servers: String,
    /// Whether the broker is there; dropped, the cluster ends.
    is_up: mpsc::Sender<bool>,
    changed: mpsc::Receiver<()>,
}

impl Cluster {
    fn start() -> Self {
        let ((is_up, wanted), (change, changed)) = (mpsc::channel(), mpsc::channel());
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let cluster = mock();
            tell.send(cluster.bootstrap_servers()).unwrap();
            for is_up in wanted {
                if is_up { cluster.broker_up(1) } else { cluster.broker_down(1) }.unwrap();
                let _ = change.send(());
            }
        });
        Self { bootstrap_servers: told.recv().unwrap(), is_up, changed }
    }

    fn set(&self, is_up: bool) {
        self.is_up.send(is_up).unwrap();
        self.changed.recv().unwrap();
    }
}

#[async_trait]
impl SinkWorld for Cluster {
    fn capabilities(&self) -> SinkCapabilities {
        // Its log keeps no transactions.
        SinkCapabilities { transactional: false, ..gantry_kafka::SINK.capabilities }
    }

    fn abilities(&self) -> SinkAbilities {
        SinkAbilities::default().without_refusals().without_cuts()
    }

    fn open(&mut self, own: Context) -> Opening<dyn Sink> {
        let retry = RetryPolicy { timeout: None, ..context().retry };
        create(&options_at(&self.bootstrap_servers, json!({})), Context { retry, ..own })
    }

    async fn arrived(&mut self) -> Vec<u64> {
        all_numbers_at(&self.bootstrap_servers).into_iter().map(u64::from).collect()
    }

    async fn block(&mut self) {
        self.set(false);
    }

    async fn unblock(&mut self) {
        self.set(true);
    }
}

mod sink_in_an_outage {
    gantry_sdk::sink_conformance!(super::Cluster::start());
}
