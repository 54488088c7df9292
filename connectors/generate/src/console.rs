//! `console`: prints records to standard output.
//!
//! # The contract
//! - A batch is written in one piece, so lines of several tasks never mix; its records are settled after the flush.
//! - Nothing that a record holds can move the cursor or forge a line: control characters and bytes that are not UTF-8
//!   are escaped.
//! - A reader that has gone away (`gantry run … | head`) is an error of the connection, not a panic.

mod json;
mod text;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use gantry_sdk::{
    Batch, Error, ErrorKind, Failure, Opening, Record, Result, Sink,
    plugin::{Context, SinkConfig},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

/// The options of the `console` sink.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How records are printed.
    pub format: Format,
}

/// How records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One line for people: key, headers, body.
    #[default]
    Text,
    /// One JSON object a line, with everything that the record holds.
    Json,
}

impl SinkConfig for Options {
    const CAN_REFUSE: bool = false;
    const PRINTS: bool = true;

    fn build(self, _: Context) -> Result<Opening<dyn Sink>> {
        Ok(Box::pin(async move { Ok(Box::new(Console::new(self.format, io::stdout())) as Box<dyn Sink>) }))
    }
}

/// Prints records to `W`.
#[derive(Debug)]
pub struct Console<W> {
    format: Format,
    out: Arc<Mutex<W>>,
    printing: Option<JoinHandle<Result<()>>>,
}

impl<W: Write + Send + 'static> Console<W> {
    /// Prints to that in this format.
    pub fn new(format: Format, out: W) -> Self {
        Self { format, out: Arc::new(Mutex::new(out)), printing: None }
    }
}

impl Format {
    fn lines(self, records: &[Record]) -> Vec<u8> {
        let line = match self {
            Self::Text => text::write,
            Self::Json => json::write,
        };
        let mut lines = Vec::new();
        for record in records {
            line(record, &mut lines);
            lines.push(b'\n');
        }
        lines
    }
}

#[async_trait]
impl<W: Write + Send + 'static> Sink for Console<W> {
    fn start(&mut self, batch: Batch) {
        let (format, out) = (self.format, self.out.clone());
        // A reader may be slow: waiting for it must not hold up other bridges.
        self.printing = Some(tokio::task::spawn_blocking(move || {
            let lines = format.lines(&batch.records);
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            match out.write_all(&lines).and_then(|()| out.flush()) {
                Ok(()) => batch.receipt.settle(batch.receipt.unsettled()),
                Err(error) => return Err(give_up(&batch, error)),
            }
            Ok(())
        }));
    }

    async fn ready(&mut self) -> Result<()> {
        let Some(printing) = &mut self.printing else { return Ok(()) };
        let printed = printing.await;
        self.printing = None;
        printed.unwrap_or_else(|_| Err(Error::internal("printing records: the thread panicked or was stopped")))
    }

    async fn flush(&mut self) -> Result<()> {
        self.ready().await
    }

    async fn close(mut self: Box<Self>) -> Result<()> {
        // What is being printed is printed before its source gives it to anybody else.
        self.ready().await
    }
}

/// Fails every record of the batch: part of it may be printed, but nobody knows which.
fn give_up(batch: &Batch, error: io::Error) -> Error {
    let context = match error.kind() {
        io::ErrorKind::BrokenPipe => "writing to standard output: whoever read it has gone",
        _ => "writing to standard output",
    };
    let error = Error::with_source(ErrorKind::Disconnected, context, error);
    let failure = Failure::retriable("TASK_PUT", error.chain());
    for index in 0..batch.receipt.unsettled() {
        batch.receipt.fail(index, failure.clone());
    }
    error
}

#[cfg(test)]
mod tests;
