//! The file: a log of lines.
//!
//! # The contract
//! - What was appended is on the disk when [`Log::append`] returns: lines with `fdatasync`, a new file's name with its
//!   directory.
//! - One writer at a time: each append holds the file's lock (`flock`). So several tasks, a replay beside the service, and
//!   whoever rotates the file go together. The file is opened by its name for each append: one that was moved away is
//!   let go of.
//! - An append that fails leaves nothing behind, as far as the disk lets it. A line that a crash tore is completed by a
//!   line break before the next one, and is skipped by readers.

use std::{
    fs::{File, FileType, OpenOptions, TryLockError},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use gantry_sdk::{Error, ErrorKind, Result};

/// Only its owner reads it: it holds whole messages.
const MODE: u32 = 0o600;
/// How long somebody else may hold the lock.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at the lock.
const PAUSE: Duration = Duration::from_millis(10);
/// No line of ours is longer: a message of 128 MiB in base64, twice over.
const LONGEST: u64 = 512 << 20;

/// A log at a path. Nothing is open between calls.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    path: PathBuf,
}

/// The lines up to where the file ended when it was opened.
#[derive(Debug)]
pub(crate) struct Lines {
    reader: BufReader<io::Take<File>>,
    end: u64,
    number: u64,
    line: Vec<u8>,
    /// The last line does not end.
    torn: bool,
    path: PathBuf,
}

// === impl Log ===

impl Log {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Whether it can be written to. Creates it.
    pub(crate) fn probe(&self) -> Result<()> {
        self.open().map(drop).map_err(|error| self.explain("opening", &error))
    }

    /// Appends whole lines, durably.
    pub(crate) fn append(&self, lines: &[u8]) -> Result<()> {
        let appended = self.open().and_then(|mut file| {
            lock(&file, File::try_lock)?;
            let end = file.metadata()?.len();
            let written = complete(&mut file, end).and_then(|()| file.write_all(lines)).and_then(|()| file.sync_data());
            if written.is_err() {
                // Else the records would stand there twice, once they are written again.
                let _ = file.set_len(end);
            }
            written
        });
        appended.map_err(|error| self.explain("appending to", &error))
    }

