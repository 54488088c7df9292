//! Dead letters out of their topic.
//!
//! # The contract
//! - A topic is read from its beginning to its end at opening, without a consumer group's offsets and committed records
//!   only. A stream of letters is a partition, a letter's number its offset.
//! - Marks are records of the same topic: no key, no value, and one header, [`letter::REPLAYED`], that names partitions
//!   and offsets. They stand behind the letters that they speak of; so the topic is read once for the marks and once
//!   for the letters.
//! - What a Kafka record cannot say of the letter's record stands in two more headers
//!   ([`dead_letter_headers`](crate::dead_letter_headers)).
//!
//! # Parts
//! [`store`] where they are · [`letter`] a message to a letter or a mark · [`reader`] reading partitions · [`marker`]
//! writing marks

mod letter;
mod marker;
mod reader;
mod store;

use std::sync::Arc;

use async_trait::async_trait;
use gantry_sdk::{
    DeadLetter, DeadLetters, Error, Result,
    dead_letters::{Feed, Marks},
    plugin::{Context, DeadLettersConfig},
};

use crate::{SinkOptions, headers::decode::Decoder};
use marker::Marker;
use reader::Reader;
use store::Store;

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
