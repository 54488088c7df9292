//! Letters from a thread that may block to a task that may not.

use std::{collections::VecDeque, fmt};

use tokio::sync::mpsc;

use super::DeadLetter;
use crate::{Error, Result};

/// Letters that travel together: a few, because they may be large.
const MOST: usize = 100;
const MOST_BYTES: usize = 256 << 10;

/// What a thread reads, handed out one by one. Dropping it ends the thread at its next letter.
pub struct Feed {
    /// `None` is the end. That the thread is gone is none.
    batches: mpsc::Receiver<Result<Option<Vec<DeadLetter>>>>,
    ready: VecDeque<DeadLetter>,
    ended: bool,
}

/// The thread's side.
#[derive(Debug)]
pub struct Giver {
    batches: mpsc::Sender<Result<Option<Vec<DeadLetter>>>>,
    batch: Vec<DeadLetter>,
    bytes: usize,
}

impl Feed {
    /// Runs `read` on a thread that may block. It gives what it reads, and returns at its end.
    pub fn start(read: impl FnOnce(&mut Giver) -> Result<()> + Send + 'static) -> Self {
        let (sender, batches) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            let mut giver = Giver { batches: sender, batch: Vec::new(), bytes: 0 };
            let end = read(&mut giver).and_then(|()| giver.flush().then_some(None).ok_or_else(unwanted));
            // Nobody may want to know.
            let _ = giver.batches.blocking_send(end);
        });
        Self { batches, ready: VecDeque::new(), ended: false }
    }

    /// The next letter; `None` at the end. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<DeadLetter>> {
        while self.ready.is_empty() && !self.ended {
            match self.batches.recv().await {
                Some(Ok(Some(batch))) => self.ready.extend(batch),
                Some(Ok(None)) => self.ended = true,
                Some(Err(error)) => return Err(error),
                None => return Err(Error::internal("reading dead letters: the reader is gone")),
            }
        }
        Ok(self.ready.pop_front())
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("ready", &self.ready.len()).finish_non_exhaustive()
    }
}

impl Giver {
    /// Gives a letter. `false`: nobody wants more, stop reading.
    pub fn give(&mut self, letter: DeadLetter) -> bool {
        self.bytes += letter.record.size();
        self.batch.push(letter);
        self.batch.len() < MOST && self.bytes < MOST_BYTES || self.flush()
    }

    fn flush(&mut self) -> bool {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        batch.is_empty() || self.batches.blocking_send(Ok(Some(batch))).is_ok()
    }
}

fn unwanted() -> Error {
    Error::internal("reading dead letters: nobody wants them any more")
}
