//! Reads Kafka topics as a member of a consumer group.
//!
//! # What it promises
//! - A lane is one assignment of one partition; a position is an offset. Records of a lane come in the partition's order.
//! - An offset is committed to the group only when every record up to it is settled (I1), never backwards (I2), and only
//!   while the partition is ours (I3): on a timer, when the partition is taken away, and at the end.
//! - Without credit nothing is taken, and what librdkafka reads ahead is bounded by the task's bytes (I4). The member stays
//!   in the group all the same.
//! - A partition that is taken away is drained first, and a sink's failure costs the group nothing; see [`member`].
//! - librdkafka reconnects by itself and says so by health. What it cannot mend ends the instance.
//!
//! # Parts
//! [`options`] and [`check`] what a person may write · [`config`] what is asked of them · [`plan`] options made ready ·
//! [`open`] connecting · [`member`] the thread that is in the group · [`lane`] one partition while it is ours ·
//! [`convert`] messages to records · [`commits`] what the group is told · [`begin`] where to begin · [`lag`] how far
//! behind · [`losses`] what was gone before it was read · [`watch`] health · [`failure`] what errors mean · [`events`]
//! librdkafka's callbacks · [`findings`] what only its log says

mod begin;
mod check;
mod commits;
mod config;
mod convert;
mod events;
mod failure;
mod findings;
mod lag;
mod lane;
mod losses;
mod member;
mod open;
mod options;
mod place;
mod plan;
mod probe;
mod shared;
mod watch;

use std::{sync::Arc, thread, time::Duration};

use async_trait::async_trait;
use gantry_sdk::{Error, Lane, Limits, Polled, Position, Result, Source, health::Condition};
use tokio::sync::oneshot;

use convert::Converter;
use lane::PartitionLane;
use member::Member;
use plan::Plan;
use shared::MemberState;

pub use options::{IsolationLevel, OffsetReset, OnTopicRecreated, SourceOptions, Start, StartTime};

/// How long the end of the consumer may take before it is left to itself.
const PATIENCE: Duration = Duration::from_secs(6);

/// The source.
pub(crate) struct KafkaSource {
    plan: Arc<Plan>,
    running: Option<Running>,
}

struct Running {
    plan: Arc<Plan>,
    member: Thread,
    /// In the order of their numbers.
    lanes: Vec<Arc<PartitionLane>>,
    /// Whose turn it is: an index.
    turn: usize,
    converter: Converter,
    /// It came behind records that were handed out first.
    trouble: Option<Error>,
    /// It has returned an error: there is nothing more to expect of it.
    has_failed: bool,
}

/// The member's thread. Dropped, it ends soon.
struct Thread {
    shared: Arc<MemberState>,
    ended: oneshot::Receiver<()>,
}

// === impl KafkaSource ===

impl KafkaSource {
    fn new(plan: Plan) -> Self {
        Self { plan: Arc::new(plan), running: None }
    }

    fn running(&mut self) -> Result<&mut Running> {
        self.running.as_mut().ok_or_else(|| Error::internal("the Kafka source is not open"))
    }
}

#[async_trait]
impl Source for KafkaSource {
    async fn open(&mut self) -> Result<()> {
        let (member, opened) = Thread::start(&self.plan)?;
        opened.await.unwrap_or_else(|_| Err(Error::internal("the thread of the consumer ended early")))?;
        self.plan.context.health.set(Condition::Up);
        self.running = Some(Running {
            plan: Arc::clone(&self.plan),
            member,
            lanes: Vec::new(),
            turn: 0,
            converter: Converter::new(Arc::clone(&self.plan)),
            trouble: None,
            has_failed: false,
        });
        Ok(())
    }

    async fn poll(&mut self, limits: Limits) -> Result<Polled> {
        let running = self.running()?;
        let wake = Arc::clone(running.member.shared.wake());
        loop {
            // Cancel-safe: records leave librdkafka only in the very call that returns them.
            let woken = wake.notified();
            if let Some(polled) = running.take(limits)? {
                return Ok(polled);
            }
            woken.await;
        }
    }

    async fn commit(&mut self, lane: Lane, upto: &Position) -> Result<()> {
        let running = self.running()?;
        running.admit();
        let offset = upto.as_u64().and_then(|offset| i64::try_from(offset).ok());
        let offset = offset.ok_or_else(|| Error::internal("a position that is not of this source"))?;
        // One that is not there has ended: what is settled of it is for its next owner to repeat (I3).
        if let Ok(index) = running.lanes.binary_search_by_key(&lane.0, |own| own.id.0) {
            running.lanes[index].settle(offset);
        }
        Ok(())
    }

