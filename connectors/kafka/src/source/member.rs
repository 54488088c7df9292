//! The thread that is the member of the consumer group.
//!
//! It serves librdkafka's events all the time, whatever the data path does; so the member stays in the group for hours
//! without credit, and notices at once when partitions come and go. It commits, keeps health and lag true, and ends the
//! consumer. It never touches a record.
//!
//! # How a partition is taken away
//! librdkafka's callback only takes it down. From then on nothing more of the partition is handed out. When all that was
//! handed out is settled, or the time is over, the lane ends, what is settled is committed, and only then librdkafka is
//! told that the partition is given up: so its next owner begins behind what is settled. A partition that is lost already
//! ends at once and commits nothing (I3).
//!
//! # How everything is given back
//! What was handed out and is not settled is read again: the member seeks, and stays in the group with all it has. That is
//! for a sink that was lost and comes back; leaving the group and joining it again would cost seconds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gantry_sdk::{Error, Result};
use rdkafka::{
    Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaError, types::RDKafkaErrorCode as Code,
};

use super::{
    Start, begin,
    commits::{Commits, Lanes},
    events::{Consumer, News, Place, list_of},
    failure,
    lane::Lane,
    plan::Plan,
    shared::Shared,
    watch::Watch,
};
use crate::error;

/// How long one look for events takes. Events are served as they come; it is also how long a stop may wait.
const TURN: Duration = Duration::from_millis(50);
/// The same while partitions are being taken away and somebody waits for them.
const SHORT_TURN: Duration = Duration::from_millis(2);
/// How long the last commit of a partition, or of the consumer, may take.
const LAST_COMMIT: Duration = Duration::from_secs(3);
/// How long seeking may take: librdkafka does it by itself, no broker is asked.
const SEEK: Duration = Duration::from_secs(2);
/// With more partitions than this times what was counted at the start, more would be read ahead than memory is meant for.
const GROWTH: usize = 2;

pub(super) struct Member {
    plan: Arc<Plan>,
    shared: Arc<Shared>,
    consumer: Arc<Consumer>,
    /// Partitions that there were at the start, for which memory is shared out.
    partitions: usize,
    lanes: Lanes,
    next_lane: u32,
    leaving: Option<Leaving>,
    commits: Commits,
    watch: Watch,
}

/// Partitions that are being taken away.
struct Leaving {
    places: Vec<Place>,
    until: Instant,
    /// Nothing of them is in flight any more, or it is not waited for: only the commit is.
    committing: bool,
    lost: bool,
}

impl Member {
    pub(super) fn new(plan: Arc<Plan>, shared: Arc<Shared>, consumer: Consumer, partitions: usize) -> Self {
        let commits = Commits::new(plan.context.bridge.clone(), plan.options.commit_interval.0);
        Self {
            plan,
            shared,
            consumer: Arc::new(consumer),
            partitions,
            lanes: Lanes::new(),
            next_lane: 0,
            leaving: None,
            commits,
            watch: Watch::new(),
        }
    }

    /// Serves until somebody stops it.
    pub(super) fn serve(mut self) {
        while !self.shared.is_stopping() {
            self.poll(if self.leaving.is_some() { SHORT_TURN } else { TURN });
            if let Err(error) = self.turn() {
                self.shared.fail(error);
            }
        }
        self.close();
    }

    fn turn(&mut self) -> Result<()> {
        if let Some(standings) = self.consumer.context().take_standings() {
            self.shared.say_lag(&self.plan, &self.lanes, &standings);
        }
        self.rebalance()?;
        if let Some(rewound) = self.shared.wants_rewind() {
            // Whoever asked may be gone.
            let _ = rewound.send(self.rewind());
        }
        self.commits.turn(&self.consumer, &self.lanes);
        self.watch.look(&self.consumer, &self.plan)
    }

    fn poll(&self, time: Duration) {
        match self.consumer.poll(time) {
            None => {}
            Some(Err(failed)) => {
                if let Some(error) = failure::of_member(&failed, &self.consumer, &self.plan) {
                    self.shared.fail(error);
                }
            }
            // It would be lost here. A new instance reads it again.
            Some(Ok(_)) => self.shared.fail(Error::internal("a message came past the queue of its partition")),
        }
    }

    /// Deals with partitions that come and go, one piece of news after the other.
    fn rebalance(&mut self) -> Result<()> {
        loop {
            if let Some(leaving) = self.leaving.take() {
                self.leaving = self.let_go(leaving)?;
                if self.leaving.is_some() {
                    return Ok(());
                }
            }
            match self.consumer.context().next_news() {
                None => return Ok(()),
                Some(News::Assigned(places)) => self.assign(&places)?,
                Some(News::Revoked { places, lost }) => self.leaving = Some(self.leave(places, lost)),
            }
        }
    }

    fn assign(&mut self, places: &[Place]) -> Result<()> {
        let begins = match begin::find(&self.plan, &self.consumer, places) {
            Ok(begins) => begins,
            Err(error) => {
                // librdkafka waits for an answer, or the consumer could not end.
                let _ = self.consumer.incremental_assign(&TopicPartitionList::new());
                return Err(error);
            }
        };
        let mut list = TopicPartitionList::with_capacity(places.len());
        let mut arrivals = Vec::with_capacity(places.len());
        for place in places {
            let begin = begins.get(place).copied();
            let offset = begin.map_or(Offset::Invalid, Offset::Offset);
            let added = list.add_partition_offset(&place.topic, place.partition, offset);
            added.map_err(|failed| self.broken("taking over partitions", &failed))?;
            self.end(place);
            // A given offset is the same at every start, and may lie beyond the end: the group must not hear of it.
            let remembered = begin.filter(|_| !matches!(self.plan.start(), Some(Start::Offset(_))));
            let lane = Lane::open(self.next_lane, place, remembered, &self.consumer, self.shared.wake());
            let lane = Arc::new(lane.ok_or_else(|| Error::internal("librdkafka has no queue for a partition"))?);
            self.next_lane += 1;
            self.lanes.insert(place.clone(), Arc::clone(&lane));
            arrivals.push(lane);
        }
        let assigned = self.consumer.incremental_assign(&list);
        assigned.map_err(|failed| self.broken("taking over partitions", &failed))?;
        if !begins.is_empty() {
            self.commits.hurry();
        }
        tracing::debug!(bridge = &*self.plan.context.bridge, "partitions assigned: {}", words(places));
        self.shared.arrive(arrivals);
        self.check_growth()
    }

