//! The order of calls on a source.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;

use crate::{Closed, Error, Lane, Limits, Polled, Position, Record, Result, Source};

/// A source that panics on a call out of order, and on an answer that the source inside may not give.
pub struct OrderedSource {
    inner: Box<dyn Source>,
    stage: Stage,
    /// Positions that were given and not committed, oldest first.
    given: HashMap<Lane, Vec<Position>>,
    ended: HashSet<Lane>,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is polled.
    Flowing,
    /// It hands out what is here.
    Suspending,
    /// It has handed out everything.
    Suspended,
    /// It is exhausted: only outcomes come.
    Ended,
    /// It has returned an error: late outcomes come, and the end.
    Failed,
}

impl OrderedSource {
    /// Around that one, which was just opened.
    pub fn new(inner: Box<dyn Source>) -> Self {
        Self { inner, stage: Stage::Flowing, given: HashMap::new(), ended: HashSet::new() }
    }

    #[track_caller]
    fn only(&self, call: &str, stages: &[Stage]) {
        assert!(stages.contains(&self.stage), "the order of calls: {call} while the source is {:?}", self.stage);
    }

    fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.stage = Stage::Failed;
        }
        result
    }

    fn batch(&mut self, lane: Lane, records: &[Record], last: &Position, limits: Limits) {
        assert!(!records.is_empty(), "a batch of {lane:?} holds nothing");
        assert!(records.len() <= limits.records, "{} records in a batch, allowed are {limits:?}", records.len());
        let but_last = &records[..records.len() - 1];
        let bytes: usize = but_last.iter().map(Record::size).sum();
        assert!(but_last.is_empty() || bytes < limits.bytes, "{bytes} bytes before the last, allowed are {limits:?}");
        assert!(!self.ended.contains(&lane), "{lane:?} has ended and gives records");
        let given = self.given.entry(lane).or_default();
        assert!(!given.contains(last), "{lane:?} gives {last:?} twice");
        if let (Some(before), Some(now)) = (given.last().and_then(Position::as_u64), last.as_u64()) {
            assert!(before < now, "positions of {lane:?} go back from {before} to {now}");
        }
        given.push(last.clone());
    }
}

#[async_trait]
impl Source for OrderedSource {
    async fn poll(&mut self, limits: Limits) -> Result<Polled> {
        self.only("poll", &[Stage::Flowing, Stage::Suspending]);
        assert!(limits.records > 0 && limits.bytes > 0, "I4: polled without credit");
        let polled = self.inner.poll(limits).await;
        match &polled {
            Ok(Polled::Batch { lane, records, last, .. }) => self.batch(*lane, records, last, limits),
            Ok(Polled::LaneEnded(lane)) => {
                // It may have given nothing: a partition that is taken away before its first record.
                assert!(self.ended.insert(*lane), "{lane:?} ends twice");
            }
            Ok(Polled::End) => self.stage = Stage::Ended,
            Ok(Polled::Suspended) => {
                assert_eq!(self.stage, Stage::Suspending, "it says that it is suspended and nobody asked");
                self.stage = Stage::Suspended;
            }
            Err(_) => self.stage = Stage::Failed,
        }
        polled
    }

    fn lane_key(&self, lane: Lane) -> Arc<str> {
        assert!(self.given.contains_key(&lane), "the order of calls: the key of {lane:?}, which never gave a record");
        self.inner.lane_key(lane)
    }

    fn commit(&mut self, lane: Lane, upto: &Position) {
        let given =
            self.given.get_mut(&lane).unwrap_or_else(|| panic!("a commit on {lane:?}, which never gave a record"));
        let place = given.iter().position(|position| position == upto);
        let place = place.unwrap_or_else(|| {
            panic!(
                "I2, I3: a commit of {upto:?} on {lane:?}, which it did not give, or which is committed or given back"
            )
        });
        given.drain(..=place);
        self.inner.commit(lane, upto);
    }

    async fn sync(&mut self) -> Result<()> {
        let synced = self.inner.sync().await;
        self.note(synced)
    }

    fn hold_period(&self) -> Option<Duration> {
        self.inner.hold_period()
    }

    async fn hold(&mut self) -> Result<()> {
        self.only("hold", &[Stage::Flowing, Stage::Suspending, Stage::Suspended, Stage::Ended]);
        assert!(self.inner.hold_period().is_some(), "the order of calls: hold on a source that names no period");
        let held = self.inner.hold().await;
        self.note(held)
    }

    async fn close(self: Box<Self>) -> Result<Closed> {
        self.inner.close().await
    }

    async fn suspend(&mut self) -> Result<bool> {
        self.only("suspend", &[Stage::Flowing]);
        let suspended = self.inner.suspend().await;
        if let Ok(has_more) = suspended {
            self.stage = if has_more { Stage::Suspending } else { Stage::Suspended };
        }
        self.note(suspended)
    }

    async fn resume(&mut self) -> Result<()> {
        self.only("resume", &[Stage::Suspending, Stage::Suspended]);
        let resumed = self.inner.resume().await;
        if resumed.is_ok() {
            self.stage = Stage::Flowing;
        }
        self.note(resumed)
    }

    async fn give_back(&mut self) -> Result<bool> {
        self.only("give_back", &[Stage::Flowing, Stage::Ended, Stage::Failed]);
        let has_failed = self.stage == Stage::Failed;
        // Whatever comes of it: nothing of before is committed any more.
        self.given.values_mut().for_each(Vec::clear);
        let given_back = self.inner.give_back().await;
        if matches!(given_back, Ok(true)) {
            assert!(!has_failed, "a source that has failed is as good as new after give_back");
            self.stage = Stage::Flowing;
        } else {
            self.stage = Stage::Failed;
        }
        given_back
    }

    async fn watch_connection(&mut self) -> Error {
        self.only("watch_connection", &[Stage::Flowing, Stage::Suspending, Stage::Suspended, Stage::Ended]);
        let error = self.inner.watch_connection().await;
        self.stage = Stage::Failed;
        error
    }

    async fn backlog(&mut self) -> Result<Option<u64>> {
        self.only("backlog", &[Stage::Flowing, Stage::Suspending, Stage::Suspended]);
        let backlog = self.inner.backlog().await;
        self.note(backlog)
    }

    async fn reject(&mut self, lane: Lane, last: &Position, back: u32) -> Result<()> {
        let is_out = self.given.get(&lane).is_some_and(|given| given.contains(last));
        assert!(is_out, "the order of calls: a reject behind {last:?} on {lane:?}, which is not out");
        let rejected = self.inner.reject(lane, last, back).await;
        self.note(rejected)
    }
}
