//! Reading the log: what was in it at one moment, line by line.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _},
    path::{Path, PathBuf},
};

use gantry_sdk::{Error, Result};

use super::words::words;

/// No line of ours is longer: a message of 128 MiB in base64, twice over.
const LONGEST: u64 = 512 << 20;

/// What was in the file at one moment. It stays readable when the file is moved away.
#[derive(Debug)]
pub(crate) struct Snapshot {
    file: File,
    end: u64,
    path: PathBuf,
}

/// Its lines, from the first.
#[derive(Debug)]
pub(crate) struct Lines<'s> {
    reader: BufReader<io::Take<&'s File>>,
    number: u64,
    line: Vec<u8>,
    /// The last line does not end.
    torn: bool,
    path: &'s Path,
}

impl Snapshot {
    pub(super) const fn new(file: File, end: u64, path: PathBuf) -> Self {
        Self { file, end, path }
    }

    /// From the first line on. One reading at a time: they share a place in the file.
    pub(crate) fn lines(&mut self) -> Result<Lines<'_>> {
        self.file.rewind().map_err(|error| unreadable(&self.path, &error))?;
        let reader = BufReader::new((&self.file).take(self.end));
        Ok(Lines { reader, number: 0, line: Vec::new(), torn: false, path: &self.path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Lines<'_> {
    /// The number of the last line, if it does not end. Known at the end.
    pub(crate) fn torn(&self) -> Option<u64> {
        self.torn.then_some(self.number)
    }

    /// The next whole line without its line break, and its number from 1.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &[u8])>> {
        self.line.clear();
        self.number += 1;
        let read = self.reader.by_ref().take(LONGEST).read_until(b'\n', &mut self.line);
        read.map_err(|error| unreadable(self.path, &error))?;
        if self.line.pop_if(|last| *last == b'\n').is_some() {
            return Ok(Some((self.number, &self.line)));
        }
        if self.line.len() as u64 == LONGEST {
            let path = self.path.display();
            return Err(Error::config(format!("reading {path}: line {} is longer than any of ours", self.number)));
        }
        self.torn = !self.line.is_empty();
        Ok(None)
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::disconnected(format!("reading {}: {}", path.display(), words(error)))
}

/// Says that a line is left out: a crash tore it, so its record never counted as written.
pub(crate) fn skipped(path: &Path, line: u64, reason: &str) {
    let path = path.display();
    tracing::warn!(
        "{path}, line {line} is left out: {reason}. A write was cut off there, and its record is still at its source; or \
         somebody changed it"
    );
}
