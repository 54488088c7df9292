//! What waits for destinations that refuse messages for now (`basic.nack`): a full queue that rejects, a queue without a leader.
//!
//! # Order (I5)
//! A destination is an exchange with a routing key. What goes to one that refuses waits behind the refused record, in the order
//! in which it came, and nothing else does. One record at a time is tried again, and only when everything published before to
//! its destination is decided.
//!
//! # Pauses and tries
//! Destinations of one exchange may lead to the same queue, and each try copies the record to those of its queues that do take it.
//! So an exchange has one pause that grows and one record that is tried, whatever its routing keys. On the default exchange, where
//! the routing key is the queue, each queue has its own. `errors.retry.max_attempts` ends the tries: the record is refused for good,
//! and each one behind it gets one try, until one is taken again.
//!
//! What waits is part of what is in unconfirmed: credit bounds it (I4).

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::Arc,
    task::Context,
    time::Duration,
};

use gantry_sdk::plugin::RetryPolicy;
use lapin::types::ShortString;
use tokio::time::Sleep;

use super::{item::Item, message::Way};

#[derive(Debug)]
pub(super) struct Waiting {
    retry: RetryPolicy,
    groups: HashMap<Way, Group>,
}

/// The refusing destinations of one exchange, or one queue.
#[derive(Debug)]
struct Group {
    /// By sequence.
    queue: VecDeque<Item>,
    keys: HashMap<ShortString, Key>,
    pause: Option<Pin<Box<Sleep>>>,
    delay: Duration,
    /// Since it last took a record that had waited.
    refusals: u32,
    /// One record is on its way.
    trying: bool,
    refusal: Arc<str>,
}

/// A destination that refuses.
#[derive(Debug, Default)]
struct Key {
    /// Those that wait, and the one that is tried.
    records: usize,
    /// How many messages have to be decided before one is tried: those that were on their way when it refused.
    published: u64,
}

// === impl Waiting ===

impl Waiting {
    pub(super) fn new(retry: RetryPolicy) -> Self {
        Self { retry, groups: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether a record to there has to wait.
    pub(super) fn holds(&self, way: &Way) -> bool {
        self.groups.get(&group(way)).is_some_and(|group| group.keys.contains_key(&way.routing_key))
    }

    /// Puts a record that was not sent behind those that wait.
    pub(super) fn hold(&mut self, way: &Way, item: Item) {
        if let Some(group) = self.groups.get_mut(&group(way)) {
            group.keys.entry(way.routing_key.clone()).or_default().records += 1;
            group.insert(item);
        }
    }

    /// RabbitMQ refused the record. `published` messages have been so far. Gives it back if it has had its tries.
    pub(super) fn refused(&mut self, way: &Way, mut item: Item, published: u64) -> Option<Item> {
        let (delay, max_attempts) = (self.retry.delay, self.retry.max_attempts.unwrap_or(u32::MAX));
        let is_new = !self.groups.contains_key(&group(way));
        if is_new && max_attempts <= 1 {
            return Some(item);
        }
        let group = self.groups.entry(group(way)).or_insert_with(|| Group::new(way, delay));
        let was_tried = std::mem::take(&mut item.waited);
        if is_new || was_tried {
            group.refusals = group.refusals.saturating_add(1);
            if group.refusals >= max_attempts {
                item.waited = was_tried;
                return Some(item);
            }
            group.pause = Some(Box::pin(tokio::time::sleep(group.delay)));
            group.delay = (group.delay * 2).min(self.retry.max_delay);
        }
        let key = group.keys.entry(way.routing_key.clone()).or_default();
        key.published = published;
        if was_tried {
            group.trying = false;
        } else {
            key.records += 1;
        }
        group.insert(item);
        None
    }

    /// A record that waited is decided: taken, or gone for another reason.
    pub(super) fn decided(&mut self, way: &Way, taken: bool) {
        let name = group(way);
        let Some(group) = self.groups.get_mut(&name) else { return };
        group.trying = false;
        if taken {
            (group.refusals, group.delay) = (0, self.retry.delay);
        }
        if let Some(key) = group.keys.get_mut(&way.routing_key) {
            key.records -= 1;
            if key.records == 0 {
                group.keys.remove(&way.routing_key);
            }
        }
        if group.keys.is_empty() {
            self.groups.remove(&name);
        }
    }

    /// The next record to try again, if the time has come for one; else wakes the caller when a pause is over. `decided` of the
    /// messages that were published are. `way` says where a record goes.
    pub(super) fn next(
        &mut self,
        context: &mut Context<'_>,
        decided: u64,
        way: impl Fn(&Item) -> Option<Way>,
    ) -> Option<Item> {
        for group in self.groups.values_mut().filter(|group| !group.trying) {
            if group.pause.as_mut().is_some_and(|pause| pause.as_mut().poll(context).is_pending()) {
                continue;
            }
            group.pause = None;
            let key = group.queue.front().and_then(&way).and_then(|way| group.keys.get(&way.routing_key));
            if key.is_some_and(|key| key.published > decided) {
                continue;
            }
            if let Some(mut item) = group.queue.pop_front() {
                item.waited = true;
                group.trying = true;
                return Some(item);
            }
        }
        None
    }

    /// Why some do not get on, if so.
    pub(super) fn refusal(&self) -> Option<&Arc<str>> {
        // The same one at each look.
        self.groups.values().map(|group| &group.refusal).min()
    }
}

// === impl Group ===

impl Group {
    fn new(way: &Way, delay: Duration) -> Self {
        Self {
            queue: VecDeque::new(),
            keys: HashMap::new(),
            pause: None,
            delay,
            refusals: 0,
            trying: false,
            refusal: refusal(way).into(),
        }
    }

    fn insert(&mut self, item: Item) {
        let at = self.queue.partition_point(|other| other.sequence < item.sequence);
        self.queue.insert(at, item);
    }
}

/// What shares a pause with it.
fn group(way: &Way) -> Way {
    match way.exchange.as_str() {
        "" => way.clone(),
        _ => Way { exchange: way.exchange.clone(), routing_key: ShortString::default() },
    }
}

/// What to say of a destination that refuses (RabbitMQ's publisher confirms guide).
pub(super) fn refusal(way: &Way) -> String {
    match way.exchange.as_str() {
        "" => format!(
            "queue \"{}\" does not take messages for now (basic.nack): is it full, with `x-overflow: reject-publish`, or has it lost \
             its leader?",
            way.routing_key
        ),
        exchange => format!(
            "a queue of exchange \"{exchange}\" does not take messages for now (basic.nack), like one with routing key \"{}\": is it \
             full, with `x-overflow: reject-publish`, or has it lost its leader?",
            way.routing_key
        ),
    }
}
