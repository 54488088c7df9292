//! Files that a person names: configurations and secrets. Reading one takes no longer and no more memory than it may.
//! A directory stands for the YAML files in it.
//!
//! # The contract
//! - Only regular files are read. A pipe in the place of one is an error at once: nobody waits for its other end.
//! - A file is bounded in size.
//! - A file system that does not answer (a share whose server is gone) is given up after [`PATIENCE`].

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

/// A configuration that is larger is none.
const LARGEST_CONFIGURATION: u64 = 4 << 20;
/// A directory with more YAML files is the wrong one.
const MOST_FILES: usize = 1000;

/// The files that a path stands for: itself, or those of a directory that end in `.yaml` or `.yml`, by name. Hidden ones are
/// passed over; so are the directories `..data` and `..2026_…`, to which the links in a Kubernetes volume lead.
pub(super) fn of(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let wrong = |error: io::Error| format!("reading the directory {}: {}", path.display(), reason(&error));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(wrong)? {
        let file = PathBuf::from(entry.map_err(wrong)?.file_name());
        let is_hidden = file.as_os_str().as_encoded_bytes().starts_with(b".");
        if !is_hidden && file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path.join(file));
        }
        if files.len() > MOST_FILES {
            return Err(format!("the directory {} holds more than {MOST_FILES} YAML files", path.display()));
        }
    }
    if files.is_empty() {
        return Err(format!("the directory {} holds no file that ends in .yaml or .yml", path.display()));
    }
    files.sort();
    Ok(files)
}

/// The text of a configuration.
pub(super) fn text(file: &Path) -> Result<String, String> {
    let shown = file.display();
    let bytes = read_in_time(file, LARGEST_CONFIGURATION);
    let bytes = bytes.map_err(|error| format!("reading {shown}: {}", reason(&error)))?;
    String::from_utf8(bytes).map_err(|_| format!("reading {shown}: it is not UTF-8 text"))
}

/// How long a file may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// No more reads may hang at a time: each holds a thread, which nobody can end.
const HANGING: usize = 8;

static READING: AtomicUsize = AtomicUsize::new(0);

/// The same as [`read`], given up after [`PATIENCE`].
fn read_in_time(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    if READING.fetch_add(1, Ordering::Relaxed) >= HANGING {
        READING.fetch_sub(1, Ordering::Relaxed);
        return Err(io::Error::other("other files have not been read for long: does their file system answer?"));
    }
    let (sender, answer) = mpsc::sync_channel(1);
    let path = path.to_owned();
    let reader = std::thread::Builder::new().name("config".to_owned()).spawn(move || {
        let read = read(&path, largest);
        READING.fetch_sub(1, Ordering::Relaxed);
        // Nobody waits for it any more when it took too long.
        let _ = sender.send(read);
    });
    if let Err(error) = reader {
        READING.fetch_sub(1, Ordering::Relaxed);
        return Err(error);
    }
    let late =
        || io::Error::other(format!("it took longer than {} s: does its file system answer?", PATIENCE.as_secs()));
    answer.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(late()))
}

/// The content of a regular file of at most `largest` bytes.
pub(super) fn read(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let file = regular(path)?;
    let mut bytes = Vec::new();
    file.take(largest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest {
        return Err(io::Error::other(format!("it is larger than {}", gantry_sdk::config::Size(largest))));
    }
    Ok(bytes)
}

/// Opens a file without waiting, and looks at what was opened: the name may lead elsewhere a moment later.
fn regular(path: &Path) -> io::Result<File> {
    // Merely opening a device can do something.
    if !std::fs::metadata(path)?.is_file() {
        return Err(not_regular());
    }
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(not_regular()),
    }
}

fn not_regular() -> io::Error {
    io::Error::other("it is not a regular file")
}

/// The error without the number that only programmers know.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}
