//! The file: a log of lines.
//!
//! # The contract
//! - What was appended is on the disk when [`Log::append`] returns: lines with `fdatasync`, a new file's name with its
//!   directory.
//! - It is in the file that has the name: whoever moves, compresses and removes the file finds every line that counts. The
//!   file is opened by its name for each append. With the lock in hand, and again when the lines are on the disk, it is
//!   compared with what the name leads to; if that is another file by now, the lines are written there.
//! - One writer at a time: each append holds the file's lock (`flock`). So several tasks, and a replay beside the service,
//!   go together.
//! - The name leads to the file itself: a symbolic link is refused, unless it was asked for.
//! - An append that fails leaves nothing behind, as far as the disk lets it. A line that a crash tore is completed by a
//!   line break before the next one, and is skipped by readers.

mod lines;
mod mode;
mod words;

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use gantry_sdk::{Error, ErrorKind, Result};

pub(crate) use lines::{Snapshot, skipped};
use words::words;

/// Only its owner reads it: it holds whole messages.
const MODE: u32 = 0o600;
/// How long somebody else may hold the lock.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at the lock.
const PAUSE: Duration = Duration::from_millis(10);
/// So often in a row the file may be moved away in the middle of an append.
const MOVES: u32 = 10;

/// A log at a path. Nothing is open between calls.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    path: PathBuf,
    /// Whether the path may be a symbolic link.
    follow_symlinks: bool,
}

// === impl Log ===

impl Log {
    pub(crate) const fn new(path: PathBuf, follow_symlinks: bool) -> Self {
        Self { path, follow_symlinks }
    }

    /// Whether it can be written to. Creates it.
    pub(crate) fn probe(&self) -> Result<()> {
        self.open().map(drop).map_err(|error| self.explain("opening", &error))
    }

    /// Appends whole lines, durably, to the file that has the name.
    pub(crate) fn append(&self, lines: &[u8]) -> Result<()> {
        for _ in 0..MOVES {
            match self.append_once(lines) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => return Err(self.explain("appending to", &error)),
            }
        }
        let moved = io::Error::new(io::ErrorKind::ResourceBusy, "it is moved away again and again");
        Err(self.explain("appending to", &moved))
    }

    /// Whether the file still had the name when the lines were on the disk. If not, it may be gone already.
    fn append_once(&self, lines: &[u8]) -> io::Result<bool> {
        let Some(mut file) = self.locked()? else { return Ok(false) };
        let end = file.metadata()?.len();
        if end == 0 {
            // Nobody has written to it yet, so nobody has made sure of its name either.
            self.sync_directory()?;
        }
        let written = complete(&mut file, end).and_then(|()| file.write_all(lines)).and_then(|()| file.sync_data());
        if written.is_err() {
            // Else the records would stand there twice, once they are written again.
            let _ = file.set_len(end);
        }
        written.and_then(|()| self.leads_to(&file))
    }

    /// What is in it now, to be read as often as one likes.
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        let snapshot = self.locked_for_reading().and_then(|file| {
            let end = file.metadata()?.len();
            file.unlock()?;
            Ok(Snapshot::new(file, end, self.path.clone()))
        });
        snapshot.map_err(|error| self.explain("reading", &error))
    }

    /// The file that has the name, locked; `None` when it was moved away meanwhile.
    fn locked(&self) -> io::Result<Option<File>> {
        let file = self.open()?;
        lock(&file, File::try_lock)?;
        // It may have waited for long, and the file be compressed and removed by now.
        Ok(self.leads_to(&file)?.then_some(file))
    }

    /// The same for reading: nobody is in the middle of a line.
    fn locked_for_reading(&self) -> io::Result<File> {
        let mut moves = 0;
        loop {
            refuse(&self.metadata()?)?;
            let file = self.options().read(true).open(&self.path)?;
            refuse(&file.metadata()?)?;
            lock(&file, File::try_lock_shared)?;
            moves += 1;
            if moves == MOVES || self.leads_to(&file)? {
                return Ok(file);
            }
        }
    }

    /// Whether the name still leads to this file.
    fn leads_to(&self, file: &File) -> io::Result<bool> {
        match self.metadata() {
            Ok(named) => {
                let open = file.metadata()?;
                Ok((named.dev(), named.ino()) == (open.dev(), open.ino()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens it for appending, and creates it if it is not there.
    fn open(&self) -> io::Result<File> {
        match self.metadata() {
            Ok(metadata) => refuse(&metadata)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let file = self.options().append(true).read(true).create(true).mode(MODE).open(&self.path)?;
        let metadata = file.metadata()?;
        refuse(&metadata)?;
        mode::look(&self.path, &metadata);
        Ok(file)
    }

    fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        // Opening a pipe that came in its place must not wait for whoever is at its other end.
        let link = if self.follow_symlinks { 0 } else { libc::O_NOFOLLOW };
        options.custom_flags(libc::O_NONBLOCK | link);
        options
    }

    fn metadata(&self) -> io::Result<Metadata> {
        if self.follow_symlinks { self.path.metadata() } else { self.path.symlink_metadata() }
    }

    fn sync_directory(&self) -> io::Result<()> {
        let real = self.path.canonicalize()?;
        File::open(real.parent().unwrap_or_else(|| Path::new("/")))?.sync_all()
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
            Io::FileTooLarge => {
                let advice = "; this process may not make a file so large (ulimit -f, LimitFSIZE): raise that or move the \
                              file away, the records wait";
                (ErrorKind::Disconnected, advice.to_owned())
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

/// What can never hold lines.
fn refuse(metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        let message = "it is a symbolic link: name the file itself, or set follow_symlinks: true";
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
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

#[cfg(test)]
mod tests;
