//! The topic of positions: it has one partition that counts, keeps the last record of each key, and is created when it is missing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use gantry_sdk::{Error, ErrorKind, Result, probe::shell_word};

use crate::{
    connection::Mechanism,
    sink::{
        cluster,
        options::Declare,
        plan::Plan,
        sink_state::SinkState,
        topics::{self, Found},
        transaction_identity::Identity,
    },
};

/// How long asking for the topic's settings may take.
const QUESTION: Duration = Duration::from_secs(3);
const POLICY: &str = "cleanup.policy";
const COMPACT: &str = "compact";
/// The settings of a topic that is created. The segment that is written to is never compacted: it is kept small and young, or each
/// opening would read what has piled up in it.
const SETTINGS: [(&str, &str); 4] =
    [(POLICY, COMPACT), ("segment.bytes", "16777216"), ("segment.ms", "3600000"), ("min.cleanable.dirty.ratio", "0.1")];

/// Looks the topic up, creates it if it is missing, and warns when it does not keep positions for ever.
pub(super) async fn prepare(shared: &Arc<SinkState>, identity: &Identity) -> Result<()> {
    let (plan, topic) = (&shared.writer.plan, &*identity.topic);
    let config = BTreeMap::from(SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let declare = Declare { partitions: Some(1), replication: None, config };
    // An administrative client of rdkafka's never asks for its token.
    let sasl = plan.options.connection.sasl.as_ref();
    let can_ask = sasl.is_none_or(|sasl| sasl.mechanism != Mechanism::OauthBearer);
    match topics::look_up_or_create(shared, topic, can_ask.then_some(&declare)).await? {
        Found::Ready => {}
        Found::Missing(reason) => {
            let text = format!("the positions of exactly once have no topic: {reason}; {}", remedy(plan, topic));
            return Err(Error::new(ErrorKind::Missing, text));
        }
        Found::Denied(_) => {
            let text = format!(
                "not authorised for topic \"{topic}\", which keeps the positions of exactly once: grant READ, WRITE and DESCRIBE on it"
            );
            return Err(Error::new(ErrorKind::Refused, text));
        }
    }
    if can_ask
        && let Ok(Some(policy)) = cluster::cleanup_policy(plan, topic, QUESTION).await
        && policy != COMPACT
    {
        tracing::warn!(
            bridge = &*plan.context.bridge,
            "topic \"{topic}\" keeps the positions of exactly once, and is not compacted ({POLICY}={policy}): Kafka deletes old ones, \
             and a bridge whose positions are gone begins anew; set {POLICY}={COMPACT}"
        );
    }
    Ok(())
}

/// A command that creates the topic.
fn remedy(plan: &Plan, topic: &str) -> String {
    let (address, name) = (plan.options.connection.address(), shell_word(topic));
    format!(
        "create it: kafka-topics.sh --bootstrap-server {} --create --topic {name}{}",
        shell_word(&address),
        creation_arguments()
    )
}

/// What `kafka-topics.sh --create` is told of the topic besides its name.
pub(in crate::sink) fn creation_arguments() -> String {
    let settings: String = SETTINGS.iter().map(|(name, value)| format!(" --config {name}={value}")).collect();
    format!(" --partitions 1{settings}")
}
