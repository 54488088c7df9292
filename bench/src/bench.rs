//! What the runs use: both brokers, and who starts programs.

use std::time::Duration;

use anyhow::Result;

use crate::{contender::Starter, kafka::Kafka, rabbit::Rabbit, route::Route, usage::CpuClock};

/// How long the brokers may take to become quiet after queues were filled and topics removed.
const QUIET_DEADLINE: Duration = Duration::from_secs(30);
/// How long both must be quiet at a stretch.
const QUIET_WINDOW: Duration = Duration::from_millis(500);
/// What counts as quiet: a part of one core. Both brokers' own timers and the management plugin use less.
const QUIET_CORES: f64 = 0.2;

/// Everything that the runs use.
pub(crate) struct Bench {
    pub(crate) rabbit: Rabbit,
    pub(crate) kafka: Kafka,
    pub(crate) starter: Starter,
    pub(crate) brokers: Brokers,
}

/// The CPU time of the brokers, where it can be had.
pub(crate) struct Brokers {
    pub(crate) rabbitmq: Option<CpuClock>,
    pub(crate) kafka: Option<CpuClock>,
}

impl Bench {
    /// Creates the empty queues and topics of a run, and removes them afterwards.
    pub(crate) async fn on<T>(&self, route: &Route, run: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        for queue in route.queues() {
            self.rabbit.create(queue, route.case.queue).await?;
        }
        for topic in route.topics() {
            self.kafka.create(topic).await?;
        }
        let result = run().await?;
        for queue in route.queues() {
            self.rabbit.finish(queue).await?;
        }
        for topic in route.topics() {
            self.kafka.delete(topic).await?;
        }
        Ok(result)
    }

    /// Returns when both brokers have nothing more to do, so that no run pays for what came before it.
    pub(crate) async fn quiet(&self) {
        let started = std::time::Instant::now();
        while started.elapsed() < QUIET_DEADLINE {
            let before = self.brokers.busy();
            tokio::time::sleep(QUIET_WINDOW).await;
            let cores = (self.brokers.busy() - before).as_secs_f64() / QUIET_WINDOW.as_secs_f64();
            if cores < QUIET_CORES {
                return;
            }
        }
        eprintln!("  the brokers are still busy after {QUIET_DEADLINE:?}; measuring all the same");
    }
}

impl Brokers {
    /// The CPU time of both.
    pub(crate) fn busy(&self) -> Duration {
        [&self.rabbitmq, &self.kafka].into_iter().flatten().map(CpuClock::read).sum()
    }
}
