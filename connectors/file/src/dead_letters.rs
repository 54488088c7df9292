//! Dead letters out of the file. Marks are lines of the same file, behind the letters that they speak of; so it is read
//! once for the marks and once for the letters.

use async_trait::async_trait;
use gantry_sdk::{
    DeadLetter, DeadLetterId, DeadLetters, Error, Record, Result,
    dead_letters::{Feed, Fidelity, Giver, Marks, Reason},
};

use crate::{
    blocking::blocking,
    line::{self, Entry, Line},
    log::{self, Log, Snapshot},
};

/// The stream of lines that are no records of ours, by their number.
const LINE: &str = "line";
/// Ranges in one mark, so that its line stays short.
const RANGES: usize = 10_000;

pub(crate) struct FileDeadLetters {
    log: Log,
    opened: Option<Opened>,
}

struct Opened {
    feed: Feed,
    total: u64,
}

impl FileDeadLetters {
    pub(crate) const fn new(log: Log) -> Self {
        Self { log, opened: None }
    }
}

#[async_trait]
impl DeadLetters for FileDeadLetters {
    async fn open(&mut self) -> Result<()> {
        let log = self.log.clone();
        let Scan { marks, total, snapshot } = blocking(move || scan(&log)).await?;
        let feed = Feed::start(move |giver| read(snapshot, &marks, giver));
        self.opened = Some(Opened { feed, total });
        Ok(())
    }

    fn total(&self) -> Option<u64> {
        self.opened.as_ref().map(|opened| opened.total)
    }

    async fn next(&mut self) -> Result<Option<DeadLetter>> {
        match &mut self.opened {
            Some(opened) => opened.feed.next().await,
            None => Err(Error::internal("the file of dead letters is not open")),
        }
    }

    async fn mark(&mut self, letters: &Marks) -> Result<()> {
        let mut lines = Vec::new();
        for part in letters.in_parts(RANGES) {
            lines.append(&mut line::write_mark(&part));
            lines.push(b'\n');
        }
        let log = self.log.clone();
        blocking(move || log.append(&lines)).await
    }

    async fn close(&mut self) -> Result<()> {
        self.opened = None;
        Ok(())
    }
}

/// What the first reading found.
struct Scan {
    marks: Marks,
    /// Letters without a mark.
    total: u64,
    /// What was read.
    snapshot: Snapshot,
}

fn scan(log: &Log) -> Result<Scan> {
    let (mut marks, mut letters) = (Marks::default(), Marks::default());
    let mut snapshot = log.snapshot()?;
    let mut lines = snapshot.lines()?;
    while let Some((number, text)) = lines.next()? {
        match line::read(text) {
            Ok(Line::Mark(more)) => marks.extend(&more),
            Ok(Line::Record(entry)) => letters.insert(&entry.id),
            Err(_) if is_torn(text) => {}
            Err(_) => letters.insert(&DeadLetterId::new(LINE, number)),
        }
    }
    Ok(Scan { total: letters.count_outside(&marks), marks, snapshot })
}

/// Gives the letters of which the marks were read: of what was written since they are not known, and what has the name now
/// may be another file.
fn read(mut snapshot: Snapshot, marks: &Marks, giver: &mut Giver) -> Result<()> {
    let path = snapshot.path().to_owned();
    let mut lines = snapshot.lines()?;
    while let Some((number, text)) = lines.next()? {
        let letter = match line::read(text) {
            Ok(Line::Mark(_)) => continue,
            Ok(Line::Record(entry)) if marks.contains(&entry.id) => continue,
            Ok(Line::Record(entry)) => letter(*entry),
            Err(reason) if is_torn(text) => {
                log::skipped(&path, number, &reason);
                continue;
            }
            Err(reason) => match unreadable(number, reason) {
                letter if marks.contains(&letter.id) => continue,
                letter => letter,
            },
        };
        if !giver.give(letter) {
            return Ok(());
        }
    }
    if let Some(line) = lines.torn() {
        log::skipped(&path, line, "it does not end");
    }
    Ok(())
}

/// A line that was cut is no JSON; one that is JSON and no record was written so by somebody.
fn is_torn(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_err()
}

fn letter(entry: Entry) -> DeadLetter {
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
