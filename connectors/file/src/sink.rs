//! The sink: holds its records until they are on the disk.
//!
//! # The contract
//! - A record is settled when its line is on the disk (`Log::append`). Batches that wait together share one `fdatasync`.
//! - What cannot be written is tried again in order, as long as `errors.retry` says, and health says why. Nothing is
//!   skipped. After that everything held fails as retriable.
//! - A writer of its own does the waiting, so that the bridge goes on answering.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use gantry_sdk::{
    Batch, DeadLetterId, DeadLetters, Description, Endpoint, Error, Failure, Opening, Result, Sink,
    config::Problem,
    health::Condition,
    plugin::{Context, DeadLettersConfig, SinkConfig},
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{blocking::blocking, dead_letters, line, log::Log};

/// Which part failed a record, in Kafka Connect's words.
const STAGE: &str = "TASK_PUT";
/// Batches that share one `fdatasync`.
const TOGETHER: usize = 64;
/// The shortest pause between two tries, whatever `errors.retry` says: each is a system call that failed just now.
const SHORTEST: Duration = Duration::from_millis(10);

/// What `sink: { file: … }` holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The file. It is created if it is missing; its directory is not.
    pub path: PathBuf,
    /// Whether `path` may be a symbolic link. Without it a link is refused: whoever may make one in that directory would
    /// choose where messages are written.
    #[serde(default)]
    pub follow_symlinks: bool,
}

impl Options {
    fn log(self) -> Log {
        Log::new(self.path, self.follow_symlinks)
    }
}

impl SinkConfig for Options {
    const CAN_REFUSE: bool = false;
    const PLACE_OPTION: Option<&'static str> = Some("path");

    fn check(&self) -> Vec<Problem> {
        let text = self.path.to_string_lossy();
        if text.is_empty() || text.ends_with('/') {
            return vec![Problem::error("path", "name a file, like /var/lib/gantry/dead-letters.jsonl")];
        }
        if self.path.is_relative() {
            let message = "is relative: where the file is depends on the directory that gantry is started in";
            return vec![Problem::warning("path", message)];
        }
        Vec::new()
    }

    fn describe(&self) -> Description {
        let file = Endpoint::exact("file", self.path.to_string_lossy());
        Description { endpoints: vec![file], ..Description::default() }
    }

    fn build(self, context: Context) -> Result<Opening<dyn Sink>> {
        let log = self.log();
        Ok(Box::pin(async move { Ok(Box::new(FileSink::open(log, context).await?) as Box<dyn Sink>) }))
    }
}

impl DeadLettersConfig for Options {
    fn dead_letters(self, _: Context) -> Result<Opening<dyn DeadLetters>> {
        Ok(Box::pin(dead_letters::open(self.log())))
    }
}

struct FileSink {
    batches: mpsc::UnboundedSender<Batch>,
    /// Batches that are not settled yet.
    held: Arc<watch::Sender<usize>>,
    stop: watch::Sender<bool>,
    writer: JoinHandle<()>,
}

impl FileSink {
    async fn open(log: Log, context: Context) -> Result<Self> {
        let probed = log.clone();
        blocking(move || probed.probe()).await?;
        let (batches, receiver) = queue();
        let (stop, stopping) = watch::channel(false);
        let held = Arc::new(watch::Sender::new(0));
        let writer =
            Writer { log, context, run: run_name().into(), next: 0, batches: receiver, held: held.clone(), stopping };
        Ok(Self { batches, held, stop, writer: tokio::spawn(writer.run()) })
    }
}

#[async_trait]
impl Sink for FileSink {
    fn start(&mut self, batch: Batch) {
        self.held.send_modify(|held| *held += 1);
        // A writer that has given up fails what it held; this batch's receipt says the same by being dropped.
        if self.batches.send(batch).is_err() {
            self.held.send_modify(|held| *held -= 1);
        }
    }

