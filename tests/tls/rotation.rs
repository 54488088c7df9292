//! What proves who a bridge is changes while it runs: it takes the new at its next connect, without a restart.

use tempfile::{TempDir, tempdir};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    amqps,
    certificates::{Authority, ca_file},
    journey::{Journey, file},
    kafka_secure_behind_proxy, kafka_secure_proxy_port, rabbit_user, scram_user,
    support::{self, brokers::rabbitmqctl, proxy::Proxy, unique},
    way_back::WayBack,
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

/// The one who has the port of the proxy.
static PROXY: Mutex<()> = Mutex::const_new(());

/// A user of Kafka whose password is in a file, behind a wire that can be cut.
struct KafkaUser {
    name: String,
    directory: TempDir,
    wire: Proxy,
    _alone: MutexGuard<'static, ()>,
}

impl KafkaUser {
    async fn new() -> Self {
        let (alone, name) = (PROXY.lock().await, unique("rotated"));
        scram_user(&name, "hunter2-old").await;
        let directory = tempdir().expect("a temporary directory");
        file(directory.path(), "password", "hunter2-old");
        let wire = Proxy::start_on(kafka_secure_proxy_port(), &kafka_secure_behind_proxy(), 1).await;
        Self { name, directory, wire, _alone: alone }
    }

    fn connection(&self) -> String {
        format!(
            "bootstrap_servers: \"127.0.0.1:{}\", tls: {{ ca_file: {} }}, \
             sasl: {{ mechanism: SCRAM-SHA-512, username: {}, password: \"${{file:{}/password}}\" }}",
            self.wire.port(),
            ca_file(),
            self.name,
            self.directory.path().display()
        )
    }

    /// Kafka knows the new password only, and asks for it at the next connect.
    async fn changes(&self) {
        scram_user(&self.name, "hunter2-new").await;
    }

    /// Whoever renews it has written it down; every connection ends.
    fn is_told(&self) {
        file(self.directory.path(), "password", "hunter2-new");
        self.wire.cut();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_of_kafka() {
    let user = KafkaUser::new().await;
    let rabbitmq = format!("urls: [\"{}\"]", support::amqp_url());
    let mut journey = Journey::begin(&rabbitmq, &user.connection(), &["hunter2"]).await;
    user.changes().await;
    journey.goes_on().await;
    user.is_told();
    journey.goes_on().await;
    journey.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_of_kafka_for_the_way_back() {
    let user = KafkaUser::new().await;
    let rabbitmq = format!("urls: [\"{}\"]", support::amqp_url());
    let mut way = WayBack::begin(&user.connection(), &rabbitmq, &["hunter2"]).await;
    user.changes().await;
    way.goes_on().await;
    user.is_told();
    way.goes_on().await;
    way.ends_well().await;
}
