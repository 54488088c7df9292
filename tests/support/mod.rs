//! The harness: real brokers, the real binary, and the oracle that judges what arrived.
//!
//! A test that finds no broker fails and says what to do; it never skips. Nothing sleeps for luck: [`eventually`] waits for
//! a condition with a deadline.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod gantry;
pub mod kafka;
pub mod oracle;
pub mod rabbit;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long a test waits for something that should happen at once on an idle machine, and may take a while on a busy one.
pub const SOON: Duration = Duration::from_secs(60);

/// RabbitMQ's address for the tests.
pub fn amqp_url() -> String {
    std::env::var("GANTRY_TEST_AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:21672/%2f".to_owned())
}

/// Kafka's address for the tests.
pub fn bootstrap_servers() -> String {
    std::env::var("GANTRY_TEST_KAFKA").unwrap_or_else(|_| "127.0.0.1:21092".to_owned())
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