    async fn watch_connection(&mut self) -> Error {
        let Ok(running) = self.running() else { return std::future::pending().await };
        let shared = Arc::clone(&running.member.shared);
        loop {
            let woken = shared.wake().notified();
            if let Some(error) = running.failure() {
                return error;
            }
            running.admit();
            woken.await;
        }
    }

    async fn backlog(&mut self) -> Result<Option<u64>> {
        Ok(self.running()?.member.shared.backlog())
    }

    async fn give_back(&mut self) -> Result<bool> {
        let running = self.running()?;
        running.admit();
        let is_sound = !running.has_failed && running.trouble.is_none();
        Ok(is_sound && running.member.shared.rewind().await.unwrap_or(false))
    }

    async fn close(&mut self) -> Result<()> {
        match self.running.take() {
            Some(running) => running.close().await,
            None => Ok(()),
        }
    }
}

// === impl Running ===

impl Running {
    /// What there is to tell or to hand out.
    fn take(&mut self, limits: Limits) -> Result<Option<Polled>> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        self.admit();
        let count = self.lanes.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            let lane = &self.lanes[index];
            if let Some(taken) = lane.take(limits, &mut self.converter) {
                // The next one comes next, so that a busy one starves no other.
                self.turn = index + 1;
                let error = taken.error.map(|failed| failure::of_lane(&failed, lane, &self.plan));
                if taken.records.is_empty() {
                    self.has_failed |= error.is_some();
                    return error.map_or(Ok(None), Err);
                }
                self.trouble = error;
                let last = Position::from(taken.last.unsigned_abs());
                return Ok(Some(Polled::Batch { lane: lane.id, records: taken.records, last }));
            }
        }
        // Only now: what has ended gives nothing any more.
        if let Some(index) = self.lanes.iter().position(|lane| lane.has_ended()) {
            return Ok(Some(Polled::LaneEnded(self.lanes.remove(index).id)));
        }
        Ok(None)
    }

    /// Why it has ended.
    fn failure(&mut self) -> Option<Error> {
        let error = self.trouble.take().or_else(|| self.member.shared.take_failure());
        self.has_failed |= error.is_some();
        error
    }

    /// Takes over new lanes, and forgets those that ended before anybody heard of them.
    fn admit(&mut self) {
        let arrivals = self.member.shared.take_arrivals();
        if !arrivals.is_empty() {
            self.lanes.extend(arrivals);
            self.lanes.retain(|lane| lane.has_given() || !lane.has_ended());
        }
    }

    async fn close(self) -> Result<()> {
        let Self { member, lanes, .. } = self;
        member.shared.stop();
        drop(lanes);
        member.ended().await;
        Ok(())
    }
}

// === impl Thread ===

impl Thread {
    /// Starts it; the receiver says when the consumer is in order.
    fn start(plan: &Arc<Plan>) -> Result<(Self, oneshot::Receiver<Result<()>>)> {
        let shared = Arc::new(MemberState::new());
        let (opened, when_opened) = oneshot::channel();
        let (ended, when_ended) = oneshot::channel();
        // Linux shows 15 bytes of it.
        let name = format!("kafka {}", plan.context.bridge).chars().take(15).collect();
        let (plan, own) = (Arc::clone(plan), Arc::clone(&shared));
        let spawned = thread::Builder::new().name(name).spawn(move || {
            // Dropped when everything else is: then the consumer has ended.
            let _ended: oneshot::Sender<()> = ended;
            match open::open(&plan, &own) {
                Ok((consumer, partitions)) => {
                    let member = Member::new(plan, own, consumer, partitions);
                    if opened.send(Ok(())).is_ok() {
                        member.serve();
                    }
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            }
        });
        spawned.map_err(|error| Error::internal(format!("starting the thread of the consumer: {error}")))?;
        Ok((Self { shared, ended: when_ended }, when_opened))
    }

    async fn ended(mut self) {
        if tokio::time::timeout(PATIENCE, &mut self.ended).await.is_err() {
            tracing::warn!("librdkafka takes more than {} s to end; it is left to itself", PATIENCE.as_secs());
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.shared.stop();
    }
}