    /// What is in it now, or up to where it ended earlier.
    pub(crate) fn lines(&self, upto: Option<u64>) -> Result<Lines> {
        let opened = File::open(&self.path).and_then(|file| {
            refuse(file.metadata()?.file_type())?;
            // Nobody is in the middle of a line while the end is fixed.
            lock(&file, File::try_lock_shared)?;
            let end = upto.unwrap_or(file.metadata()?.len());
            file.unlock()?;
            Ok((BufReader::new(file.take(end)), end))
        });
        let (reader, end) = opened.map_err(|error| self.explain("reading", &error))?;
        Ok(Lines { reader, end, number: 0, line: Vec::new(), torn: false, path: self.path.clone() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for appending, and creates it durably if it is not there.
    fn open(&self) -> io::Result<File> {
        let there = match self.path.metadata() {
            // Opening a pipe would wait for whoever reads it.
            Ok(metadata) => refuse(metadata.file_type()).map(|()| true)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        let file = OpenOptions::new().append(true).read(true).create(true).mode(MODE).open(&self.path)?;
        if !there {
            let real = self.path.canonicalize()?;
            File::open(real.parent().unwrap_or_else(|| Path::new("/")))?.sync_all()?;
        }
        Ok(file)
    }

    /// What went wrong, and what a person can do.
    fn explain(&self, doing: &str, error: &io::Error) -> Error {
        use io::ErrorKind as Io;
        let path = self.path.display();
        let (kind, advice) = match error.kind() {
            Io::NotFound if self.path.is_symlink() => (ErrorKind::Missing, "; the link leads nowhere".to_owned()),
            Io::NotFound if doing == "reading" => (ErrorKind::Missing, "; nothing was written there yet".to_owned()),
            Io::NotFound => (ErrorKind::Missing, format!("; create the directory {}", parent(&self.path).display())),
            Io::PermissionDenied => {
                (ErrorKind::Refused, "; let the user that gantry runs as read and write it".to_owned())
            }
            Io::IsADirectory => (ErrorKind::Config, "; name a file in it".to_owned()),
            Io::Unsupported => (ErrorKind::Config, String::new()),
            Io::StorageFull | Io::QuotaExceeded => {
                (ErrorKind::Disconnected, "; make room there, the records wait".to_owned())
            }
            Io::ReadOnlyFilesystem => (ErrorKind::Refused, "; mount it writable".to_owned()),
            _ => (ErrorKind::Disconnected, String::new()),
        };
        Error::new(kind, format!("{doing} {path}: {}{advice}", words(error)))
    }
}

/// The directory of a path; that of a bare name is the one that gantry was started in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// The error without its number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// What can never hold lines.
fn refuse(kind: FileType) -> io::Result<()> {
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    if kind.is_fifo() || kind.is_socket() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "it is a pipe or a socket, which keeps nothing"));
    }
    Ok(())
}

fn lock(file: &File, try_lock: impl Fn(&File) -> Result<(), TryLockError>) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match try_lock(file) {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                let message = format!("another process has held its lock for {} s", PATIENCE.as_secs());
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Ends a line that a crash tore.
fn complete(file: &mut File, end: u64) -> io::Result<()> {
    let Some(last) = end.checked_sub(1) else { return Ok(()) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    if byte == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

// === impl Lines ===

impl Lines {
    /// Where the file ended when it was opened.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// The number of the last line, if it does not end. Known at the end.
    pub(crate) fn torn(&self) -> Option<u64> {
        self.torn.then_some(self.number)
    }

    /// The next whole line without its line break, and its number from 1.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &[u8])>> {
        self.line.clear();
        self.number += 1;
        let read = self.reader.by_ref().take(LONGEST).read_until(b'\n', &mut self.line);
        read.map_err(|error| Error::disconnected(format!("reading {}: {}", self.path.display(), words(&error))))?;
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

/// Says that a line is left out: a crash tore it, so its record never counted as written.
pub(crate) fn skipped(path: &Path, line: u64, reason: &str) {
    let path = path.display();
    tracing::warn!(
        "{path}, line {line} is left out: {reason}. A write was cut off there, and its record is still at its source; or \
         somebody changed it"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> (tempfile::TempDir, Log) {
        let directory = tempfile::tempdir().expect("a directory");
        let log = Log::new(directory.path().join("letters.jsonl"));
        (directory, log)
    }

    fn all(log: &Log) -> Vec<String> {
        let mut lines = log.lines(None).expect("the file");
        std::iter::from_fn(|| lines.next().expect("a line").map(|(_, line)| String::from_utf8_lossy(line).into_owned()))
            .collect()
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next_and_only_its_owner_reads_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_directory, log) = log();
        log.append(b"one\ntwo\n").expect("room");
        OpenOptions::new().append(true).open(log.path()).and_then(|mut file| file.write_all(b"to")).expect("room");
        assert_eq!(all(&log), ["one", "two"]);
        log.append(b"three\n").expect("room");
        assert_eq!(all(&log), ["one", "two", "to", "three"]);
        assert_eq!(log.path().metadata().expect("it is there").permissions().mode() & 0o777, MODE);
    }

    #[test]
    fn what_cannot_be_written_says_what_to_do() {
        let (directory, log) = log();
        let text = |path: PathBuf| Log::new(path).probe().expect_err("it must not work").chain();
        assert!(text(directory.path().into()).contains("name a file in it"));
        assert!(
            text(directory.path().join("not/there"))
                .contains(&format!("create the directory {}/not", directory.path().display()))
        );
        assert_eq!(log.lines(None).expect_err("it is not there").kind(), ErrorKind::Missing);
        let full = Log::new("/dev/full".into()).append(b"x\n").expect_err("it is full");
        assert!(full.chain().contains("No space left on device; make room there"), "{}", full.chain());
        let null = Log::new("/dev/null".into()).append(b"x\n");
        assert!(null.is_err(), "what keeps nothing must not count as written");
    }

    #[test]
    fn a_second_writer_waits_for_the_first() {
        let (_directory, log) = log();
        log.append(b"one\n").expect("room");
        let held = File::open(log.path()).expect("it is there");
        held.lock().expect("nobody else has it");
        let other = log.clone();
        let waiting = thread::spawn(move || other.append(b"two\n"));
        assert_eq!(std::fs::read(log.path()).expect("it is there"), b"one\n");
        held.unlock().expect("it was held");
        waiting.join().expect("no panic").expect("room");
        assert_eq!(all(&log), ["one", "two"]);
    }
}
