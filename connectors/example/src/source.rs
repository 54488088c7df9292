//! The source: letters of a mailbox, acknowledged when they are settled.

use std::sync::Arc;

use async_trait::async_trait;
use gantry_sdk::{
    Closed, Description, Error, Lane, Limits, Opening, Origin, Polled, Position, Record, Result, Source,
    config::Problem,
    plugin::{Context, SourceConfig},
};

use crate::{
    mailbox::{Client, Letter},
    options::{Options, ended},
};

/// The only one: a mailbox is one ordered stream.
const LANE: Lane = Lane(0);

impl SourceConfig for Options {
    fn check(&self) -> Vec<Problem> {
        self.problems()
    }

    fn describe(&self, _bridge: &str) -> Description {
        self.description()
    }

    fn build(self, _context: Context) -> Result<Opening<dyn Source>> {
        // Nothing is connected before somebody waits for it. What is returned is open; when it is dropped half-way, so is the client.
        Ok(Box::pin(async move {
            let client = Client::connect(&self.name).await.map_err(|gone| ended("connecting to", &self.name, gone))?;
            Ok(Box::new(MailboxSource { name: self.name.into(), client, noted: None }) as Box<dyn Source>)
        }))
    }
}

struct MailboxSource {
    name: Arc<str>,
    client: Client,
    /// Settled up to there, and not sent yet.
    noted: Option<u64>,
}

impl MailboxSource {
    fn record(&self, letter: &Letter) -> Record {
        let mut origin = Origin::new("queue", (&*self.name).into());
        origin.redelivered = letter.again;
        Record { value: Some(letter.body.clone()), origin, ..Record::default() }
    }
}

#[async_trait]
impl Source for MailboxSource {
    async fn poll(&mut self, limits: Limits) -> Result<Polled> {
        let ended = |gone| ended("reading", &self.name, gone);
        // The only place to wait. A poll that is dropped here has taken nothing.
        let mut letter = self.client.receive().await.map_err(ended)?;
        let (mut records, mut bytes) = (Vec::new(), 0);
        loop {
            let record = self.record(&letter);
            bytes += record.size();
            records.push(record);
            if records.len() >= limits.records || bytes >= limits.bytes {
                break;
            }
            // More of what is there; it does not linger for what might come.
            match self.client.try_receive() {
                Ok(Some(next)) => letter = next,
                // An end is told by the next call: what is here counts first.
                Ok(None) | Err(_) => break,
            }
        }
        Ok(Polled::Batch { lane: LANE, records, last: letter.number.into(), answers: None })
    }

    fn lane_key(&self, _lane: Lane) -> Arc<str> {
        format!("{}/0", self.name).into()
    }

    fn commit(&mut self, _lane: Lane, upto: &Position) {
        // Positions are ours: the number that `poll` made this one of.
        self.noted = upto.as_u64();
    }

    async fn sync(&mut self) -> Result<()> {
        let Some(upto) = self.noted else { return Ok(()) };
        // One word for all commits since the last.
        self.client.acknowledge(upto).await.map_err(|gone| ended("acknowledging in", &self.name, gone))?;
        self.noted = None;
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<Closed> {
        // The client gives back what is not acknowledged, to its place, as it goes. So nothing is lost.
        Ok(Closed::default())
    }

    async fn watch_connection(&mut self) -> Error {
        ended("reading", &self.name, self.client.ended().await)
    }
}
