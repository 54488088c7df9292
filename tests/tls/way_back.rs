//! From Kafka to RabbitMQ: the same connections, the other way round.

use tempfile::tempdir;

use crate::{
    amqps,
    certificates::{Authority, PASSWORD, ca_file},
    journey::hides,
    kafka_secure, kafka_tls, rabbit_user, scram_user,
    support::{
        self,
        brokers::rabbitmqctl,
        feed::Feeder,
        gantry::Gantry,
        kafka::{self, Cluster},
        oracle,
        rabbit::Rabbit,
        unique,
    },
};

/// A member that cannot log in any more cannot leave its group either: the next one waits for the end of its session, which
/// Kafka allows to be no shorter.
const SESSION: &str = ", properties: { session.timeout.ms: 6000, heartbeat.interval.ms: 1000 }";

/// A bridge from Kafka to RabbitMQ under way. The test itself talks to the open listeners.
pub(crate) struct WayBack {
    cluster: Cluster,
    rabbit: Rabbit,
    gantry: Gantry,
    topic: String,
    queue: String,
    records: u64,
    secrets: Vec<String>,
}

impl WayBack {
    /// The first records have gone over these connections.
    pub(crate) async fn begin(kafka: &str, rabbitmq: &str, secrets: &[&str]) -> Self {
        let (topic, queue) = (unique("back"), unique("back"));
        let rabbit = Rabbit::connect().await;
        rabbit.queue(&queue).await;
        kafka::create_topic(&topic, 1).await;
        let yaml = format!(
            r#"bridges:
  b:
    source: {{ kafka: {{ connection: {{ {kafka} }}, topic: {topic}, group: {topic}, commit_interval: 500ms{SESSION} }} }}
    sink: {{ rabbitmq: {{ connection: {{ {rabbitmq} }}, queue: {queue} }} }}
    errors: {{ backoff: {{ initial: 100ms, max: 1s }} }}
"#
        );
        let gantry = Gantry::start(&yaml);
        let cluster = Cluster::at(&support::bootstrap_servers(), 1);
        let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let mut way = Self { cluster, rabbit, gantry, topic, queue, records: 0, secrets };
        way.goes_on().await;
        way
    }

    /// More records go over.
    pub(crate) async fn goes_on(&mut self) {
        let more = self.records + 500;
        Feeder::new(&self.cluster).sequence(&self.topic, 1, self.records, more, 100).await;
        self.records = more;
        self.cluster.wait_until_committed(&self.topic, &self.topic).await;
    }

    /// Everything has arrived, in order, and no secret was shown on the way. How often something came twice.
    pub(crate) async fn ends_well(self) -> u64 {
        self.gantry.wait_until_ready().await;
        self.gantry.check_conservation("b");
        let verdict = oracle::assert_nothing_lost(&self.rabbit.take_stored(&self.queue).await, self.records);
        hides(&self.gantry, &self.secrets);
        self.rabbit.delete(&self.queue).await;
        kafka::delete_topic(&self.topic).await;
        verdict.duplicates
    }
}

/// 500 records go from Kafka to RabbitMQ over these connections, once and in order.
async fn comes_back(kafka: &str, rabbitmq: &str, secrets: &[&str]) {
    let way = WayBack::begin(kafka, rabbitmq, secrets).await;
    assert_eq!(way.ends_well().await, 0, "nothing comes twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_by_certificate() {
    let (user, directory) = (unique("external"), tempdir().expect("a temporary directory"));
    rabbit_user(&user, "unused").await;
    let files = Authority::of_the_brokers().client(&user).write(directory.path(), "client");
    let tls = format!("tls: {{ ca_file: {}, pkcs12_file: {}, pkcs12_password: {PASSWORD} }}", ca_file(), files.pkcs12);
    let kafka = format!("bootstrap_servers: \"{}\", {tls}", kafka_tls());
    let rabbitmq = format!("urls: [\"amqps://{}\"], auth_mechanism: external, {tls}", amqps());
    comes_back(&kafka, &rabbitmq, &[PASSWORD]).await;
    rabbitmqctl(&["delete_user", &user]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_by_password() {
    let user = unique("back");
    rabbit_user(&user, "hunter2-rabbit").await;
    scram_user(&user, "hunter2-kafka").await;
    let tls = format!("tls: {{ ca_file: {} }}", ca_file());
    let sasl = format!("sasl: {{ mechanism: SCRAM-SHA-256, username: {user}, password: hunter2-kafka }}");
    let kafka = format!("bootstrap_servers: \"{}\", {tls}, {sasl}", kafka_secure());
    let rabbitmq = format!("urls: [\"amqps://{}\"], username: {user}, password: hunter2-rabbit, {tls}", amqps());
    comes_back(&kafka, &rabbitmq, &["hunter2"]).await;
    rabbitmqctl(&["delete_user", &user]).await;
}
