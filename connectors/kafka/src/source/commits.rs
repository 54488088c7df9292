//! Which offsets the group is told, and when; for exactly once there is none to tell. At most one request is on its way, so that a retry of an older one cannot
//! overtake a newer (I2).
//!
//! With each offset goes the id of its topic, so that it is not taken for one of another topic of the same name.
//!
//! A commit waits for its answer on a thread of its own: without waiting, the client library tells nobody what became of it.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, TryRecvError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    error::KafkaResult,
    topic_partition_list::TopicPartitionListElem,
};

use super::{events::Consumer, lane::PartitionLane, place::Place, plan::Plan};
use crate::error;

/// Lanes by their place.
pub(super) type Lanes = BTreeMap<Place, Arc<PartitionLane>>;

/// What the text that Kafka keeps with an offset begins with.
const TOPIC_ID: &str = "gantry topic-id=";

/// The topic that an offset was committed for, if it says so.
pub(super) fn committed_for(element: &TopicPartitionListElem<'_>) -> Option<String> {
    // Others may have left there what is not text, and then this panics; it only reads.
    let text = catch_unwind(AssertUnwindSafe(|| element.metadata().to_owned())).ok()?;
    text.strip_prefix(TOPIC_ID).map(str::to_owned)
}

pub(super) struct Commits {
    bridge: Arc<str>,
    /// There is a group to tell.
    in_group: bool,
    interval: Duration,
    due: Instant,
    sent: Option<Sent>,
    /// What was wrong with the last one, so that it is told once.
    complaint: Option<String>,
}

struct Sent {
    offsets: Vec<(Arc<PartitionLane>, i64)>,
    answer: Receiver<KafkaResult<()>>,
}

impl Commits {
    pub(super) fn new(plan: &Plan) -> Self {
        let interval = plan.options.commit_interval.0;
        Self {
            bridge: plan.context.bridge.clone(),
            in_group: !plan.context.exactly_once,
            interval,
            due: Instant::now() + interval,
            sent: None,
            complaint: None,
        }
    }

    /// Commits at the next turn.
    pub(super) fn hurry(&mut self) {
        self.due = Instant::now();
    }

    /// Commits what is settled, if it is time to.
    pub(super) fn turn(&mut self, consumer: &Arc<Consumer>, lanes: &Lanes) {
        self.take_answer();
        if self.due <= Instant::now() && self.sent.is_none() {
            self.due = Instant::now() + self.interval;
            self.send(consumer, lanes);
        }
    }

    /// Whether the group knows everything. Sends what it does not know. The error is that a commit failed.
    pub(super) fn is_done(&mut self, consumer: &Arc<Consumer>, lanes: &Lanes) -> Result<bool, ()> {
        let fine = self.take_answer();
        if self.sent.is_none() {
            self.send(consumer, lanes);
        }
        if fine { Ok(self.sent.is_none()) } else { Err(()) }
    }

    fn send(&mut self, consumer: &Arc<Consumer>, lanes: &Lanes) {
        if !self.in_group {
            return;
        }
        let wanted = lanes.iter().filter_map(|(place, lane)| Some((place, lane, lane.uncommitted()?)));
        let (mut list, mut offsets) = (TopicPartitionList::new(), Vec::new());
        for (place, lane, offset) in wanted {
            let mut element = list.add_partition(&place.topic, place.partition);
            if let Some(id) = &lane.topic_id {
                element.set_metadata(format!("{TOPIC_ID}{id}"));
            }
            if element.set_offset(Offset::Offset(offset)).is_ok() {
                offsets.push((Arc::clone(lane), offset));
            }
        }
        if offsets.is_empty() {
            return;
        }
        let (answer, when_answered) = sync_channel(1);
        let consumer = Arc::clone(consumer);
        let spawned = thread::Builder::new().name("kafka commit".to_owned()).spawn(move || {
            let _ = answer.send(consumer.commit(&list, CommitMode::Sync));
        });
        match spawned {
            Ok(_) => self.sent = Some(Sent { offsets, answer: when_answered }),
            Err(failed) => self.complain(format!("starting a thread: {failed}")),
        }
    }

    /// `false`: a commit failed.
    fn take_answer(&mut self) -> bool {
        let Some(sent) = &self.sent else { return true };
        let answer = match sent.answer.try_recv() {
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => Err("nobody answered".to_owned()),
            Ok(answer) => answer.map_err(|failed| error::plain(&failed)),
        };
        let offsets = self.sent.take().map_or_else(Vec::new, |sent| sent.offsets);
        match answer {
            Ok(()) => {
                offsets.iter().for_each(|(lane, offset)| lane.committed(*offset));
                self.complaint = None;
                true
            }
            Err(text) => {
                self.complain(text);
                false
            }
        }
    }

    fn complain(&mut self, text: String) {
        if self.complaint.as_ref() != Some(&text) {
            tracing::warn!(
                bridge = &*self.bridge,
                "committing offsets: {text}; it is tried again, and after a crash more than usual is read twice"
            );
            self.complaint = Some(text);
        }
    }
}
