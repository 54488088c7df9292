//! Encrypted connections and log-ins, by the real binary against the real listeners of both brokers. What a broker with a
//! good certificate cannot show is played by a TLS server of the test's own.
//!
//! Every test of delivery ends with the oracle. Every test of a refusal looks for secrets in whatever Gantry shows.

#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod imposter;
mod journey;
mod kafka;
mod provider;
mod rabbitmq;
mod rotation;
mod way_back;

/// `host:port` of an encrypted listener; its port on a machine where nothing else is said.
fn listener(name: &str, usual: u16) -> String {
    std::env::var(name).unwrap_or_else(|_| format!("127.0.0.1:{usual}"))
}

/// RabbitMQ's; it takes every client, and logs those in by certificate who show one.
fn amqps() -> String {
    listener("GANTRY_TEST_AMQPS", 21671)
}

/// Kafka's that asks for a client certificate.
fn kafka_tls() -> String {
    listener("GANTRY_TEST_KAFKA_TLS", 21096)
}

/// Kafka's that asks for a log-in.
fn kafka_secure() -> String {
    listener("GANTRY_TEST_KAFKA_SECURE", 21097)
}

/// The same for clients of a proxy on [`kafka_secure_proxy_port`]; SCRAM-SHA-512 is the only way in.
fn kafka_secure_behind_proxy() -> String {
    listener("GANTRY_TEST_KAFKA_SECURE_BEHIND_PROXY", 21098)
}

fn kafka_secure_proxy_port() -> u16 {
    let port = std::env::var("GANTRY_TEST_KAFKA_SECURE_PROXY_PORT").unwrap_or_else(|_| "21099".to_owned());
    port.parse().expect("GANTRY_TEST_KAFKA_SECURE_PROXY_PORT is a port")
}

/// Gives the user of Kafka that password, by both ways of SCRAM; makes him if he is new.
async fn scram_user(name: &str, password: &str) {
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let credential = format!("{mechanism}=[password={password}]");
        let user = ["--entity-type", "users", "--entity-name", name];
        let arguments = [&["kafka-configs", "--alter"], user.as_slice(), &["--add-config", &credential]].concat();
        support::brokers::run(&arguments).await;
    }
}

/// A user of RabbitMQ who may do everything with queues.
async fn rabbit_user(name: &str, password: &str) {
    support::brokers::rabbitmqctl(&["add_user", name, password]).await;
    support::brokers::rabbitmqctl(&["set_permissions", name, ".*", ".*", ".*"]).await;
}
