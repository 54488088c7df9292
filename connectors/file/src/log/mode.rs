//! Who may read and write the file: whole messages are in it, and what is written there goes through a bridge again.

use std::{
    collections::BTreeSet,
    fs::Metadata,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Permissions of those who are neither its owner nor in its group.
const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;

/// Files that were warned of: as many as there are paths in the configuration.
static WARNED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Warns, once, of a file that every user of the machine may read or write.
pub(super) fn look(path: &Path, metadata: &Metadata) {
    let may = what_others_may(metadata).filter(|_| metadata.is_file());
    if !is_news(path, may.is_some()) {
        return;
    }
    let (path, mode) = (path.display(), metadata.mode() & 0o777);
    let may = may.unwrap_or_default();
    tracing::warn!(
        "{path}: every user of this machine may {may} it (mode {mode:04o}), and it holds whole messages: chmod 600 {path}"
    );
}

/// Whether it is to be warned of, and was not yet.
fn is_news(path: &Path, is_open: bool) -> bool {
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    if is_open {
        return warned.insert(path.to_owned());
    }
    warned.remove(path);
    false
}

fn what_others_may(metadata: &Metadata) -> Option<&'static str> {
    match (metadata.mode() & OTHERS_READ != 0, metadata.mode() & OTHERS_WRITE != 0) {
        (true, true) => Some("read and write"),
        (true, false) => Some("read"),
        (false, true) => Some("write"),
        (false, false) => None,
    }
}
