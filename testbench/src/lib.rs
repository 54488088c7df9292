//! What tests of every crate need: real brokers, broken wires to them, free ports, and the oracle that judges what arrived.
//!
//! - Only tests and the benchmark depend on it. It knows no crate of Gantry's, so every crate may use it.
//! - A test that finds no broker fails and says what to do; it never skips. Everything here panics when it fails.
//! - Nothing sleeps for luck: [`eventually`] waits for a condition with a deadline.
//! - Which brokers: the environment says it (`scripts/brokers env`), else they are on the usual ports of this repository's.

pub mod brokers;
pub mod feed;
pub mod kafka;
pub mod oracle;
pub mod proxy;
pub mod queue;
pub mod rabbit;
pub mod random;

mod ports;

pub use ports::free_port;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long a test waits for something that should happen at once on an idle machine, and may take a while on a busy one. Only a
/// failure waits so long.
pub const SOON: Duration = Duration::from_secs(180);

/// RabbitMQ's address for the tests.
pub fn amqp_url() -> String {
    std::env::var("GANTRY_TEST_AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:21672/%2f".to_owned())
}

/// Kafka's address for the tests.
pub fn bootstrap_servers() -> String {
    std::env::var("GANTRY_TEST_KAFKA").unwrap_or_else(|_| "127.0.0.1:21092".to_owned())
}

/// `host:port` of RabbitMQ, for a proxy to forward to.
pub fn amqp_address() -> String {
    let url = amqp_url();
    let place = url.rsplit('@').next().and_then(|rest| rest.split('/').next());
    place.expect("split gives something").to_owned()
}

/// Kafka's listener that tells clients to connect to [`kafka_proxy_port`].
pub fn kafka_behind_proxy() -> String {
    std::env::var("GANTRY_TEST_KAFKA_BEHIND_PROXY").unwrap_or_else(|_| "127.0.0.1:21094".to_owned())
}

/// Where a test that wants to stand between Kafka and its clients has to listen.
pub fn kafka_proxy_port() -> u16 {
    let port = std::env::var("GANTRY_TEST_KAFKA_PROXY_PORT").unwrap_or_else(|_| "21095".to_owned());
    port.parse().expect("GANTRY_TEST_KAFKA_PROXY_PORT is a port")
}

/// The three-node Kafka, once [`brokers::cluster_up`] has started it; and where its users log in.
pub fn cluster_servers() -> (String, String) {
    let servers = |name, base: u16| {
        let usual = || [1, 2, 3].map(|node| format!("127.0.0.1:{}", base + node)).join(",");
        std::env::var(name).unwrap_or_else(|_| usual())
    };
    (servers("GANTRY_TEST_KAFKA_CLUSTER", 21100), servers("GANTRY_TEST_KAFKA_CLUSTER_SASL", 21110))
}

/// RabbitMQ's management API for the tests.
pub fn management_url() -> String {
    std::env::var("GANTRY_TEST_RABBITMQ_MANAGEMENT").unwrap_or_else(|_| "http://127.0.0.1:21673".to_owned())
}

/// A name that no other test and no earlier run has.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    format!("{what}-{}-{millis}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Asks again and again until the answer is there.
///
/// # Panics
/// When the deadline passes; the message says what was waited for.
pub async fn eventually<T>(what: &str, deadline: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < deadline, "waited {deadline:?} for this: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asks again and again how far it is, until it is as far as `enough` says. As long as it goes on it may take its time: a machine
/// may be slow, and what stands still for `patience` is a fault.
///
/// # Panics
/// When it stands still for so long; the message says what was waited for, and how far it came.
pub async fn while_it_goes_on(what: &str, patience: Duration, enough: i64, mut ask: impl AsyncFnMut() -> Option<i64>) {
    let (mut furthest, mut moved) = (None, Instant::now());
    loop {
        let now = ask().await;
        if now >= Some(enough) {
            return;
        }
        if now > furthest {
            (furthest, moved) = (now, Instant::now());
        }
        assert!(moved.elapsed() < patience, "nothing moved for {patience:?}, at {furthest:?} of {enough}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
