//! What `gantry check --connect` asks of Kafka: are topics there, may we read, write and use the group.
//!
//! Nothing is written, no group is joined. Whether we may write is asked for by a produce request whose `acks` no broker
//! takes: it looks at the right first (TOPIC_AUTHORIZATION_FAILED), and only then at the request
//! (INVALID_REQUIRED_ACKS), so nothing is ever appended. Blocks; runs on a thread that may.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use gantry_sdk::{
    Context, Error, ErrorKind, Result,
    probe::{Obstacle, shell_word},
};
use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext},
    types::RDKafkaErrorCode as Code,
};

use crate::{
    ConnectionOptions,
    client::{ANY_TOPIC, BaseContext, ClientState},
    error,
};

/// How long one question may take: between two, the reason of a refused login is looked for.
const SLICE: Duration = Duration::from_millis(500);
/// How long an answer about a right may take once the cluster has answered.
const ANSWER: Duration = Duration::from_secs(5);
/// What no broker takes for `acks` (Kafka's protocol guide, Produce: 0, 1 or -1).
const IMPOSSIBLE_ACKS: &str = "7";

/// Asks on a thread that may block.
pub(crate) async fn on_a_thread(
    probe: impl FnOnce() -> Result<Vec<Obstacle>> + Send + 'static,
) -> Result<Vec<Obstacle>> {
    let answer = tokio::task::spawn_blocking(probe).await;
    answer.unwrap_or_else(|panic| Err(Error::internal(format!("asking Kafka: {panic}"))))
}

/// Whether a topic is there for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    There,
    Missing,
    Denied,
}

/// A cluster that let us in.
pub(crate) struct Cluster {
    connection: ConnectionOptions,
    consumer: BaseConsumer<BaseContext>,
}

impl Cluster {
    pub(crate) fn reach(connection: &ConnectionOptions, context: &Context, group: &str) -> Result<Self> {
        let mut config = config_of(connection, context);
        config.set("group.id", group).set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        let base_context = connection.base_context(Arc::new(ClientState::new(context.bridge.clone())));
        let doing = format!("connecting to Kafka at {}", connection.address());
        let consumer: BaseConsumer<BaseContext> =
            config.create_with_context(base_context).map_err(|failed| error::client_error(doing.clone(), &failed))?;
        let cluster = Self { connection: connection.clone(), consumer };
        let deadline = Instant::now() + connection.connect_timeout.0;
        loop {
            let failed = match cluster.consumer.fetch_metadata(Some(ANY_TOPIC), SLICE) {
                Ok(_) => return Ok(cluster),
                Err(failed) => failed,
            };
            // Serves what librdkafka has to say, and its wish for a token.
            cluster.consumer.poll(Duration::from_millis(100));
            let trouble = cluster.consumer.context().client_state.errors();
            if let Some(refusal) = trouble.refusal {
                return Err(Error::new(ErrorKind::Refused, format!("{doing}: {refusal}")));
            }
            if Instant::now() >= deadline {
                let why = trouble.transport.unwrap_or_else(|| error::plain(&failed));
                return Err(Error::disconnected(format!("{doing}: {why}")));
            }
        }
    }

    pub(crate) fn topic(&self, name: &str) -> Result<Topic> {
        let metadata = self.consumer.fetch_metadata(Some(name), ANSWER).map_err(|failed| self.silent(&failed))?;
        let found = metadata.topics().iter().find(|found| found.name() == name);
        Ok(match found.map(|found| found.error().map(Code::from)) {
            None | Some(Some(Code::UnknownTopicOrPartition | Code::UnknownTopic)) => Topic::Missing,
            Some(Some(Code::TopicAuthorizationFailed)) => Topic::Denied,
            // No leader now, and the like: it is there.
            Some(_) => Topic::There,
        })
    }

    /// Reads at the end of a partition: there is nothing to read, and a right is asked for all the same.
    pub(crate) fn reading(&self, topic: &str) -> Result<Option<Obstacle>> {
        let mut list = TopicPartitionList::with_capacity(1);
        let assigned = list.add_partition_offset(topic, 0, Offset::End).and_then(|()| self.consumer.assign(&list));
        assigned.map_err(|failed| self.silent(&failed))?;
        let deadline = Instant::now() + ANSWER;
        let denied = loop {
            match self.consumer.poll(SLICE) {
                Some(Err(failed)) if code(&failed) == Some(Code::TopicAuthorizationFailed) => break true,
                // The end of the partition, or a record behind it: allowed.
                Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => break false,
                // Nobody leads it now, say: no right is missing that we know of.
                _ if Instant::now() >= deadline => break false,
                _ => {}
            }
        };
        self.consumer.unassign().map_err(|failed| self.silent(&failed))?;
        Ok(denied.then(|| self.denied(topic, "read", "Read")))
    }

