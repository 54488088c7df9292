//! The thread that is the member of the consumer group, or reads its share without one.
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
//! # When a partition is another
//! A topic that was deleted and created again, or a log that ends before what was read, begins a new lane: nothing of the old
//! one is committed any more (I3), and the new one's first offset is committed at once.
//!
//! # How everything is given back
//! What was handed out and is not settled is read again: the member seeks, and stays in the group with all it has. That is
//! for a sink that was lost and comes back; leaving the group and joining it again would cost seconds.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use gantry_sdk::{Error, ErrorKind, Result};
use rdkafka::{
    Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaError, types::RDKafkaErrorCode as Code,
};

use super::{
    OnTopicRecreated, begin,
    commits::{Commits, Lanes},
    events::{Consumer, News},
    failure,
    lane::PartitionLane,
    losses::{Losses, tell_recreated},
    open::Opened,
    place::{Place, list_of},
    plan::Plan,
    share::Share,
    shared::MemberState,
    watch::Watch,
};
use crate::error;

/// How long one look for events takes. Events are served as they come; it is also how long a stop may wait.
const TURN: Duration = Duration::from_millis(50);
/// The same while partitions are being taken away and somebody waits for them.
const SHORT_TURN: Duration = Duration::from_millis(2);
/// How long the last commit of a partition, or of the consumer, may take.
const LAST_COMMIT: Duration = Duration::from_secs(3);
/// How long after it has asked to join a member that ends waits for the group's answer.
const JOINING: Duration = Duration::from_secs(3);
/// How long seeking may take: librdkafka does it by itself, no broker is asked.
const SEEK: Duration = Duration::from_secs(2);
/// How long asking for a topic may take, and how often its id is looked for afterwards.
const LOOK_UP: Duration = Duration::from_secs(1);
const LOOKS: usize = 10;
/// With more partitions than this times what was counted at the start, more would be read ahead than memory is meant for.
const GROWTH: usize = 2;

