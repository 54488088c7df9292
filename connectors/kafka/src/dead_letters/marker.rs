//! Writes marks behind the letters, as durably as the letters themselves.

use std::time::Duration;

use gantry_sdk::{Error, Result, dead_letters::Marks};
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

/// A producer of marks.
pub(super) struct Marker {
    producer: FutureProducer<BaseContext>,
}

impl Marker {
    pub(super) fn start(store: &Store) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        config.set("client.id", store.client_id());
        config.set("allow.auto.create.topics", "false");
        store.connection.apply(&mut config);
        store.properties.apply(&mut config);
        config.set("enable.idempotence", "true").set("acks", "all");
        config.set("message.timeout.ms", PATIENCE.as_millis().to_string()).set("linger.ms", "0");
        let created = config.create_with_context(store.base_context());
        let producer = created.map_err(|failed| error::client_error(doing(store), &failed))?;
        Ok(Self { producer })
    }

    pub(super) async fn write(&self, store: &Store, letters: &Marks) -> Result<()> {
        for part in letters.in_parts(RANGES) {
            let text = part.to_string();
            let headers = OwnedHeaders::new().insert(Header { key: REPLAYED, value: Some(&text) });
            let record = FutureRecord::<(), ()>::to(&store.topic).headers(headers);
            let sent = self.producer.send(record, Timeout::After(PATIENCE)).await;
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
