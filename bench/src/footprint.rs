//! What a process holds, as the kernel counts it.

use std::{collections::HashSet, fs, path::PathBuf};

use anyhow::{Context as _, Result};

/// A process, looked at from outside.
#[derive(Debug, Clone)]
pub(crate) struct Footprint {
    directory: PathBuf,
}

impl Footprint {
    pub(crate) fn of(pid: u32) -> Self {
        Self { directory: format!("/proc/{pid}").into() }
    }

    /// Bytes of memory that it holds.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        Ok(self.status("VmRSS:")? * 1024)
    }

    /// The most bytes of memory that it ever held.
    pub(crate) fn peak_bytes(&self) -> Result<u64> {
        Ok(self.status("VmHWM:")? * 1024)
    }

    pub(crate) fn threads(&self) -> Result<u64> {
        self.status("Threads:")
    }

    /// Open files and sockets.
    pub(crate) fn descriptors(&self) -> Result<u64> {
        Ok(self.entries("fd")?.len() as u64)
    }

    /// How often its threads have gone to sleep so far, which is how often they were woken. Those of threads that have ended do not count.
    pub(crate) fn wake_ups(&self) -> Result<u64> {
        let threads = self.entries("task")?;
        // One may have ended since.
        let counts = threads.iter().filter_map(|thread| number(&thread.join("status"), "voluntary_ctxt_switches:"));
        Ok(counts.sum())
    }

    /// Its TCP connections to that port.
    pub(crate) fn connections_to(&self, port: u16) -> Result<u64> {
        let links = self.entries("fd")?.into_iter().filter_map(|fd| fs::read_link(fd).ok());
        let own: HashSet<String> = links.map(|link| link.to_string_lossy().into_owned()).collect();
        let tables = ["net/tcp", "net/tcp6"].map(|table| fs::read_to_string(self.directory.join(table)));
        let sockets: String =
            tables.into_iter().collect::<Result<_, _>>().context("reading the sockets of a process")?;
        let end = format!(":{port:04X}");
        let is_one = |line: &&str| {
            // Number, own address, peer's address, state (01: established), …, the tenth is the inode.
            let fields: Vec<_> = line.split_ascii_whitespace().collect();
            matches!(fields[..], [_, _, peer, "01", _, _, _, _, _, inode, ..]
                if peer.ends_with(&end) && own.contains(&format!("socket:[{inode}]")))
        };
        Ok(sockets.lines().filter(is_one).count() as u64)
    }

    fn status(&self, key: &str) -> Result<u64> {
        number(&self.directory.join("status"), key).with_context(|| format!("reading {key} of a process"))
    }

    fn entries(&self, directory: &str) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.directory.join(directory)).context("looking at a process")?;
        Ok(entries.flatten().map(|entry| entry.path()).collect())
    }
}

/// A number of a status file of the kernel's.
fn number(file: &std::path::Path, key: &str) -> Option<u64> {
    let status = fs::read_to_string(file).ok()?;
    let rest = status.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}
