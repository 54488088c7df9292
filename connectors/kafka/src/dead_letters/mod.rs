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

use gantry_sdk::{
    DeadLetters, Error, Opening, Result,
    dead_letters::read_log,
    plugin::{Context, DeadLettersConfig},
};

use crate::{SinkOptions, headers::decode::Decoder};
use marker::Marker;
use reader::Reader;
use store::Store;

impl DeadLettersConfig for SinkOptions {
    fn dead_letters(self, context: Context) -> Result<Opening<dyn DeadLetters>> {
        let Some(topic) = self.topic.as_literal().map(str::to_owned) else {
            let message =
                "the dead letter's topic is a template: letters can be read back only from a topic with a fixed name";
            return Err(Error::config(message));
        };
        let decoder = Decoder::new(&self.header_mapping, self.headers.into_keys().collect());
        let store = Store { connection: self.connection, properties: self.properties, topic, decoder, context };
        let store = Arc::new(store);
        let marker = Marker::new(Arc::clone(&store));
        Ok(Box::pin(read_log(move || Reader::open(store), marker)))
    }
}
