//! From a plan to a member of the group, or to a reader of its share. Blocks; runs on the member's thread.
//!
//! What can be checked is checked before anything is taken: the topics are there and may be read, the group may be used.

use std::time::{Duration, Instant};

use gantry_sdk::{Error, ErrorKind, Result};
use rdkafka::{TopicPartitionList, consumer::Consumer as _};

use super::{
    begin,
    events::{Consumer, Events},
    failure,
    partitions::{OpenFailure, SLICE, find_partitions},
    plan::Plan,
    share::{self, Share},
    shared::MemberState,
};
use crate::{client::ClientState, error};

/// Between two tries, so that a broker that answers at once and cannot help yet is not asked without pause.
const PAUSE: Duration = Duration::from_millis(100);
/// Partitions that memory is shared out for before they are counted.
const FIRST_GUESS: usize = 8;

/// A consumer that has subscribed, or been given its share.
pub(super) struct Opened {
    pub consumer: Consumer,
    /// How many partitions there are to read.
    pub partitions: usize,
    /// Those that it has without a group.
    pub share: Option<Share>,
}

pub(super) fn open(plan: &Plan, shared: &MemberState) -> Result<Opened> {
    let deadline = Instant::now() + plan.options.connection.connect_timeout.0;
    let mut consumer = create(plan, FIRST_GUESS)?;
    let there = patiently(plan, shared, &consumer, deadline, || find_partitions(plan, &consumer))?;
    let own = plan.context.exactly_once.then(|| share::own(plan, there.clone()));
    let partitions = match &own {
        Some(own) => own.len(),
        None if plan.options.topics_regex.is_some() => there.len().max(FIRST_GUESS),
        None => there.len(),
    };
    if plan.bytes_ahead(partitions) != plan.bytes_ahead(FIRST_GUESS) {
        drop(consumer);
        consumer = create(plan, partitions)?;
    }
    let the_groups_turn = || deadline.max(Instant::now() + SLICE);
    if let Some(own) = own {
        // It is not joined; it says where to begin.
        if let Some(new) = own.iter().find(|place| begin::is_new(plan, place)) {
            patiently(plan, shared, &consumer, the_groups_turn(), || ask_for_the_group(plan, &consumer, &new.topic))?;
        }
        consumer.context().assign(own.clone());
        return Ok(Opened { consumer, partitions, share: Some(Share::new(plan, own)) });
    }
    if let Some(topic) = plan.options.named().next() {
        patiently(plan, shared, &consumer, the_groups_turn(), || ask_for_the_group(plan, &consumer, topic))?;
    }
    if shared.is_stopping() {
        // Nobody waits for it any more: the group need not hear of it.
        return Err(Error::disconnected(format!("{}: it was given up", plan.doing())));
    }
    let subscribed = consumer.subscribe(&plan.subscription());
    subscribed.map_err(|failed| Error::config(format!("{}: {}", plan.doing(), error::plain(&failed))))?;
    Ok(Opened { consumer, partitions, share: None })
}

fn create(plan: &Plan, partitions: usize) -> Result<Consumer> {
    let client_state = std::sync::Arc::new(ClientState::new(plan.who()));
    let events = Events::new(plan.options.connection.base_context(client_state), plan.debug().is_some());
    let created = plan.consumer_config(partitions).create_with_context(events);
    created.map_err(|failed| error::client_error(plan.doing(), &failed))
}

/// Asks until there is an answer, the login is refused, or the time is over.
fn patiently<T>(
    plan: &Plan,
    shared: &MemberState,
    consumer: &Consumer,
    deadline: Instant,
    ask: impl Fn() -> Result<T, OpenFailure>,
) -> Result<T> {
    loop {
        let failed = match ask() {
            Ok(answer) => return Ok(answer),
            Err(OpenFailure::Final(error)) => return Err(error),
            Err(OpenFailure::Passing(failed)) => failed,
        };
        // Serves what librdkafka has to say, and its wish for a token. Once and not until it falls silent: where connections are
        // refused at once it never does.
        consumer.poll(PAUSE);
        let trouble = consumer.context().base_context.client_state.errors();
        let connecting = format!("connecting to Kafka at {}", plan.options.connection.address());
        if let Some(refusal) = trouble.refusal {
            return Err(Error::new(ErrorKind::Refused, format!("{connecting}: {refusal}")));
        }
        if shared.is_stopping() || Instant::now() >= deadline {
            let why = trouble.transport.unwrap_or(failed);
            return Err(Error::disconnected(format!("{connecting}: {why}")));
        }
    }
}

/// Whether the group may be used, and has a coordinator.
fn ask_for_the_group(plan: &Plan, consumer: &Consumer, topic: &str) -> Result<(), OpenFailure> {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(topic, 0);
    match consumer.committed_offsets(list, SLICE) {
        Ok(_) => Ok(()),
        Err(failed) => match failed.rdkafka_error_code().and_then(|code| failure::of_group(code, plan)) {
            Some(error) => Err(OpenFailure::Final(error)),
            None => Err(failed.into()),
        },
    }
}