pub(super) struct Member {
    plan: Arc<Plan>,
    shared: Arc<MemberState>,
    consumer: Arc<Consumer>,
    /// Partitions that there were at the start, for which memory is shared out.
    partitions: usize,
    /// The partitions that it has without a group.
    share: Option<Share>,
    lanes: Lanes,
    next_lane: u32,
    leaving: Option<Leaving>,
    commits: Commits,
    losses: Losses,
    watch: Watch,
    /// It has asked to join the group, or begun without one.
    since: Instant,
    has_joined: bool,
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
    pub(super) fn new(plan: Arc<Plan>, shared: Arc<MemberState>, opened: Opened) -> Self {
        let Opened { consumer, partitions, share } = opened;
        let commits = Commits::new(&plan);
        let has_joined = share.is_some();
        Self {
            plan,
            shared,
            consumer: Arc::new(consumer),
            partitions,
            share,
            lanes: Lanes::new(),
            next_lane: 0,
            leaving: None,
            commits,
            losses: Losses::default(),
            watch: Watch::new(),
            since: Instant::now(),
            has_joined,
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
        self.look_for_others()?;
        if let Some(share) = &mut self.share {
            share.look(&self.plan, &self.consumer)?;
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
        self.has_joined = true;
        self.learn_ids(places);
        let begins = match begin::find(&self.plan, &self.consumer, places) {
            Ok(begins) => begins,
            Err(error) => {
                // librdkafka waits for an answer, or the consumer could not end.
                let _ = self.consumer.incremental_assign(&TopicPartitionList::new());
                return Err(error);
            }
        };
        // By what the group has committed, or without one at the first record.
        let otherwise = if self.share.is_some() { Offset::Beginning } else { Offset::Invalid };
        let mut list = TopicPartitionList::with_capacity(places.len());
        let mut arrivals = Vec::with_capacity(places.len());
        for place in places {
            let begin = begins.get(place).copied();
            let offset = begin.map_or(otherwise, |begin| Offset::Offset(begin.offset));
            let added = list.add_partition_offset(&place.topic, place.partition, offset);
            added.map_err(|failed| self.broken("taking over partitions", &failed))?;
            self.end(place);
            arrivals.push(self.open(place, begin.filter(|begin| begin.remembered).map(|begin| begin.offset))?);
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

    /// A new lane for a partition that has none.
    fn open(&mut self, place: &Place, begin: Option<i64>) -> Result<Arc<PartitionLane>> {
        let id = self.consumer.context().topic_id(&place.topic);
        let lane = PartitionLane::open(self.next_lane, place, id, begin, &self.consumer, self.shared.wake());
        let lane = Arc::new(lane.ok_or_else(|| Error::internal("librdkafka has no queue for a partition"))?);
        self.next_lane += 1;
        self.lanes.insert(place.clone(), Arc::clone(&lane));
        Ok(lane)
    }

    /// Finds out which topics these are, where that is not known yet. A broker may be too old to tell.
    fn learn_ids(&self, places: &[Place]) {
        let topics: BTreeSet<&str> = places.iter().map(|place| place.topic.as_str()).collect();
        let is_unknown = |topic: &&&str| self.consumer.context().topic_id(topic).is_none();
        let unknown: Vec<_> = topics.iter().filter(is_unknown).collect();
        // librdkafka takes the id out of the answer.
        let answered = unknown.iter().all(|topic| self.consumer.fetch_metadata(Some(topic), LOOK_UP).is_ok());
        for _ in 0..LOOKS {
            if !answered || !unknown.iter().any(is_unknown) {
                return;
            }
            self.poll(SHORT_TURN);
        }
    }

    /// Looks whether partitions are others than those that were read.
    fn look_for_others(&mut self) -> Result<()> {
        for topic in self.consumer.context().take_recreated() {
            let id = self.consumer.context().topic_id(&topic);
            let is_old = |lane: &PartitionLane| *lane.topic == *topic && lane.topic_id != id && !lane.is_leaving();
            let old = self.lanes.iter().filter(|(_, lane)| is_old(lane));
            let old: Vec<_> = old.map(|(place, lane)| (place.clone(), Arc::clone(lane))).collect();
            for (place, lane) in old {
                let next = lane.expected().unwrap_or(0);
                if self.plan.options.on_topic_recreated == OnTopicRecreated::Fail {
                    let reason = failure::recreated(&self.plan, &place, next);
                    return Err(Error::new(ErrorKind::Refused, reason));
                }
                tell_recreated(&self.plan, &place, next, lane.unread());
                self.losses.forget(&place);
                self.start_over(&place, 0)?;
            }
        }
        for (place, offset) in self.losses.look(&self.plan, &self.consumer, &self.lanes) {
            self.start_over(&place, offset)?;
        }
        Ok(())
    }

    /// Ends the lane of a partition and begins another at that offset.
    fn start_over(&mut self, place: &Place, offset: i64) -> Result<()> {
        self.end(place);
        let mut list = TopicPartitionList::new();
        let added = list.add_partition_offset(&place.topic, place.partition, Offset::Offset(offset));
        // From here on librdkafka hands out nothing that it read before.
        let sought = added.and_then(|()| self.consumer.seek_partitions(list, SEEK));
        sought
            .and_then(|list| list.elements().iter().try_for_each(|element| element.error()))
            .map_err(|failed| self.broken("beginning a partition anew", &failed))?;
        let lane = self.open(place, Some(offset))?;
        self.commits.hurry();
        self.shared.arrive(vec![lane]);
        Ok(())
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
        self.wait_until_joined();
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

    /// A group gives its first answer with the member's name, and waits for that member to come again with it, for as long as a session
    /// lasts (KIP-394). Who ends before that answer does not know the name by which to leave: until then no other could join.
    fn wait_until_joined(&mut self) {
        while !self.has_joined && self.since.elapsed() < JOINING {
            let _ = self.consumer.poll(SHORT_TURN);
            if let Some(News::Assigned(_)) = self.consumer.context().next_news() {
                self.has_joined = true;
                let _ = self.consumer.incremental_assign(&TopicPartitionList::new());
            }
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
