//! The sink: a letter for each record, settled when the mailbox confirms it.

use std::collections::VecDeque;

use async_trait::async_trait;
use gantry_sdk::{
    Batch, Delivered, Description, Failure, Opening, Result, Sink,
    config::Problem,
    plugin::{Context, SinkConfig},
};

use crate::{
    mailbox::{Client, Confirm, Gone, LONGEST},
    options::{Options, ended},
};

/// Batches that are worked on while there is room for another.
const ROOM: usize = 2;

impl SinkConfig for Options {
    const GIVES_ANSWERS: bool = true;

    fn check(&self) -> Vec<Problem> {
        self.problems()
    }

    fn describe(&self) -> Description {
        self.description()
    }

    fn build(self, _context: Context) -> Result<Opening<dyn Sink>> {
        Ok(Box::pin(async move {
            let client = Client::connect(&self.name).await.map_err(|gone| ended("connecting to", &self.name, gone))?;
            let sink = MailboxSink { name: self.name, client, batches: VecDeque::new(), unconfirmed: None };
            Ok(Box::new(sink) as Box<dyn Sink>)
        }))
    }
}

struct MailboxSink {
    name: String,
    client: Client,
    /// In order; of the first one so many records are spoken of.
    batches: VecDeque<(Batch, u32)>,
    /// What the mailbox will say of the next record. A real sink sends many before it waits for the first.
    unconfirmed: Option<Confirm>,
}

impl MailboxSink {
    /// Works until no more than so many batches are left. It may be dropped at its only await, and goes on there: what it waits for is
    /// kept in the sink.
    async fn work(&mut self, left: usize) -> Result<()> {
        while self.batches.len() > left {
            let Some((batch, next)) = self.batches.front_mut() else { break };
            if self.unconfirmed.is_none() {
                let body = batch.records[*next as usize].value.clone().unwrap_or_default();
                let sent = self.client.send(body);
                self.unconfirmed = Some(sent.map_err(|gone| ended("writing to", &self.name, gone))?);
            }
            let Some(confirm) = &mut self.unconfirmed else { break };
            // Dropped without a word: the connection has ended, and nobody knows. The receipt stays silent, and the record comes again.
            let confirmed = confirm.await.map_err(|_| ended("writing to", &self.name, Gone))?;
            self.unconfirmed = None;
            match confirmed {
                Ok(number) => {
                    let offset = i64::try_from(number).ok();
                    let address = self.name.as_str().into();
                    batch.receipt.answer(*next, Delivered::Placed { address, partition: None, offset });
                    batch.receipt.settle(1);
                }
                // It can never be delivered: alone it goes to the dead letter, and the others go on.
                Err(_) => batch.receipt.fail(*next, too_long()),
            }
            *next += 1;
            if *next as usize == batch.records.len() {
                self.batches.pop_front();
            }
        }
        Ok(())
    }
}

fn too_long() -> Failure {
    Failure::rejected("TASK_PUT", format!("the body is longer than a letter may be ({LONGEST} bytes)"))
}

#[async_trait]
impl Sink for MailboxSink {
    fn start(&mut self, batch: Batch) {
        self.batches.push_back((batch, 0));
    }

    async fn ready(&mut self) -> Result<()> {
        self.work(ROOM - 1).await
    }

    async fn flush(&mut self) -> Result<()> {
        self.work(0).await
    }

    async fn close(self: Box<Self>) -> Result<()> {
        // Receipts that are dropped say nothing; that is what the runtime is to hear of what was not delivered.
        Ok(())
    }
}
