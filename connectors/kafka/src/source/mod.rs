//! Reads Kafka topics as a member of a consumer group, or for exactly once as one of a bridge's tasks.
//!
//! # What it promises
//! - A lane is one assignment of one partition; a position is an offset and the topic's id. Records of a lane come in the
//!   partition's order.
//! - An offset is committed to the group only when every record up to it is settled (I1), never backwards (I2), and only
//!   while the partition is ours (I3): on a timer, when the partition is taken away, and at the end.
//! - Without credit nothing is taken, and what librdkafka reads ahead is bounded by the task's bytes (I4). The member stays
//!   in the group all the same.
//! - A partition that is taken away is drained first, and a sink's failure costs the group nothing; see [`member`].
//! - For exactly once it is in no group and tells none anything: it has its own share of the partitions and goes on behind
//!   what the sink has stored, and where that is nothing yet, where the group was before; see [`share`] and [`begin`].
//! - librdkafka reconnects by itself and says so by health. What it cannot mend ends the instance.
//!
//! # Parts
//! [`options`] and [`check`] what a person may write · [`config`] what is asked of them · [`plan`] options made ready ·
//! [`open`] connecting · [`member`] the thread that is in the group · [`lane`] one partition while it is ours ·
//! [`share`] whose a partition is without a group · [`pattern`] topics by an expression · [`position`] what is stored ·
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
mod partitions;
mod pattern;
mod place;
mod plan;
mod position;
mod probe;
mod share;
mod shared;
mod watch;

use std::{sync::Arc, thread, time::Duration};

use async_trait::async_trait;
use gantry_sdk::{Closed, Error, Lane, Limits, Polled, Position, Result, Source, health::Condition};
use tokio::sync::oneshot;

use convert::Converter;
use lane::PartitionLane;
use member::Member;
use plan::Plan;
use shared::MemberState;

pub use options::{IsolationLevel, OffsetReset, OnTopicRecreated, SourceOptions, Start, StartTime};

/// How long the end of the consumer may take before it is left to itself.
const PATIENCE: Duration = Duration::from_secs(6);

/// The source: a member of the group.
pub(crate) struct KafkaSource {
    plan: Arc<Plan>,
    member: Thread,
    /// In the order of their numbers.
    lanes: Vec<Arc<PartitionLane>>,
    /// Whose turn it is: an index.
    turn: usize,
    converter: Converter,
    /// It came behind records that were handed out first.
    trouble: Option<Error>,
    /// What was wrong with a commit; [`Source::sync`] says it.
    misplaced: Option<Error>,
    /// It has returned an error: there is nothing more to expect of it.
    has_failed: bool,
}

/// The member's thread. Dropped, it ends soon.
struct Thread {
    shared: Arc<MemberState>,
    ended: oneshot::Receiver<()>,
}

#[async_trait]
impl Source for KafkaSource {
    async fn poll(&mut self, limits: Limits) -> Result<Polled> {
        let wake = Arc::clone(self.member.shared.wake());
        loop {
            // Cancel-safe: records leave librdkafka only in the very call that returns them.
            let woken = wake.notified();
            if let Some(polled) = self.take(limits)? {
                return Ok(polled);
            }
            woken.await;
        }
    }

    fn lane_key(&self, lane: Lane) -> Arc<str> {
        self.lane(lane).map_or_else(Arc::default, |own| place::lane_key(&own.topic, own.partition))
    }

    /// The member's thread tells the group, in its own time.
    fn commit(&mut self, lane: Lane, upto: &Position) {
        let Some((offset, _)) = position::read(upto) else {
            self.misplaced = Some(Error::internal("a position that is not of this source"));
            return;
        };
        // One that is not there has ended: what is settled of it is for its next owner to repeat (I3).
        if let Some(own) = self.lane(lane) {
            own.settle(offset);
        }
    }

    async fn sync(&mut self) -> Result<()> {
        self.misplaced.take().map_or(Ok(()), Err)
    }

    async fn watch_connection(&mut self) -> Error {
        let shared = Arc::clone(&self.member.shared);
        loop {
            let woken = shared.wake().notified();
            if let Some(error) = self.failure() {
                return error;
            }
            self.admit();
            woken.await;
        }
    }

    async fn backlog(&mut self) -> Result<Option<u64>> {
        Ok(self.member.shared.backlog())
    }

    async fn give_back(&mut self) -> Result<bool> {
        self.admit();
        let is_sound = !self.has_failed && self.trouble.is_none();
        Ok(is_sound && self.member.shared.rewind().await.unwrap_or(false))
    }

    async fn close(self: Box<Self>) -> Result<Closed> {
        let Self { member, lanes, .. } = *self;
        member.shared.stop();
        drop(lanes);
        member.ended().await;
        Ok(Closed::default())
    }
}

// === impl KafkaSource ===

impl KafkaSource {
    /// Joins the group, or takes its share. Dropped early, the member's thread ends by itself and leaves the group.
    async fn open(plan: Plan) -> Result<Box<dyn Source>> {
        let plan = Arc::new(plan);
        let (member, opened) = Thread::start(&plan)?;
        let opened = opened.await.unwrap_or_else(|_| Err(Error::internal("the thread of the consumer ended early")));
        if let Err(error) = opened {
            member.ended().await;
            return Err(error);
        }
        plan.context.health.set(Condition::Up);
        Ok(Box::new(Self {
            member,
            lanes: Vec::new(),
            turn: 0,
            converter: Converter::new(Arc::clone(&plan)),
            trouble: None,
            misplaced: None,
            has_failed: false,
            plan,
        }))
    }

    /// The lane of that number, if it gives records.
    fn lane(&self, lane: Lane) -> Option<&Arc<PartitionLane>> {
        let index = self.lanes.binary_search_by_key(&lane.0, |own| own.id.0).ok()?;
        self.lanes.get(index)
    }

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
                let id = lane.topic_id.as_deref().filter(|_| self.plan.context.exactly_once);
                let last = position::position(taken.last, id);
                return Ok(Some(Polled::Batch { lane: lane.id, records: taken.records, last, answers: None }));
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
                Ok(opened_consumer) => {
                    let member = Member::new(plan, own, opened_consumer);
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
