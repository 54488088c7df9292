//! A log in memory, and a sink that writes it, right or with one flaw.

use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    Batch, Checkpoint, Checkpoints, Context, Delivered, Error, Failure, Opening, Position, Record, Result, Sink,
    SinkCapabilities, Transactions, testkit::conformance::SinkWorld,
};

/// What a sink does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    Reorders,
    Loses,
    LosesOnCancel,
    DoublesOnCancel,
    SettlesTwice,
    SettlesAtStart,
    FlushesEarly,
    RefusesNeighbours,
    RefusesForNow,
    NeverAnswers,
    AnswersTwice,
    SpeaksAtClose,
    HangsAtClose,
    SkipsWhatWasBlocked,
    BlamesRecords,
    LeaksOpening,
    ShowsWhatIsNotCommitted,
    StoresNothing,
}

/// How the other side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Fine,
    Blocked,
    Cut,
}

#[derive(Debug, Default)]
struct Log {
    arrived: Vec<u64>,
    stored: HashMap<Arc<str>, Position>,
    is_locked: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Memory {
    log: Arc<Mutex<Log>>,
    wire: watch::Sender<Wire>,
    flaw: Option<Flaw>,
}

impl Memory {
    pub(super) fn right() -> Self {
        Self { log: Arc::default(), wire: watch::Sender::new(Wire::Fine), flaw: None }
    }

    pub(super) fn with(self, flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..self }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("nobody panics with it")
    }

    async fn connect(self, context: Context) -> Result<Box<dyn Sink>> {
        if self.log().is_locked {
            return Err(Error::disconnected("somebody else is there"));
        }
        self.log().is_locked = self.has(Flaw::LeaksOpening);
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.log().is_locked = false;
        self.wire.send_replace(Wire::Fine);
        let stored = Arc::new(self.log().stored.clone());
        let transaction = context.exactly_once.then(Vec::new);
        Ok(Box::new(MemorySink { world: self, queue: VecDeque::new(), stored, was_blocked: false, transaction }))
    }
}

#[async_trait]
impl SinkWorld for Memory {
    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities {
            keeps_order: true,
            transactional: true,
            gives_answers: true,
            deduplicates: false,
            counts_attempts: false,
        }
    }

    fn open(&mut self, context: Context) -> Opening<dyn Sink> {
        Box::pin(self.clone().connect(context))
    }

    fn refused(&mut self, number: u64) -> Record {
        Record { value: Some(format!("refused {number}").into()), ..Record::default() }
    }

    async fn arrived(&mut self) -> Vec<u64> {
        self.log().arrived.clone()
    }

    async fn block(&mut self) {
        self.wire.send_replace(Wire::Blocked);
    }

    async fn unblock(&mut self) {
        self.wire.send_replace(Wire::Fine);
    }

    async fn cut(&mut self) {
        self.wire.send_replace(Wire::Cut);
    }
}

struct MemorySink {
    world: Memory,
    /// Batches, and how many records of each are dealt with.
    queue: VecDeque<(Batch, usize)>,
    stored: Checkpoints,
    was_blocked: bool,
    /// What arrives at the commit, of a sink for exactly once.
    transaction: Option<Vec<u64>>,
}

impl MemorySink {
    /// Works off the queue until so many batches are left.
    async fn work(&mut self, left: usize) -> Result<()> {
        while self.queue.len() > left {
            let mut wire = self.world.wire.subscribe();
            self.was_blocked |= *wire.borrow() == Wire::Blocked;
            let wire = *wire.wait_for(|wire| *wire != Wire::Blocked).await.expect("the world has a sender");
            let (batch, at) = self.queue.front_mut().expect("there is one");
            if wire == Wire::Cut {
                if self.world.has(Flaw::BlamesRecords) {
                    batch.receipt.fail(*at as u32, Failure::rejected("TASK_PUT", "the wire was cut"));
                    *at += 1;
                }
                return Err(Error::disconnected("the wire was cut"));
            }
            if self.was_blocked && self.world.has(Flaw::SkipsWhatWasBlocked) {
                batch.receipt.settle(batch.receipt.unsettled());
                *at = batch.records.len();
            } else {
                if self.world.has(Flaw::LosesOnCancel) {
                    *at += 1;
                    tokio::task::yield_now().await;
                    *at -= 1;
                }
                tokio::task::yield_now().await;
                self.deliver().await;
            }
            if self.queue.front().is_some_and(|(batch, at)| *at >= batch.records.len()) {
                self.queue.pop_front();
            }
        }
        Ok(())
    }

