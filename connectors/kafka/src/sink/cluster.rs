//! What the sink asks of the cluster beside producing: is the topic there, how large may a record be, create it.
//!
//! The blocking calls of librdkafka: callers are on a thread that may block.

use std::time::Duration;

use rdkafka::{
    admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, KafkaResult},
    producer::Producer as _,
    types::RDKafkaErrorCode as Code,
};

use super::{events::Producer, options::Declare, plan::Plan, times::Bounds};

/// A topic's limit for a record batch, in bytes.
const SIZE_LIMIT: &str = "max.message.bytes";
/// What becomes of a topic's old records.
const POLICY: &str = "cleanup.policy";
/// What a broker takes in one request unless someone changed it (`socket.request.max.bytes`), less what goes around it.
const UTMOST_SIZE: &str = "104000000";

/// What the cluster says of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TopicState {
    /// It is there.
    Ready {
        /// Partitions that take no records now.
        leaderless: Vec<i32>,
    },
    /// It is not there.
    Missing,
    /// We may not see it.
    Denied,
    /// Its name is not legal.
    Illegal,
    /// It cannot say yet.
    Unsure(Code),
}

/// Asks for a topic; the error is that nobody answered.
pub(super) fn topic_state(producer: &Producer, topic: &str, timeout: Duration) -> KafkaResult<TopicState> {
    let metadata = producer.client().fetch_metadata(Some(topic), timeout)?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Ok(TopicState::Missing);
    };
    Ok(match found.error().map(Code::from) {
        None => {
            let partitions = found.partitions().iter();
            let leaderless = partitions.filter(|partition| partition.leader() < 0).map(|partition| partition.id());
            TopicState::Ready { leaderless: leaderless.collect() }
        }
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => TopicState::Missing,
        Some(Code::TopicAuthorizationFailed) => TopicState::Denied,
        Some(Code::InvalidTopic) => TopicState::Illegal,
        Some(other) => TopicState::Unsure(other),
    })
}

/// An administrative client lives for one question: it serves no events of its own. Its end waits for its threads, so it
/// ends aside, also when nobody waits for the answer any more.
struct Admin(Option<AdminClient<DefaultClientContext>>);

impl Admin {
    fn new(plan: &Plan) -> KafkaResult<Self> {
        plan.admin_config().create().map(|client| Self(Some(client)))
    }

    fn client(&self) -> &AdminClient<DefaultClientContext> {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        let client = self.0.take();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(client));
        }
    }
}

fn options(timeout: Duration) -> AdminOptions {
    AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout))
}

/// What a topic takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TopicRules {
    /// `max.message.bytes`.
    pub max_message_bytes: Option<usize>,
    /// Only the last record of a key is kept, so a record needs one.
    pub compacted: bool,
    /// Which timestamps it takes; `None` when it did not say.
    pub times: Option<Bounds>,
}

/// What a topic takes; the default if the cluster does not tell (not authorised, too old).
pub(super) async fn rules(plan: &Plan, topic: &str, timeout: Duration) -> KafkaResult<TopicRules> {
    let Some(described) = describe(plan, topic, timeout).await? else { return Ok(TopicRules::default()) };
    let value = |name: &str| {
        let entry = described.entries.iter().find(|entry| entry.name == name)?;
        entry.value.as_deref()
    };
    Ok(TopicRules {
        max_message_bytes: value(SIZE_LIMIT).and_then(|text| text.parse().ok()),
        compacted: value(POLICY).is_some_and(|policy| policy.split(',').any(|part| part.trim() == "compact")),
        times: Some(bounds(value)),
    })
}

/// The topic's `cleanup.policy`; `None` if the cluster does not tell.
pub(super) async fn cleanup_policy(plan: &Plan, topic: &str, timeout: Duration) -> KafkaResult<Option<String>> {
    let Some(described) = describe(plan, topic, timeout).await? else { return Ok(None) };
    Ok(described.entries.into_iter().find(|entry| entry.name == POLICY).and_then(|entry| entry.value))
}

async fn describe(plan: &Plan, topic: &str, timeout: Duration) -> KafkaResult<Option<ConfigResource>> {
    let admin = Admin::new(plan)?;
    let answer = admin.client().describe_configs([&ResourceSpecifier::Topic(topic)], &options(timeout)).await;
    drop(admin);
    Ok(answer?.pop().and_then(Result::ok))
}

/// Brokers before 3.6 have one setting for both ways; before 0.10 there were no timestamps.
fn bounds<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Bounds {
    if value("message.timestamp.type") == Some("LogAppendTime") {
        return Bounds::NONE;
    }
    let millis = |name: &str| value(name).or_else(|| value("message.timestamp.difference.max.ms"))?.parse().ok();
    Bounds {
        ahead: millis("message.timestamp.after.max.ms").unwrap_or(i64::MAX),
        behind: millis("message.timestamp.before.max.ms").unwrap_or(i64::MAX),
    }
}

/// Creates a topic; that it is there by now is no error.
pub(super) async fn create(plan: &Plan, topic: &str, declare: &Declare, timeout: Duration) -> Result<(), String> {
    let admin = Admin::new(plan).map_err(|error| crate::error::plain(&error))?;
    let replication = TopicReplication::Fixed(declare.replication.unwrap_or(-1));
    let mut new = NewTopic::new(topic, declare.partitions.unwrap_or(-1), replication);
    for (name, value) in &declare.config {
        new = new.set(name, value);
    }
    // What is too large for the sink's topic comes here: a dead letter with the usual limit would refuse it as well.
    if plan.context.dead_letter && !declare.config.contains_key(SIZE_LIMIT) {
        new = new.set(SIZE_LIMIT, UTMOST_SIZE);
    }
    let answer = admin.client().create_topics([&new], &options(timeout)).await;
    drop(admin);
    match answer.map(|mut results| results.pop()) {
        Ok(None | Some(Ok(_) | Err((_, Code::TopicAlreadyExists)))) => Ok(()),
        Ok(Some(Err((_, code)))) => Err(crate::error::words(code)),
        Err(error) => Err(crate::error::plain(&error)),
    }
}

/// Whether nobody answered, as opposed to an answer that says no.
pub(super) fn is_silence(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::BrokerTransportFailure | Code::OperationTimedOut | Code::AllBrokersDown | Code::Resolve)
    )
}
