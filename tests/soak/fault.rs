//! What can happen to a service and its brokers, and how each is done.

use std::{fmt, time::Duration};

use tokio::time::sleep;

use crate::{
    support::{brokers, proxy::Faults, random::Random},
    world::World,
};

/// Something that goes wrong, or that an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// SIGKILL, and started again.
    Killed,
    /// SIGTERM, and started again.
    Terminated,
    /// SIGSTOP for a while: a machine that swaps, a container that is throttled.
    Frozen,
    /// One bridge over REST, like the next two.
    Paused,
    Stopped,
    Restarted,
    /// SIGHUP with one bridge changed.
    Reloaded,
    /// SIGHUP with a file that is not a configuration, then with the right one.
    ReloadedBadly,
    BrokerRestarted(Broker),
    BrokerKilled(Broker),
    /// RabbitMQ takes nothing from publishers.
    MemoryAlarm,
    Wire(Broker, WireFault),
}

/// Who is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Broker {
    RabbitMq,
    Kafka,
}

/// What happens to the connections to a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WireFault {
    /// Cut once a second.
    Cut,
    /// Cut, and nobody answers for a while.
    Refused,
    /// Half-open.
    Silent,
    Latency,
    Throttled,
    /// One chunk in a hundred resets its connection.
    Resets,
}

const BROKERS: [Broker; 2] = [Broker::RabbitMq, Broker::Kafka];

const WIRE_FAULTS: [WireFault; 6] = [
    WireFault::Cut,
    WireFault::Refused,
    WireFault::Silent,
    WireFault::Latency,
    WireFault::Throttled,
    WireFault::Resets,
];

impl Fault {
    /// Every fault there is. Each comes as often as the others.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![
            Self::Killed,
            Self::Terminated,
            Self::Frozen,
            Self::Paused,
            Self::Stopped,
            Self::Restarted,
            Self::Reloaded,
            Self::ReloadedBadly,
            Self::MemoryAlarm,
        ];
        for broker in BROKERS {
            all.extend([Self::BrokerRestarted(broker), Self::BrokerKilled(broker)]);
            all.extend(WIRE_FAULTS.map(|fault| Self::Wire(broker, fault)));
        }
        all
    }

    /// Lets it happen and pass. `Err` when the world does not do what it should even so.
    pub(crate) async fn happen(self, world: &mut World, random: &mut Random) -> Result<(), String> {
        match self {
            Self::Killed => {
                world.gantry.kill();
                world.start_again();
            }
            Self::Terminated => {
                let status = world.gantry.terminate().await;
                world.start_again();
                // 3: it could not drain in time, which a broken sink may well cause.
                if !matches!(status.code(), Some(0 | 3)) {
                    return Err(format!("after SIGTERM it ended with {status}"));
                }
            }
            Self::Frozen => {
                world.gantry.signal("STOP");
                sleep(seconds(random, 2, 40)).await;
                world.gantry.signal("CONT");
            }
            Self::Paused => world.steer("pause", seconds(random, 1, 10), random).await?,
            Self::Stopped => world.steer("stop", seconds(random, 1, 10), random).await?,
            Self::Restarted => world.restart_one(random).await?,
            Self::Reloaded => world.reload(random).await,
            Self::ReloadedBadly => world.reload_badly().await,
            Self::BrokerRestarted(broker) => drop(brokers::run(&["restart", broker.script_name()]).await),
            Self::BrokerKilled(broker) => {
                brokers::run(&["kill", broker.script_name()]).await;
                sleep(seconds(random, 0, 8)).await;
                brokers::run(&["start", broker.script_name()]).await;
            }
            Self::MemoryAlarm => {
                brokers::rabbitmqctl(&["set_vm_memory_high_watermark", "0.00001"]).await;
                sleep(seconds(random, 3, 10)).await;
                // RabbitMQ's own default.
                brokers::rabbitmqctl(&["set_vm_memory_high_watermark", "0.4"]).await;
            }
            Self::Wire(broker, fault) => fault.happen(world.wire(broker), random).await,
        }
        Ok(())
    }
}

impl WireFault {
    async fn happen(self, wire: &crate::support::proxy::Proxy, random: &mut Random) {
        let healthy = Faults::default();
        match self {
            Self::Cut => {
                for _ in 0..random.between(3, 30) {
                    wire.cut();
                    sleep(Duration::from_secs(1)).await;
                }
                return;
            }
            Self::Refused => {
                wire.set(Faults { refuse: true, ..healthy });
                wire.cut();
            }
            Self::Silent => wire.set(Faults { silent: true, ..healthy }),
            Self::Latency => {
                let latency = Duration::from_millis(random.between(50, 2_000));
                wire.set(Faults { latency, ..healthy });
            }
            Self::Throttled => {
                let bytes_per_second = random.between(10_000, 200_000);
                wire.set(Faults { bytes_per_second, ..healthy });
            }
            Self::Resets => wire.set(Faults { resets: 100, ..healthy }),
        }
        sleep(seconds(random, 3, 30)).await;
        wire.heal();
    }
}

impl Broker {
    const fn script_name(self) -> &'static str {
        match self {
            Self::RabbitMq => "rabbitmq",
            Self::Kafka => "kafka",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed => f.write_str("gantry: kill -9"),
            Self::Terminated => f.write_str("gantry: SIGTERM"),
            Self::Frozen => f.write_str("gantry: frozen"),
            Self::Paused => f.write_str("one bridge: pause, resume"),
            Self::Stopped => f.write_str("one bridge: stop, resume"),
            Self::Restarted => f.write_str("one bridge: restart"),
            Self::Reloaded => f.write_str("reload of a change"),
            Self::ReloadedBadly => f.write_str("reload of rubbish"),
            Self::BrokerRestarted(broker) => write!(f, "{broker}: restart"),
            Self::BrokerKilled(broker) => write!(f, "{broker}: kill -9"),
            Self::MemoryAlarm => f.write_str("RabbitMQ: memory alarm"),
            Self::Wire(broker, fault) => write!(f, "{broker}: {fault}"),
        }
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RabbitMq => "RabbitMQ",
            Self::Kafka => "Kafka",
        })
    }
}

impl fmt::Display for WireFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "cut every second",
            Self::Refused => "connections refused",
            Self::Silent => "half-open connections",
            Self::Latency => "latency",
            Self::Throttled => "little bandwidth",
            Self::Resets => "1 % resets",
        })
    }
}

fn seconds(random: &mut Random, from: u64, to: u64) -> Duration {
    Duration::from_millis(random.between(from * 1_000, to * 1_000))
}
