//! What proves who a bridge is changes while it runs: it takes the new at its next connect, without a restart.

use tempfile::tempdir;

use crate::{
    amqps,
    certificates::{Authority, ca_file},
    journey::{Journey, file},
    kafka_secure_behind_proxy, kafka_secure_proxy_port, rabbit_user, scram_user,
    support::{self, brokers::rabbitmqctl, proxy::Proxy, unique},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_of_rabbitmq() {
    let (user, directory) = (unique("rotated"), tempdir().expect("a temporary directory"));
    rabbit_user(&user, "hunter2-old").await;
    file(directory.path(), "password", "hunter2-old\n");
    let rabbitmq = format!(
        "urls: [\"amqps://{}\"], username: {user}, password: \"${{dir:{}:password}}\", tls: {{ ca_file: {} }}",
        amqps(),
        directory.path().display(),
        ca_file()
    );
    let kafka = format!("bootstrap_servers: \"{}\"", support::bootstrap_servers());
    let mut journey = Journey::begin(&rabbitmq, &kafka, &["hunter2"]).await;
    rabbitmqctl(&["change_password", &user, "hunter2-new"]).await;
    journey.goes_on().await;
    rabbitmqctl(&["close_all_user_connections", &user, "the password has changed"]).await;
    journey.gantry.wait_for_state("b", "failed").await;
    journey.publish(300).await;
    file(directory.path(), "password", "hunter2-new\n");
    journey.goes_on().await;
    journey.ends_well().await;
    rabbitmqctl(&["delete_user", &user]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_for_rabbitmq() {
    let (old, new, directory) = (unique("old"), unique("new"), tempdir().expect("a temporary directory"));
    rabbit_user(&old, "unused").await;
    rabbit_user(&new, "unused").await;
    let authority = Authority::of_the_brokers();
    let files = authority.client(&old).write(directory.path(), "client");
    let rabbitmq = format!(
        "urls: [\"amqps://{}\"], auth_mechanism: external, \
         tls: {{ ca_file: {}, certificate_file: {}, key_file: {} }}",
        amqps(),
        ca_file(),
        files.certificate,
        files.key
    );
    let kafka = format!("bootstrap_servers: \"{}\"", support::bootstrap_servers());
    let mut journey = Journey::begin(&rabbitmq, &kafka, &["PRIVATE KEY"]).await;
    authority.client(&new).write(directory.path(), "client");
    rabbitmqctl(&["close_all_user_connections", &old, "the certificate has changed"]).await;
    rabbitmqctl(&["delete_user", &old]).await;
    journey.goes_on().await;
    journey.ends_well().await;
    rabbitmqctl(&["delete_user", &new]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_of_kafka() {
    let (user, directory) = (unique("rotated"), tempdir().expect("a temporary directory"));
    scram_user(&user, "hunter2-old").await;
    let path = file(directory.path(), "password", "hunter2-old");
    let wire = Proxy::start_on(kafka_secure_proxy_port(), &kafka_secure_behind_proxy(), 1).await;
    let kafka = format!(
        "bootstrap_servers: \"127.0.0.1:{}\", tls: {{ ca_file: {} }}, \
         sasl: {{ mechanism: SCRAM-SHA-512, username: {user}, password: \"${{file:{path}}}\" }}",
        wire.port(),
        ca_file()
    );
    let rabbitmq = format!("urls: [\"{}\"]", support::amqp_url());
    let mut journey = Journey::begin(&rabbitmq, &kafka, &["hunter2"]).await;
    scram_user(&user, "hunter2-new").await;
    journey.goes_on().await;
    file(directory.path(), "password", "hunter2-new");
    wire.cut();
    journey.goes_on().await;
    journey.ends_well().await;
}
