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

/// 500 records go from Kafka to RabbitMQ over these connections, once and in order.
async fn comes_back(kafka: &str, rabbitmq: &str, secrets: &[&str]) {
    const RECORDS: u64 = 500;
    let (topic, queue) = (unique("back"), unique("back"));
    let cluster = Cluster::at(&support::bootstrap_servers(), 1);
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    Feeder::new(&cluster).sequence(&topic, 1, 0, RECORDS, 100).await;
    let yaml = format!(
        r#"bridges:
  b:
    source: {{ kafka: {{ connection: {{ {kafka} }}, topic: {topic}, group: {topic}, commit_interval: 500ms }} }}
    sink: {{ rabbitmq: {{ connection: {{ {rabbitmq} }}, queue: {queue} }} }}
"#
    );
    let gantry = Gantry::ready(&yaml).await;
    cluster.wait_until_committed(&topic, &topic).await;
    gantry.check_conservation("b");
    let verdict = oracle::assert_nothing_lost(&rabbit.take_stored(&queue).await, RECORDS);
    assert_eq!(verdict.duplicates, 0);
    hides(&gantry, secrets);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
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
