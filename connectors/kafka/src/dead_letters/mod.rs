//! Dead letters out of their topic.
//!
//! # The contract
//! - A topic is read from its beginning to its end at opening, without a consumer group's offsets and committed records
//!   only. A stream of letters is a partition, a letter's number its offset.
//! - Marks are records of the same topic: no key, no value, and one header, [`REPLAYED`], that names partitions and offsets.
//!   They stand behind the letters that they speak of; so the topic is read once for the marks and once for the letters.
//! - What a Kafka record cannot say of the letter's record stands in two more headers ([`keep`]).
//!
//! # Parts
//! [`letter`] a message to a letter or a mark · [`reader`] reading partitions · [`marker`] writing marks

mod letter;
mod marker;
mod reader;

use std::sync::Arc;

use async_trait::async_trait;
use gantry_sdk::{
    DeadLetter, DeadLetters, Error, Record, Result,
    dead_letters::{Feed, Marks},
    plugin::{Context, DeadLettersConfig},
};

use crate::{
    SinkOptions,
    client::{BaseContext, ClientState},
    connection::{ConnectionOptions, Properties},
    headers::{Out, decode::Decoder},
};
use marker::Marker;
use reader::Reader;

/// The header that names replayed letters.
const REPLAYED: &str = "gantry.replayed";
/// The header with the record's own timestamp in milliseconds: Kafka's says when it became a dead letter.
pub(crate) const TIMESTAMP: &str = "gantry.timestamp";
/// The header with the record's own key, where the dead letter's `key` replaced it.
const KEY: &str = "gantry.key";

/// How many headers [`keep`] adds at most.
pub(crate) const KEPT: usize = 2;

/// Adds what of a dead letter's record would be lost otherwise, behind all other headers.
pub(crate) fn keep(record: &Record, replaces_key: bool, out: &mut impl Out) {
    if let Some(timestamp) = record.timestamp {
        out.add(TIMESTAMP, Some(timestamp.to_string().as_bytes()));
    }
    if replaces_key {
        out.add(KEY, record.key.as_deref());
    }
}

/// Where the letters are.
#[derive(Debug)]
struct Store {
    connection: ConnectionOptions,
    /// The sink's own properties, for the producer of marks.
    properties: Properties,
    topic: String,
    decoder: Decoder,
    context: Context,
}

struct KafkaDeadLetters {
    store: Arc<Store>,
    opened: Option<Opened>,
}

struct Opened {
    feed: Feed,
    total: u64,
    marker: Option<Marker>,
}

impl DeadLettersConfig for SinkOptions {
    fn dead_letters(self, context: Context) -> Result<Box<dyn DeadLetters>> {
        let Some(topic) = self.topic.as_literal().map(str::to_owned) else {
            let message =
                "the dead letter's topic is a template: letters can be read back only from a topic with a fixed name";
            return Err(Error::config(message));
        };
        let decoder = Decoder::new(&self.header_mapping, self.headers.into_keys().collect());
        let store = Store { connection: self.connection, properties: self.properties, topic, decoder, context };
        Ok(Box::new(KafkaDeadLetters { store: Arc::new(store), opened: None }))
    }
}

impl Store {
    /// A name for logs and quotas.
    fn client_id(&self) -> String {
        let default = || format!("gantry-{}-dead-letters", self.context.bridge);
        self.connection.client_id.clone().unwrap_or_else(default)
    }

    /// What a client of ours says goes to its log and nowhere else.
    fn base_context(&self) -> BaseContext {
        self.connection.base_context(Arc::new(ClientState::new(self.client_id().into())))
    }

    fn doing(&self) -> String {
        format!("reading dead letters from topic \"{}\" at {}", self.topic, self.connection.address())
    }
}

#[async_trait]
impl DeadLetters for KafkaDeadLetters {
    async fn open(&mut self) -> Result<()> {
        let store = Arc::clone(&self.store);
        let scanned = tokio::task::spawn_blocking(move || scan(&store)).await;
        let gone = |_| Error::internal("the thread that reads dead letters panicked or was stopped");
        let Scan { reader, marks, total } = scanned.map_err(gone)??;
        let store = Arc::clone(&self.store);
        let feed = Feed::start(move |giver| {
            reader.read(|message| {
                let is_done = marks.contains(&letter::id(message)) || letter::marks(message).is_some();
                is_done || giver.give(letter::read(&store, message))
            })
        });
        self.opened = Some(Opened { feed, total, marker: None });
        Ok(())
    }

    fn total(&self) -> Option<u64> {
        self.opened.as_ref().map(|opened| opened.total)
    }

    async fn next(&mut self) -> Result<Option<DeadLetter>> {
        self.opened()?.feed.next().await
    }

    async fn mark(&mut self, letters: &Marks) -> Result<()> {
        let store = Arc::clone(&self.store);
        let opened = self.opened()?;
        let marker = match opened.marker.take() {
            Some(marker) => marker,
            None => Marker::start(&store)?,
        };
        opened.marker.insert(marker).write(&store, letters).await
    }

    async fn close(&mut self) -> Result<()> {
        // The end of a client waits for its threads.
        let opened = self.opened.take();
        let _ = tokio::task::spawn_blocking(move || drop(opened)).await;
        Ok(())
    }
}

impl KafkaDeadLetters {
    fn opened(&mut self) -> Result<&mut Opened> {
        self.opened.as_mut().ok_or_else(|| Error::internal("the topic of dead letters is not open"))
    }
}

/// What the first reading found.
struct Scan {
    reader: Reader,
    marks: Marks,
    /// Letters without a mark.
    total: u64,
}

fn scan(store: &Store) -> Result<Scan> {
    let reader = Reader::open(store)?;
    let (mut marks, mut letters) = (Marks::default(), Marks::default());
    reader.read(|message| {
        match letter::marks(message) {
            Some(more) => marks.extend(&more),
            None => letters.insert(&letter::id(message)),
        }
        true
    })?;
    Ok(Scan { reader, total: letters.count_outside(&marks), marks })
}