    async fn ready(&mut self) -> Result<()> {
        if self.batches.is_closed() {
            return Err(Error::disconnected("the file's writer has given up"));
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        // The sender is ours: it cannot end.
        let _ = self.held.subscribe().wait_for(|held| *held == 0).await;
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<()> {
        self.stop.send_replace(true);
        let _ = self.writer.await;
        Ok(())
    }
}

/// Writes batch after batch; ends when the sink closes, or when it has to give up.
struct Writer {
    log: Log,
    context: Context,
    /// The stream that this writer's lines are numbered in: no other ever has it.
    run: bytestring::ByteString,
    next: u64,
    batches: mpsc::UnboundedReceiver<Batch>,
    held: Arc<watch::Sender<usize>>,
    stopping: watch::Receiver<bool>,
}

/// Why the writer ends.
enum WriterEnd {
    Stopping,
    GivenUp(Error),
}

impl Writer {
    async fn run(mut self) {
        let mut taken = Vec::new();
        loop {
            tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stopping| *stopping) => return,
                count = self.batches.recv_many(&mut taken, TOGETHER) => if count == 0 { return },
            }
            match self.write(&taken).await {
                Ok(()) => {
                    let written = taken.len();
                    taken.drain(..).for_each(|batch| batch.receipt.settle(batch.receipt.unsettled()));
                    self.held.send_modify(|held| *held -= written);
                }
                Err(WriterEnd::Stopping) => return,
                Err(WriterEnd::GivenUp(error)) => return self.give_up(taken, &error),
            }
        }
    }

    /// Tries until it is done, there is no time left, or the sink closes.
    async fn write(&mut self, batches: &[Batch]) -> Result<(), WriterEnd> {
        let lines = Arc::new(self.lines(batches));
        let retry = self.context.retry;
        let (begun, mut pause) = (Instant::now(), retry.delay.max(SHORTEST));
        loop {
            let (log, lines) = (self.log.clone(), lines.clone());
            let Err(error) = blocking(move || log.append(&lines)).await else {
                self.context.health.set(Condition::Up);
                return Ok(());
            };
            if retry.timeout.is_some_and(|timeout| begun.elapsed() + pause > timeout) {
                return Err(WriterEnd::GivenUp(error));
            }
            self.context.health.set(Condition::Down(error.chain().into()));
            tokio::select! {
                _ = self.stopping.wait_for(|stopping| *stopping) => return Err(WriterEnd::Stopping),
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(retry.max_delay.max(SHORTEST)),
            }
        }
    }

    fn lines(&mut self, batches: &[Batch]) -> Vec<u8> {
        let (mut lines, now) = (Vec::new(), jiff::Timestamp::now());
        for record in batches.iter().flat_map(|batch| batch.records.iter()) {
            let id = DeadLetterId::new(self.run.clone(), self.next);
            line::write(&id, now, record, self.context.dead_letter, &mut lines);
            lines.push(b'\n');
            self.next += 1;
        }
        lines
    }

    /// Fails what is held and everything behind it, in order (I5).
    fn give_up(mut self, taken: Vec<Batch>, error: &Error) {
        self.batches.close();
        let failure = Failure::ended(STAGE, error);
        self.context.health.set(Condition::Failed(failure.cause, failure.reason.clone()));
        let behind = std::iter::from_fn(|| self.batches.try_recv().ok());
        for batch in taken.into_iter().chain(behind) {
            (0..batch.receipt.unsettled()).for_each(|index| batch.receipt.fail(index, failure.clone()));
            // What comes in now counts itself off, so this must not be set to nothing.
            self.held.send_modify(|held| *held -= 1);
        }
    }
}

/// From the sink to its writer. It must not wait: while it waits for the disk, the bridge answers nobody.
#[allow(clippy::disallowed_methods, reason = "bounded by credit: no more batches than the task has in flight (I4)")]
fn queue() -> (mpsc::UnboundedSender<Batch>, mpsc::UnboundedReceiver<Batch>) {
    mpsc::unbounded_channel()
}

/// A name that no other writer has, here or on another day.
fn run_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    format!("{micros:x}-{:x}-{:x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