    async fn deliver(&mut self) {
        let Some((batch, at)) = self.queue.front_mut() else { return };
        let Some(record) = batch.records.get(*at) else { return };
        let index = *at as u32;
        let text = String::from_utf8(record.value.clone().expect("a body").to_vec()).expect("text");
        let world = &self.world;
        if text.starts_with("refused") {
            let failure = match world.has(Flaw::RefusesForNow) {
                true => Failure::retriable("TASK_PUT", "not now"),
                false => Failure::rejected("TASK_PUT", "never"),
            };
            batch.receipt.fail(index, failure.clone());
            *at += 1;
            while world.has(Flaw::RefusesNeighbours) && *at < batch.records.len() {
                batch.receipt.fail(*at as u32, failure.clone());
                *at += 1;
            }
            return;
        }
        let number: u64 = text.parse().expect("a number");
        write(world, &mut self.transaction, number);
        if world.has(Flaw::DoublesOnCancel) {
            tokio::task::yield_now().await;
        }
        let answers = if world.has(Flaw::NeverAnswers) { 0 } else { 1 + u32::from(world.has(Flaw::AnswersTwice)) };
        for _ in 0..answers {
            let offset = Some(number as i64);
            batch.receipt.answer(index, Delivered::Placed { address: "log".into(), partition: None, offset });
        }
        *at += 1;
        if !world.has(Flaw::SettlesAtStart) {
            batch.receipt.settle(1 + u32::from(world.has(Flaw::SettlesTwice)));
        }
    }
}

/// To the transaction, if there is one, or else at once to the log.
fn write(world: &Memory, transaction: &mut Option<Vec<u64>>, number: u64) {
    let mut log = world.log();
    let list = match transaction {
        Some(transaction) if !world.has(Flaw::ShowsWhatIsNotCommitted) => transaction,
        _ => &mut log.arrived,
    };
    if !(world.has(Flaw::Loses) && number == 13) {
        list.push(number);
    }
    let count = list.len();
    if world.has(Flaw::Reorders) && number == 20 && count > 1 {
        list.swap(count - 2, count - 1);
    }
}

#[async_trait]
impl Sink for MemorySink {
    fn start(&mut self, batch: Batch) {
        if self.world.has(Flaw::SettlesAtStart) {
            batch.receipt.settle(batch.receipt.unsettled());
        }
        self.queue.push_back((batch, 0));
    }

    async fn ready(&mut self) -> Result<()> {
        self.work(1).await
    }

    async fn flush(&mut self) -> Result<()> {
        let left = usize::from(self.world.has(Flaw::FlushesEarly));
        self.work(left).await
    }

    async fn close(self: Box<Self>) -> Result<()> {
        if self.world.has(Flaw::HangsAtClose) && *self.world.wire.borrow() == Wire::Blocked {
            return pending().await;
        }
        if self.world.has(Flaw::SpeaksAtClose) {
            for (batch, at) in &self.queue {
                for index in *at..batch.records.len() {
                    batch.receipt.fail(index as u32, Failure::retriable("TASK_PUT", "closed"));
                }
            }
        }
        Ok(())
    }

    fn transactions(&mut self) -> Option<&mut dyn Transactions> {
        if self.transaction.is_some() { Some(self) } else { None }
    }
}

#[async_trait]
impl Transactions for MemorySink {
    fn stored(&self) -> Checkpoints {
        self.stored.clone()
    }

    async fn begin(&mut self) -> Result<()> {
        self.transaction = Some(Vec::new());
        Ok(())
    }

    async fn commit(&mut self, checkpoints: &[Checkpoint]) -> Result<()> {
        let mut log = self.world.log.lock().expect("nobody panics with it");
        log.arrived.extend(self.transaction.iter_mut().flat_map(|transaction| transaction.drain(..)));
        if !self.world.has(Flaw::StoresNothing) {
            let pairs = checkpoints.iter().map(|checkpoint| (checkpoint.lane_key.clone(), checkpoint.position.clone()));
            log.stored.extend(pairs);
        }
        Ok(())
    }
}
