//! Whether a librdkafka client knows any broker still.
//!
//! A Kafka that goes down may answer a last question for metadata with topics and no broker. librdkafka then forgets every
//! broker that it knew, and what should bring back those of `bootstrap.servers` may come too early and find them there
//! still. From then on it has nobody to connect to, and waits for ever without an error:
//! <https://github.com/confluentinc/librdkafka/issues/5301>. Only its statistics show that.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rdkafka::ClientConfig;
use serde::Deserialize;

/// How often librdkafka says how it is and how far behind, and with that how old the lag may be.
const INTERVAL: Duration = Duration::from_secs(5);

/// Statistics without a broker, one after the other, until it is certain: between forgetting and finding again there may be
/// a moment.
const CERTAIN: u32 = 2;

/// What the statistics of one client say of its brokers.
#[derive(Debug, Default)]
pub(crate) struct Brokers {
    /// So many in a row knew no broker.
    none: AtomicU32,
}

#[derive(Deserialize)]
struct Statistics {
    brokers: HashMap<String, Broker>,
}

#[derive(Deserialize)]
struct Broker {
    source: String,
}

/// A client of this configuration gives statistics.
pub(crate) fn ask_for_statistics(config: &mut ClientConfig) {
    config.set("statistics.interval.ms", INTERVAL.as_millis().to_string());
}

impl Brokers {
    /// Takes in librdkafka's statistics (its `STATISTICS.md`). What cannot be read says nothing.
    pub(crate) fn take(&self, statistics: &[u8]) {
        let Ok(Statistics { brokers }) = serde_json::from_slice(statistics) else { return };
        // A logical one stands for a group's coordinator, and has no address of its own.
        if brokers.values().any(|broker| matches!(broker.source.as_str(), "learned" | "configured")) {
            self.none.store(0, Ordering::Relaxed);
        } else {
            self.none.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Why this client will not work again, if it knows no broker any more.
    pub(crate) fn lost(&self) -> Option<&'static str> {
        (self.none.load(Ordering::Relaxed) >= CERTAIN)
            .then_some("the client library has forgotten every broker (librdkafka issue 5301) and starts anew")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(sources: &[&str]) -> String {
        let broker =
            |(number, source)| format!(r#""b{number}":{{"nodeid":{number},"source":"{source}","state":"UP"}}"#);
        let brokers: Vec<_> = sources.iter().enumerate().map(broker).collect();
        format!(r#"{{"name":"x","brokers":{{{}}},"topics":{{}}}}"#, brokers.join(","))
    }

    #[test]
    fn a_client_without_a_broker_is_lost_for_certain() {
        let brokers = Brokers::default();
        for sources in [&["configured"][..], &["learned", "logical"], &["logical"]] {
            brokers.take(statistics(sources).as_bytes());
            assert_eq!(brokers.lost(), None, "{sources:?}");
        }
        brokers.take(b"rubbish");
        assert_eq!(brokers.lost(), None, "that says nothing");
        brokers.take(statistics(&["logical"]).as_bytes());
        assert!(brokers.lost().is_some());
        brokers.take(statistics(&["configured"]).as_bytes());
        assert_eq!(brokers.lost(), None, "it found one again");
        brokers.take(statistics(&[]).as_bytes());
        brokers.take(statistics(&[]).as_bytes());
        assert!(brokers.lost().is_some());
    }
}
