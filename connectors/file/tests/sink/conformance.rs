//! The sink keeps the promises of every sink.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use gantry_sdk::{
    Context, Opening, Sink, SinkCapabilities,
    plugin::RetryPolicy,
    testkit::conformance::{SinkAbilities, SinkWorld},
};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// A file behind a link, so that a full disk can come in its place.
struct Disk {
    directory: TempDir,
}

impl Disk {
    fn new() -> Self {
        let disk = Self { directory: tempfile::tempdir().expect("a directory") };
        disk.lead_to(&disk.file());
        disk
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("records.jsonl")
    }

    fn lead_to(&self, target: &Path) {
        let next = self.directory.path().join("next");
        symlink(target, &next).expect("a link");
        fs::rename(&next, self.link()).expect("renaming it");
    }

    fn link(&self) -> PathBuf {
        self.directory.path().join("link")
    }
}

#[async_trait]
impl SinkWorld for Disk {
    fn capabilities(&self) -> SinkCapabilities {
        gantry_file::SINK.capabilities
    }

    fn abilities(&self) -> SinkAbilities {
        SinkAbilities::default().without_refusals().without_cuts()
    }

    fn open(&mut self, context: Context) -> Opening<dyn Sink> {
        let retry =
            RetryPolicy { delay: Duration::from_millis(10), max_delay: Duration::from_millis(50), ..context.retry };
        let options = json!({ "path": self.link(), "follow_symlinks": true });
        (gantry_file::SINK.create)(&options, Context { retry, ..context }).expect("options")
    }

    async fn arrived(&mut self) -> Vec<u64> {
        let text = fs::read_to_string(self.file()).unwrap_or_default();
        let number = |line: &str| serde_json::from_str::<Json>(line).ok()?["value"].as_str()?.parse().ok();
        text.lines().map(|line| number(line).expect("a line with a number")).collect()
    }

    async fn block(&mut self) {
        self.lead_to(Path::new("/dev/full"));
    }

    async fn unblock(&mut self) {
        self.lead_to(&self.file());
    }
}

mod sink {
    gantry_sdk::sink_conformance!(super::Disk::new());
}
