//! The order of calls on a sink.

use async_trait::async_trait;

use crate::{Batch, Checkpoint, Checkpoints, Result, Sink, Transactions};

/// A sink that panics on a call out of order.
pub struct OrderedSink {
    inner: Box<dyn Sink>,
    stored: Checkpoints,
    stage: Stage,
    transaction: Transaction,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It may be given a batch.
    Ready,
    /// It was given one: it is asked for room first.
    Busy,
    /// It has returned an error: only the end comes.
    Failed,
}

/// Where the transactions of a sink that has some are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    /// None is open.
    None,
    Open,
    /// A commit was begun, and nobody knows how it went.
    InDoubt,
}

impl OrderedSink {
    /// Around that one, which was just opened.
    pub fn new(mut inner: Box<dyn Sink>) -> Self {
        let stored = inner.transactions().map(|transactions| transactions.stored()).unwrap_or_default();
        Self { inner, stored, stage: Stage::Ready, transaction: Transaction::None }
    }

    #[track_caller]
    fn has_not_failed(&self, call: &str) {
        assert_ne!(self.stage, Stage::Failed, "the order of calls: {call} after the sink has failed");
        assert_ne!(self.transaction, Transaction::InDoubt, "the order of calls: {call} while a commit is in doubt");
    }

    fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.stage = Stage::Failed;
        }
        result
    }

    fn inner_transactions(&mut self) -> &mut dyn Transactions {
        self.inner.transactions().expect("it is asked for by a sink that has transactions only")
    }
}

#[async_trait]
impl Sink for OrderedSink {
    fn start(&mut self, batch: Batch) {
        self.has_not_failed("start");
        assert_eq!(self.stage, Stage::Ready, "the order of calls: start before the sink is ready");
        assert!(!batch.records.is_empty(), "a batch without a record");
        let needs_transaction = self.inner.transactions().is_some();
        let is_open = self.transaction == Transaction::Open;
        assert!(is_open || !needs_transaction, "the order of calls: start without a transaction");
        self.stage = Stage::Busy;
        self.inner.start(batch);
    }

    async fn ready(&mut self) -> Result<()> {
        self.has_not_failed("ready");
        let ready = self.inner.ready().await;
        if ready.is_ok() {
            self.stage = Stage::Ready;
        }
        self.note(ready)
    }

    async fn flush(&mut self) -> Result<()> {
        self.has_not_failed("flush");
        let flushed = self.inner.flush().await;
        self.note(flushed)
    }

    async fn close(self: Box<Self>) -> Result<()> {
        self.inner.close().await
    }

    fn transactions(&mut self) -> Option<&mut dyn Transactions> {
        self.inner.transactions()?;
        Some(self)
    }
}

#[async_trait]
impl Transactions for OrderedSink {
    fn stored(&self) -> Checkpoints {
        self.stored.clone()
    }

    async fn begin(&mut self) -> Result<()> {
        self.has_not_failed("begin");
        assert_eq!(self.transaction, Transaction::None, "the order of calls: begin within a transaction");
        let begun = self.inner_transactions().begin().await;
        if begun.is_ok() {
            self.transaction = Transaction::Open;
        }
        self.note(begun)
    }

    async fn commit(&mut self, checkpoints: &[Checkpoint]) -> Result<()> {
        self.has_not_failed("commit");
        assert_eq!(self.transaction, Transaction::Open, "the order of calls: commit without a transaction");
        self.transaction = Transaction::InDoubt;
        let committed = self.inner_transactions().commit(checkpoints).await;
        if committed.is_ok() {
            self.transaction = Transaction::None;
        }
        self.note(committed)
    }
}
