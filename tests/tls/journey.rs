//! A bridge with connections of the test's choice: one that must deliver, and one that must be refused.

use std::path::Path;

use crate::{
    imposter::Imposter,
    support::{
        self, SOON, eventually,
        gantry::Gantry,
        kafka::{self, Cluster},
        oracle,
        rabbit::Rabbit,
        unique,
    },
};

/// A bridge under way. The test itself talks to the open listeners.
pub(crate) struct Journey {
    rabbit: Rabbit,
    pub(crate) gantry: Gantry,
    queue: String,
    topic: String,
    messages: u64,
    secrets: Vec<String>,
}

impl Journey {
    /// From RabbitMQ to Kafka over these connections, which hold these secrets; a first part has arrived.
    pub(crate) async fn begin(rabbitmq: &str, kafka: &str, secrets: &[&str]) -> Self {
        let (queue, topic) = (unique("tls"), unique("tls"));
        let rabbit = Rabbit::connect().await;
        rabbit.queue(&queue).await;
        kafka::create_topic(&topic, 1).await;
        let yaml = format!(
            r#"connections:
  rabbit: {{ rabbitmq: {{ {rabbitmq} }} }}
  events: {{ kafka: {{ {kafka} }} }}
bridges:
  b:
    source: {{ rabbitmq: {{ connection: rabbit, queue: {queue} }} }}
    sink: {{ kafka: {{ connection: events, topic: {topic} }} }}
    errors: {{ backoff: {{ initial: 100ms, max: 1s }} }}
"#
        );
        let gantry = Gantry::start(&yaml);
        let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let mut journey = Self { rabbit, gantry, queue, topic, messages: 0, secrets };
        journey.goes_on().await;
        journey
    }

    /// More messages arrive.
    pub(crate) async fn goes_on(&mut self) {
        self.publish(300).await;
        let expected = i64::try_from(self.messages).expect("few");
        kafka::wait_for_count(&self.topic, expected).await;
    }

    /// More messages wait.
    pub(crate) async fn publish(&mut self, more: u64) {
        self.rabbit.publish_sequence(&self.queue, self.messages, self.messages + more, 100).await;
        self.messages += more;
    }

    /// Everything has arrived, in order, and no secret was shown on the way. How often something came twice.
    pub(crate) async fn ends_well(self) -> u64 {
        self.rabbit.wait_until_empty(&self.queue).await;
        self.gantry.wait_until_ready().await;
        self.gantry.check_conservation("b");
        let cluster = Cluster::at(&support::bootstrap_servers(), 1);
        let verdict = oracle::assert_nothing_lost(&cluster.read_all(&self.topic), self.messages);
        hides(&self.gantry, &self.secrets);
        self.rabbit.delete(&self.queue).await;
        kafka::delete_topic(&self.topic).await;
        verdict.duplicates
    }
}

/// One journey that nothing disturbs.
pub(crate) async fn delivers(rabbitmq: &str, kafka: &str, secrets: &[&str]) {
    let journey = Journey::begin(rabbitmq, kafka, secrets).await;
    assert_eq!(journey.ends_well().await, 0, "nothing comes twice");
}

/// What a bridge says that cannot reach this RabbitMQ, once it is in that state.
pub(crate) async fn rabbitmq_refuses(connection: &str, state: &str, secrets: &[&str]) -> String {
    let source = format!("rabbitmq: {{ connection: {{ {connection} }}, queue: q }}");
    refused(&source, "\"null\": {}", state, secrets).await
}

/// The same for this Kafka.
pub(crate) async fn kafka_refuses(connection: &str, state: &str, secrets: &[&str]) -> String {
    let sink = format!("kafka: {{ connection: {{ {connection}, connect_timeout: 5s }}, topic: t }}");
    refused("generate: { count: 1 }", &sink, state, secrets).await
}

/// What the bridge says of this RabbitMQ as soon as that is in it, whatever its state.
pub(crate) async fn rabbitmq_hints(connection: &str, hint: &str, secrets: &[&str]) -> String {
    let source = format!("rabbitmq: {{ connection: {{ {connection} }}, queue: q }}");
    let gantry = Gantry::start(&bridge(&source, "\"null\": {}"));
    let hinted = async || gantry.task("b").map(|(_, error)| error).filter(|error| error.contains(hint));
    let error = eventually(&format!("the bridge says {hint}"), SOON, hinted).await;
    hides(&gantry, secrets);
    error
}

async fn refused(source: &str, sink: &str, state: &str, secrets: &[&str]) -> String {
    let gantry = Gantry::start(&bridge(source, sink));
    let error = gantry.wait_for_state("b", state).await;
    hides(&gantry, secrets);
    eprintln!("{error}");
    error
}

fn bridge(source: &str, sink: &str) -> String {
    format!("bridges:\n  b:\n    source: {{ {source} }}\n    sink: {{ {sink} }}\n")
}

/// The host that such a bridge asks the imposter for in the handshake.
pub(crate) async fn host_asked_for(imposter: &Imposter, source: &str, sink: &str) -> String {
    let _gantry = Gantry::start(&bridge(source, sink));
    eventually("a client comes through", SOON, async || imposter.asked_for().first().cloned()).await
}

/// No secret is in the log, the metrics or an answer.
pub(crate) fn hides(gantry: &Gantry, secrets: &[impl AsRef<str>]) {
    let paths = ["/v1/bridges", "/v1/bridges/b", "/connectors?expand=info&expand=status", "/metrics", "/readyz"];
    let mut shown: Vec<String> = paths.iter().filter_map(|path| gantry.get(path)).map(|(_, body)| body).collect();
    assert_eq!(shown.len(), paths.len(), "every page answers");
    shown.push(gantry.log());
    for (secret, text) in secrets.iter().flat_map(|secret| shown.iter().map(move |text| (secret.as_ref(), text))) {
        assert!(!text.contains(secret), "a secret is shown: {text}");
    }
}

/// A file with this in it.
pub(crate) fn file(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).expect("a temporary file can be written");
    path.display().to_string()
}

/// All these words are in it.
///
/// # Panics
/// When one is not.
pub(crate) fn says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "no \"{word}\" in: {error}");
    }
}
