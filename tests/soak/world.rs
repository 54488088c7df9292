//! The service under test, the wires to its brokers, and what may be done to them.

use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    bridges::Bridge,
    fault::Broker,
    support::{self, SOON, eventually, gantry::Gantry, proxy::Proxy, random::Random},
    usage::Usage,
};

/// Everything that faults happen to.
pub(crate) struct World {
    pub(crate) gantry: Gantry,
    pub(crate) bridges: Vec<Bridge>,
    usage: Arc<Usage>,
    rabbit: Proxy,
    kafka: Proxy,
    /// `limits.batch` by bridge: what a reload changes.
    batches: Vec<u64>,
}

impl World {
    /// Starts the service behind two wires without a fault.
    pub(crate) async fn begin(binary: &Path, bridges: Vec<Bridge>, usage: Arc<Usage>, seed: u64) -> Self {
        let rabbit = Proxy::start_on(0, &support::amqp_address(), seed).await;
        let kafka = Proxy::start_on(support::kafka_proxy_port(), &support::kafka_behind_proxy(), seed).await;
        let batches = vec![500; bridges.len()];
        let gantry = Gantry::start_binary(binary, &yaml(&bridges, &batches, &rabbit, &kafka));
        usage.watch(gantry.pid());
        let world = Self { gantry, bridges, usage, rabbit, kafka, batches };
        world.gantry.wait_until_ready().await;
        world
    }

    pub(crate) fn start_again(&mut self) {
        self.gantry.start_again();
        self.usage.watch(self.gantry.pid());
    }

    pub(crate) fn wire(&self, broker: Broker) -> &Proxy {
        match broker {
            Broker::RabbitMq => &self.rabbit,
            Broker::Kafka => &self.kafka,
        }
    }

    /// Waits until it is up so far that it can be steered: a process that starts dies of a SIGHUP.
    async fn answers(&self) {
        eventually("the control port answers", SOON, async || self.gantry.get("/healthz")).await;
    }

    /// Pauses or stops one bridge over REST, and lets it go on after a while.
    pub(crate) async fn steer(&self, action: &str, time: Duration, random: &mut Random) -> Result<(), String> {
        let name = random.one_of(&self.bridges).name;
        self.answers().await;
        self.ask("PUT", &format!("/connectors/{name}/{action}"))?;
        tokio::time::sleep(time).await;
        self.ask("PUT", &format!("/connectors/{name}/resume"))
    }

    /// Restarts one bridge over REST.
    pub(crate) async fn restart_one(&self, random: &mut Random) -> Result<(), String> {
        self.answers().await;
        let name = random.one_of(&self.bridges).name;
        self.ask("POST", &format!("/connectors/{name}/restart?includeTasks=true"))
    }

    fn ask(&self, method: &str, path: &str) -> Result<(), String> {
        match self.gantry.request(method, path) {
            Some((200..=299, _)) => Ok(()),
            other => Err(format!("{method} {path} answered {other:?}")),
        }
    }

    /// Changes one bridge in the file and asks for a reload by SIGHUP.
    pub(crate) async fn reload(&mut self, random: &mut Random) {
        self.answers().await;
        let indices: Vec<_> = (0..self.batches.len()).collect();
        self.batches[*random.one_of(&indices)] = random.between(50, 500);
        self.configure();
        self.gantry.signal("HUP");
    }

    /// A reload of a file that is none, then of the right one.
    pub(crate) async fn reload_badly(&self) {
        self.answers().await;
        self.gantry.configure("bridges: { rubbish: [");
        self.gantry.signal("HUP");
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.configure();
        self.gantry.signal("HUP");
    }

    fn configure(&self) {
        self.gantry.configure(&yaml(&self.bridges, &self.batches, &self.rabbit, &self.kafka));
    }
}

fn yaml(bridges: &[Bridge], batches: &[u64], rabbit: &Proxy, kafka: &Proxy) -> String {
    let url = rabbit.instead_of(&support::amqp_url());
    let mut text = format!(
        r#"shutdown_timeout: 10s
connections:
  rabbit: {{ rabbitmq: {{ urls: ["{url}"], heartbeat: 5s }} }}
  events: {{ kafka: {{ bootstrap_servers: "127.0.0.1:{}", properties: {{ socket.timeout.ms: 10000 }} }} }}
bridges:
"#,
        kafka.port()
    );
    for (bridge, batch) in bridges.iter().zip(batches) {
        text += &bridge.yaml();
        text += &format!("    limits: {{ batch: {batch} }}\n");
    }
    text
}
