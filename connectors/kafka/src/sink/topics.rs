//! Topics that are made by template or by a transform: looked up, and if wanted created, when they are first used.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use gantry_sdk::{Error, Result};

use super::{
    cluster::{self, TopicState},
    options::Declare,
    sink_state::SinkState,
};
use crate::error;

/// Topics that are remembered. A template with more (an id in the name) asks again and again, which is slow but bounded.
const MOST: usize = 10_000;
/// How long a topic that is not there is not asked for again: someone may create it.
const FORGET: Duration = Duration::from_secs(5);
/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(5);
/// How long a new topic may take to get its leaders.
const CREATION: Duration = Duration::from_secs(15);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// What is known of topics.
#[derive(Debug, Default)]
pub(super) struct Topics {
    ready: HashSet<Box<str>>,
    unusable: HashMap<Box<str>, Unusable>,
}

#[derive(Debug)]
struct Unusable {
    reason: Arc<str>,
    since: Instant,
}

/// Whether a topic can be written to.
#[derive(Debug)]
pub(super) enum Known {
    Ready,
    /// No record can go there, because.
    Unusable(Arc<str>),
    /// Has to be looked up.
    Unknown,
}

/// What a look-up found.
#[derive(Debug)]
pub(super) enum Found {
    Ready,
    /// It is not there, and could not be created.
    Missing(String),
    /// We may not see or create it.
    Denied(String),
}

impl Topics {
    pub(super) fn know(&self, name: &str) -> Known {
        if self.ready.contains(name) {
            return Known::Ready;
        }
        match self.unusable.get(name) {
            Some(unusable) if unusable.since.elapsed() < FORGET => Known::Unusable(Arc::clone(&unusable.reason)),
            _ => Known::Unknown,
        }
    }

    pub(super) fn ready(&mut self, name: &str) {
        if self.ready.len() >= MOST {
            self.ready.clear();
        }
        self.unusable.remove(name);
        self.ready.insert(name.into());
    }

    pub(super) fn unusable(&mut self, name: &str, reason: String) {
        if self.unusable.len() >= MOST {
            self.unusable.clear();
        }
        self.unusable.insert(name.into(), Unusable { reason: reason.into(), since: Instant::now() });
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.ready.remove(name);
    }
}

/// Looks a topic up, and creates it if it is missing and the sink may. Waits for its leaders. An error of
/// [`gantry_sdk::ErrorKind::Disconnected`] says that the cluster did not answer.
pub(super) async fn look_up(shared: &Arc<SinkState>, name: &str) -> Result<Found> {
    look_up_or_create(shared, name, shared.writer.plan.options.declare.as_ref()).await
}

/// The same, created with these settings if it is missing.
pub(super) async fn look_up_or_create(shared: &Arc<SinkState>, name: &str, declare: Option<&Declare>) -> Result<Found> {
    match ask(shared, name, QUESTION).await? {
        TopicState::Ready { .. } => Ok(Found::Ready),
        TopicState::Missing => match declare {
            Some(declare) => create(shared, name, declare).await,
            None => Ok(Found::Missing(error::missing_topic(name))),
        },
        TopicState::Denied => {
            Ok(Found::Denied(format!("not authorised for topic \"{name}\": grant WRITE and DESCRIBE on it")))
        }
        TopicState::Illegal => Ok(Found::Missing(format!("\"{name}\" is not a legal topic name"))),
        TopicState::Unsure(code) => {
            Err(Error::disconnected(format!("looking up topic \"{name}\": {}", error::words(code))))
        }
    }
}

async fn create(shared: &Arc<SinkState>, name: &str, declare: &Declare) -> Result<Found> {
    if let Err(reason) = cluster::create(&shared.writer.plan, name, declare, CREATION).await {
        return Ok(Found::Missing(format!("creating topic \"{name}\": {reason}")));
    }
    tracing::info!(bridge = &*shared.writer.plan.context.bridge, topic = name, "created the topic");
    let begun = Instant::now();
    while begun.elapsed() < CREATION {
        if matches!(ask(shared, name, QUESTION).await?, TopicState::Ready { leaderless } if leaderless.is_empty()) {
            return Ok(Found::Ready);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Error::disconnected(format!("topic \"{name}\" was created but has no leader after {} s", CREATION.as_secs())))
}

async fn ask(shared: &Arc<SinkState>, name: &str, timeout: Duration) -> Result<TopicState> {
    let producer = shared.producer();
    // Never closed.
    let _permit = producer.questions.acquire().await;
    let (asked, topic) = (Arc::clone(&producer), name.to_owned());
    let answer = tokio::task::spawn_blocking(move || cluster::topic_state(&asked, &topic, timeout)).await;
    let doing = || format!("looking up topic \"{name}\"");
    match answer {
        Ok(Ok(state)) => Ok(state),
        Ok(Err(error)) if cluster::is_silence(&error) => {
            Err(Error::disconnected(format!("{}: {}", doing(), producer.silence(&error))))
        }
        Ok(Err(error)) => Err(error::client_error(doing(), &error)),
        Err(panic) => Err(Error::internal(format!("{}: {panic}", doing()))),
    }
}