    pub(crate) fn using_group(&self, group: &str, right: &str, topic: &str) -> Result<Option<Obstacle>> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(topic, 0);
        let Err(failed) = self.consumer.committed_offsets(list, ANSWER) else { return Ok(None) };
        Ok((code(&failed) == Some(Code::GroupAuthorizationFailed)).then(|| {
            let lacks = right.to_uppercase();
            let problem = format!("{} may not use consumer group \"{group}\": it lacks {lacks} on it", self.whom());
            Obstacle::new(problem, format!("{} --operation {right} --group {}", self.acls(), shell_word(group)))
        }))
    }

    pub(crate) fn writing(&self, topic: &str) -> Result<Option<Obstacle>> {
        let mut config = ClientConfig::new();
        self.connection.apply(&mut config);
        config.set("client.id", "gantry-check").set("acks", IMPOSSIBLE_ACKS).set("linger.ms", "0");
        config.set("message.timeout.ms", ANSWER.as_millis().to_string());
        config.set("allow.auto.create.topics", "false");
        config.set_log_level(RDKafkaLogLevel::Critical);
        let base_context = self.connection.base_context(Arc::new(ClientState::new("check".into())));
        let producer: BaseProducer<Answer> = config
            .create_with_context(Answer { base_context, code: Mutex::default() })
            .map_err(|failed| error::client_error("creating a producer", &failed))?;
        let record = BaseRecord::<(), [u8]>::to(topic).partition(0).payload(b"gantry check".as_slice());
        producer.send(record).map_err(|(failed, _)| self.silent(&failed))?;
        // Its own error says only that there is no answer yet; then nothing is known of the right.
        let _ = producer.flush(ANSWER + SLICE);
        let denied = producer.context().code() == Some(Code::TopicAuthorizationFailed);
        Ok(denied.then(|| self.denied(topic, "write", "Write")))
    }

    pub(crate) fn missing(&self, topic: &str) -> Obstacle {
        self.missing_with(topic, "")
    }

    /// The same of a topic that needs these arguments when it is created.
    pub(crate) fn missing_with(&self, topic: &str, settings: &str) -> Obstacle {
        let (address, name) = (self.connection.address(), shell_word(topic));
        Obstacle::new(
            format!("topic \"{topic}\" on Kafka at {address} does not exist"),
            format!("kafka-topics.sh --bootstrap-server {} --create --topic {name}{settings}", shell_word(&address)),
        )
    }

    pub(crate) fn denied(&self, topic: &str, doing: &str, operation: &str) -> Obstacle {
        let problem = format!(
            "{} may not {doing} topic \"{topic}\" on Kafka at {}: it lacks {} and DESCRIBE, or one of them",
            self.whom(),
            self.connection.address(),
            operation.to_uppercase()
        );
        let remedy =
            format!("{} --operation {operation} --operation Describe --topic {}", self.acls(), shell_word(topic));
        Obstacle::new(problem, remedy)
    }

    fn acls(&self) -> String {
        let principal = format!("User:{}", self.user().unwrap_or("NAME"));
        let address = self.connection.address();
        format!(
            "kafka-acls.sh --bootstrap-server {} --add --allow-principal {}",
            shell_word(&address),
            shell_word(&principal)
        )
    }

    fn user(&self) -> Option<&str> {
        self.connection.sasl.as_ref()?.username.as_deref()
    }

    fn whom(&self) -> String {
        self.user().map_or_else(|| "this client".to_owned(), |user| format!("user \"{user}\""))
    }

    fn silent(&self, failed: &KafkaError) -> Error {
        Error::disconnected(format!("asking Kafka at {}: {}", self.connection.address(), error::plain(failed)))
    }
}

fn config_of(connection: &ConnectionOptions, context: &Context) -> ClientConfig {
    let mut config = ClientConfig::new();
    let id = connection.client_id.clone().unwrap_or_else(|| format!("gantry-check-{}", context.bridge));
    config.set("client.id", id).set("allow.auto.create.topics", "false");
    connection.apply(&mut config);
    config.set_log_level(RDKafkaLogLevel::Critical);
    config
}

fn code(failed: &KafkaError) -> Option<Code> {
    failed.rdkafka_error_code()
}

/// The context of a producer of one record: what became of it.
#[derive(Debug)]
struct Answer {
    base_context: BaseContext,
    code: Mutex<Option<Code>>,
}

impl Answer {
    fn code(&self) -> Option<Code> {
        // One value: whole, whatever panicked while holding it.
        *self.code.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Answer {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.base_context.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.base_context.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.base_context.generate_oauth_token(config)
    }
}

impl ProducerContext for Answer {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let code = result.as_ref().err().and_then(|(failed, _)| failed.rdkafka_error_code());
        *self.code.lock().unwrap_or_else(PoisonError::into_inner) = code;
    }
}