    /// More partitions than memory was shared out for: a new instance counts again (I4).
    fn check_growth(&self) -> Result<()> {
        if self.lanes.len() > self.partitions.max(1) * GROWTH {
            return Err(Error::disconnected(format!(
                "there are {} partitions now, of {} at the start: starting again to share memory among them",
                self.lanes.len(),
                self.partitions
            )));
        }
        Ok(())
    }

    fn leave(&self, places: Vec<Place>, lost: bool) -> Leaving {
        for lane in places.iter().filter_map(|place| self.lanes.get(place)) {
            lane.leave();
        }
        tracing::debug!(bridge = &*self.plan.context.bridge, lost, "partitions taken away: {}", words(&places));
        Leaving { places, until: Instant::now() + self.plan.revoke_timeout(), committing: false, lost }
    }

    /// One look at partitions that are being taken away; gives them back while they cannot be let go.
    fn let_go(&mut self, mut leaving: Leaving) -> Result<Option<Leaving>> {
        let lost = leaving.lost || self.consumer.assignment_lost();
        if !lost && !leaving.committing {
            let mut lanes = leaving.places.iter().filter_map(|place| self.lanes.get(place));
            if Instant::now() < leaving.until && !lanes.all(|lane| lane.is_settled()) {
                return Ok(Some(leaving));
            }
        }
        // First nobody settles anything any more, then the last word goes to the group.
        if !leaving.committing {
            leaving.places.iter().filter_map(|place| self.lanes.get(place)).for_each(|lane| lane.end());
            self.shared.wake().notify_one();
            leaving.committing = true;
            leaving.until = Instant::now() + LAST_COMMIT;
        }
        let told = lost || self.commits.is_done(&self.consumer, &self.lanes).unwrap_or(false);
        if !told && Instant::now() < leaving.until {
            return Ok(Some(leaving));
        }
        for place in &leaving.places {
            self.lanes.remove(place);
        }
        let unassigned = self.consumer.incremental_unassign(&list_of(&leaving.places));
        unassigned.map_err(|failed| self.broken("giving up partitions", &failed))?;
        Ok(None)
    }

    /// Everything that is not settled is read again. `false`: it cannot be, at least not now.
    fn rewind(&mut self) -> bool {
        let mut list = TopicPartitionList::new();
        for (place, lane) in &self.lanes {
            if let Some(offset) = lane.unsettled()
                && list.add_partition_offset(&place.topic, place.partition, Offset::Offset(offset)).is_err()
            {
                return false;
            }
        }
        if list.count() > 0 {
            // From this call on librdkafka hands out nothing that it read before.
            let sought = self.consumer.seek_partitions(list, SEEK);
            let refused = sought.and_then(|list| list.elements().iter().try_for_each(|element| element.error()));
            if let Err(failed) = refused {
                let bridge = &*self.plan.context.bridge;
                tracing::debug!(bridge, "reading again what was given back: {}", error::plain(&failed));
                return false;
            }
        }
        self.lanes.values().for_each(|lane| lane.rewind());
        self.commits.hurry();
        true
    }

    fn end(&mut self, place: &Place) {
        if let Some(lane) = self.lanes.remove(place) {
            lane.end();
        }
    }

    /// Commits what is settled and ends the consumer. What is not settled stays with the group.
    fn close(&mut self) {
        let until = Instant::now() + LAST_COMMIT;
        // A commit that fails now fails again: the partitions are somebody else's, or nobody is there.
        while let Ok(false) = self.commits.is_done(&self.consumer, &self.lanes)
            && Instant::now() < until
        {
            let _ = self.consumer.poll(SHORT_TURN);
        }
        self.plan.context.lag.set(Vec::new());
        // librdkafka ends only when it got an answer to everything.
        self.consumer.context().close();
        if let Some(leaving) = self.leaving.take() {
            let _ = self.consumer.incremental_unassign(&list_of(&leaving.places));
        }
        while let Some(news) = self.consumer.context().next_news() {
            let _ = match news {
                News::Assigned(_) => self.consumer.incremental_assign(&TopicPartitionList::new()),
                News::Revoked { places, .. } => self.consumer.incremental_unassign(&list_of(&places)),
            };
        }
    }

    fn broken(&self, doing: &str, failed: &KafkaError) -> Error {
        match failed.rdkafka_error_code() {
            Some(Code::Fatal) => Error::disconnected(format!("{doing}: {}", self.consumer.context().reason())),
            _ => Error::disconnected(format!("{doing}: {}", error::plain(failed))),
        }
    }
}

impl Drop for Member {
    /// Each lane holds the consumer: it has to end here, on a thread that may wait.
    fn drop(&mut self) {
        for lane in std::mem::take(&mut self.lanes).into_values() {
            lane.end();
        }
        self.consumer.context().close();
    }
}

fn words(places: &[Place]) -> String {
    let words: Vec<_> = places.iter().map(|place| format!("{}/{}", place.topic, place.partition)).collect();
    words.join(", ")
}
