//! The files that a bridge's secrets are in: whether one has changed since a try began, so that the next one need not wait.
//!
//! # Contract
//! - They are looked at while a task waits for its next try, and not while it is well.
//! - What is in them is not read: a file that was replaced or written shows it by its inode, size or times.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::definition::Definition;

/// How often somebody looks: a person who has replaced a password waits no longer than this.
const LOOK: Duration = Duration::from_secs(2);

/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The files, and how they were when they were noted.
#[derive(Debug)]
pub(super) struct SecretFiles {
    paths: Arc<[PathBuf]>,
    noted: Vec<Option<Print>>,
}

/// What differs when a file is another or was written; of where the name leads to, through links.
#[derive(Debug, PartialEq, Eq)]
struct Print {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl SecretFiles {
    /// Those that the bridge's options refer to. Nothing is noted yet.
    pub(super) fn of(definition: &Definition) -> Self {
        Self { paths: definition.secret_files().into(), noted: Vec::new() }
    }

    /// Takes note of how they are now: before they are read.
    pub(super) async fn note(&mut self) {
        self.noted = self.look().await;
    }

    /// Returns when one of them is not as it was noted, with its path. Never when there is none. Cancel-safe.
    pub(super) async fn changed(&self) -> &Path {
        if self.paths.is_empty() {
            std::future::pending::<()>().await;
        }
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.look().await;
            let mut files = self.paths.iter().zip(self.noted.iter().zip(&now));
            if let Some((path, _)) = files.find(|(_, (noted, now))| noted != now) {
                return path;
            }
        }
    }

    async fn look(&self) -> Vec<Option<Print>> {
        if self.paths.is_empty() {
            return Vec::new();
        }
        let paths = self.paths.clone();
        // A file system that hangs must hold up no other bridge, and no stop. What is not known has not changed.
        let looked = tokio::task::spawn_blocking(move || paths.iter().map(|path| Print::of(path)).collect());
        tokio::time::timeout(PATIENCE, looked).await.unwrap_or(Ok(Vec::new())).unwrap_or_default()
    }
}

impl Print {
    /// `None`: it is not there, or cannot be looked at.
    fn of(path: &Path) -> Option<Self> {
        path.metadata().ok().map(|metadata: Metadata| Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}
