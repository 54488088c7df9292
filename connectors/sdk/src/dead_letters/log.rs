//! Dead letters out of a store that is a log, with the marks in it behind the letters that they speak of: it is read once for
//! the marks, and once for the letters.

use async_trait::async_trait;

use super::{DeadLetter, DeadLetterId, DeadLetters, Feed, Marks};
use crate::{Error, Result};

/// What stands in a log of dead letters.
pub enum Entry<'a> {
    /// These letters are dealt with.
    Marks(Marks),
    /// A letter of that name, made only when it is wanted.
    Letter(DeadLetterId, Box<dyn FnOnce() -> DeadLetter + 'a>),
}

/// A log up to an end that is fixed.
pub trait LetterLog: Send + 'static {
    /// Shows each entry in order, until `each` wants no more: the same at each reading. Blocks.
    fn read(&mut self, each: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<()>;
}

/// Writes marks behind the letters of a log.
#[async_trait]
pub trait MarkWriter: Send + 'static {
    /// Durable when it returns.
    async fn write(&mut self, letters: &Marks) -> Result<()>;
}

struct LogReader<W> {
    feed: Feed,
    total: u64,
    writer: W,
}

/// Reads the log that `open` yields, which may block.
pub async fn read_log<L: LetterLog>(
    open: impl FnOnce() -> Result<L> + Send + 'static,
    writer: impl MarkWriter,
) -> Result<Box<dyn DeadLetters>> {
    let scanned = tokio::task::spawn_blocking(move || scan(open()?)).await;
    let gone = |_| Error::internal("the thread that reads dead letters panicked or was stopped");
    let (mut log, marks, total) = scanned.map_err(gone)??;
    let feed = Feed::start(move |giver| {
        log.read(&mut |entry| match entry {
            Entry::Letter(id, letter) if !marks.contains(&id) => giver.give(letter()),
            Entry::Letter(..) | Entry::Marks(_) => true,
        })
    });
    Ok(Box::new(LogReader { feed, total, writer }))
}

/// All marks, and how many letters have none.
fn scan<L: LetterLog>(mut log: L) -> Result<(L, Marks, u64)> {
    let (mut marks, mut letters) = (Marks::default(), Marks::default());
    log.read(&mut |entry| {
        match entry {
            Entry::Marks(more) => marks.extend(&more),
            Entry::Letter(id, _) => letters.insert(&id),
        }
        true
    })?;
    let total = letters.count_outside(&marks);
    Ok((log, marks, total))
}

#[async_trait]
impl<W: MarkWriter> DeadLetters for LogReader<W> {
    fn total(&self) -> Option<u64> {
        Some(self.total)
    }

    async fn next(&mut self) -> Result<Option<DeadLetter>> {
        self.feed.next().await
    }

    async fn mark(&mut self, letters: &Marks) -> Result<()> {
        self.writer.write(letters).await
    }

    async fn close(self: Box<Self>) -> Result<()> {
        // The end of a client may wait for its threads.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
        Ok(())
    }
}
