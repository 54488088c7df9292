//! Writes marks behind the letters, as durably as the letters themselves.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use gantry_sdk::{
    Error, Result,
    dead_letters::{MarkWriter, Marks},
};
use rdkafka::{
    ClientConfig,
    config::RDKafkaLogLevel,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};

use super::{letter::REPLAYED, store::Store};
use crate::{client::BaseContext, error};

/// How long a mark is tried for. After that its letters count as not replayed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Ranges in one mark: some 20 KB, which every topic takes.
const RANGES: usize = 1_000;

/// A producer of marks, once there are any.
pub(super) struct Marker {
    store: Arc<Store>,
    producer: Option<FutureProducer<BaseContext>>,
}

impl Marker {
    pub(super) const fn new(store: Arc<Store>) -> Self {
        Self { store, producer: None }
    }

    fn start(store: &Store) -> Result<FutureProducer<BaseContext>> {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        config.set("client.id", store.client_id());
        config.set("allow.auto.create.topics", "false");
        store.connection.apply(&mut config);
        store.properties.apply(&mut config);
        config.set("enable.idempotence", "true").set("acks", "all");
        config.set("message.timeout.ms", PATIENCE.as_millis().to_string()).set("linger.ms", "0");
        let created = config.create_with_context(store.base_context());
        created.map_err(|failed| error::client_error(doing(store), &failed))
    }
}

#[async_trait]
impl MarkWriter for Marker {
    async fn write(&mut self, letters: &Marks) -> Result<()> {
        let Self { store, producer } = self;
        let producer = match producer {
            Some(producer) => producer,
            None => producer.insert(Self::start(store)?),
        };
        for part in letters.in_parts(RANGES) {
            let text = part.to_string();
            let headers = OwnedHeaders::new().insert(Header { key: REPLAYED, value: Some(&text) });
            let record = FutureRecord::<(), ()>::to(&store.topic).headers(headers);
            let sent = producer.send(record, Timeout::After(PATIENCE)).await;
            sent.map_err(|(failed, _)| match failed.rdkafka_error_code() {
                Some(code) => Error::disconnected(format!("{}: {}", doing(store), error::reason(code, &store.topic))),
                None => error::client_error(doing(store), &failed),
            })?;
        }
        Ok(())
    }
}

fn doing(store: &Store) -> String {
    format!("marking dead letters as replayed in topic \"{}\"", store.topic)
}
