//! The promises of every source and sink, on a real RabbitMQ behind a wire that can be cut or fall silent.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use gantry_rabbitmq::{SINK, SOURCE};
use gantry_sdk::{
    Context, Opening, Origin, Record, Sink, SinkCapabilities, Source, SourceCapabilities,
    testkit::conformance::{SinkAbilities, SinkWorld, SourceWorld},
};
use lapin::{options::BasicGetOptions, types::AMQPValue};
use serde_json::json;

use crate::support::{Proxy, Queue, Rabbit, within};

/// Queues of one check, and a wire to them.
struct Broker {
    rabbit: Rabbit,
    queues: Vec<Queue>,
    wire: Proxy,
    /// What was taken out of the first queue so far.
    arrived: Vec<u64>,
}

impl Broker {
    async fn with(kind: &str, count: usize) -> Self {
        let (rabbit, mut queues) = (Rabbit::connect().await, Vec::new());
        for _ in 0..count {
            let kind = AMQPValue::LongString(kind.into());
            queues.push(rabbit.queue_with("conformance", &[("x-queue-type", kind)]).await);
        }
        Self { rabbit, queues, wire: Proxy::start().await, arrived: Vec::new() }
    }
}

#[async_trait]
impl SourceWorld for Broker {
    fn capabilities(&self) -> SourceCapabilities {
        SOURCE.capabilities
    }

    async fn put(&mut self, numbers: RangeInclusive<u64>) {
        for (turn, queue) in self.queues.iter().enumerate() {
            let own = numbers.clone().skip(turn).step_by(self.queues.len());
            self.rabbit.publish_all(queue, own.map(|number| number.to_string().into_bytes())).await;
        }
    }

    fn open(&mut self, context: Context) -> Opening<dyn Source> {
        let queues: Vec<_> = self.queues.iter().map(|queue| &queue.name).collect();
        let options = json!({ "connection": { "urls": [self.wire.url()] }, "queues": queues });
        (SOURCE.create)(&options, context).unwrap_or_else(|error| panic!("{}", error.chain()))
    }

    async fn cut(&mut self) {
        within("a connection", self.wire.drop_connection()).await;
    }

    async fn fall_silent(&mut self) {
        self.wire.fall_silent();
    }
}

mod source_of_a_classic_queue {
    gantry_sdk::source_conformance!(super::Broker::with("classic", 1).await);
}

mod source_of_quorum_queues {
    gantry_sdk::source_conformance!(super::Broker::with("quorum", 2).await);
}

#[async_trait]
impl SinkWorld for Broker {
    fn capabilities(&self) -> SinkCapabilities {
        SINK.capabilities
    }

    fn abilities(&self) -> SinkAbilities {
        // A wire that has fallen silent stays so.
        SinkAbilities::default().without_unblocking()
    }

    fn open(&mut self, context: Context) -> Opening<dyn Sink> {
        let options = json!({ "connection": { "urls": [self.wire.url()] }, "queue": "{queue}" });
        (SINK.create)(&options, context).unwrap_or_else(|error| panic!("{}", error.chain()))
    }

    fn record(&mut self, number: u64) -> Record {
        let origin = Origin::new("queue", self.queues[0].name.as_str().into());
        Record { value: Some(number.to_string().into()), origin, ..Record::default() }
    }

    fn refused(&mut self, number: u64) -> Record {
        Record { origin: Origin::new("queue", "there-is-no-such-queue".into()), ..SinkWorld::record(self, number) }
    }

    async fn arrived(&mut self) -> Vec<u64> {
        let name = &self.queues[0].name;
        loop {
            let got = self.rabbit.channel.basic_get(name.as_str().into(), BasicGetOptions { no_ack: true }).await;
            let Some(message) = got.expect("the queue is there") else { return self.arrived.clone() };
            let text = std::str::from_utf8(&message.delivery.data).expect("it is text");
            self.arrived.push(text.parse().expect("it is a number"));
        }
    }

    async fn block(&mut self) {
        self.wire.fall_silent();
    }

    async fn cut(&mut self) {
        self.wire.drop_connection().await;
    }
}

mod sink {
    gantry_sdk::sink_conformance!(super::Broker::with("classic", 1).await);
}
