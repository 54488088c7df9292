//! Dead letters out of the file. Marks are lines of the same file, behind the letters that they speak of; so it is read
//! once for the marks and once for the letters.

use async_trait::async_trait;
use gantry_sdk::{
    DeadLetter, DeadLetterId, DeadLetters, Record, Result,
    dead_letters::{Entry, Fidelity, LetterLog, MarkWriter, Marks, Reason, read_log},
};

use crate::{
    blocking::blocking,
    line::{self, Line},
    log::{self, Log, Snapshot},
};

/// The stream of lines that are no records of ours, by their number.
const LINE: &str = "line";
/// Ranges in one mark, so that its line stays short.
const RANGES: usize = 10_000;

/// Reads what is in the file now: what has the name later may be another one.
pub(crate) async fn open(log: Log) -> Result<Box<dyn DeadLetters>> {
    let marker = Marker(log.clone());
    read_log(move || Ok(Letters { snapshot: log.snapshot()?, was_read: false }), marker).await
}

struct Letters {
    snapshot: Snapshot,
    /// What is left out was found once already, and is said the second time.
    was_read: bool,
}

struct Marker(Log);

#[async_trait]
impl MarkWriter for Marker {
    async fn write(&mut self, letters: &Marks) -> Result<()> {
        let mut lines = Vec::new();
        for part in letters.in_parts(RANGES) {
            lines.append(&mut line::write_mark(&part));
            lines.push(b'\n');
        }
        let log = self.0.clone();
        blocking(move || log.append(&lines)).await
    }
}

impl LetterLog for Letters {
    fn read(&mut self, each: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<()> {
        let is_told = std::mem::replace(&mut self.was_read, true);
        let path = self.snapshot.path().to_owned();
        let mut lines = self.snapshot.lines()?;
        while let Some((number, text)) = lines.next()? {
            let entry = match line::read(text) {
                Ok(Line::Mark(marks)) => Entry::Marks(marks),
                Ok(Line::Record(entry)) => Entry::Letter(entry.id.clone(), Box::new(move || letter(*entry))),
                Err(reason) if is_torn(text) => {
                    if is_told {
                        log::skipped(&path, number, &reason);
                    }
                    continue;
                }
                Err(reason) => {
                    Entry::Letter(DeadLetterId::new(LINE, number), Box::new(move || unreadable(number, reason)))
                }
            };
            if !each(entry) {
                return Ok(());
            }
        }
        if let Some(line) = lines.torn().filter(|_| is_told) {
            log::skipped(&path, line, "it does not end");
        }
        Ok(())
    }
}

/// A line that was cut is no JSON; one that is JSON and no record was written so by somebody.
fn is_torn(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_err()
}

fn letter(entry: line::Entry) -> DeadLetter {
    let fidelity = if entry.flattened {
        Fidelity::Lossy("a header that is nested very deeply was kept as text".to_owned())
    } else {
        Fidelity::Exact
    };
    DeadLetter {
        id: entry.id,
        record: entry.record,
        reason: entry.reason,
        written: entry.written.map(Into::into),
        fidelity,
    }
}

fn unreadable(line: u64, reason: String) -> DeadLetter {
    DeadLetter {
        id: DeadLetterId::new(LINE, line),
        record: Record::default(),
        reason: Reason::default(),
        written: None,
        fidelity: Fidelity::Unreadable(format!("line {line}: {reason}")),
    }
}
