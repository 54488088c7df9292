//! The control port, as a black box: Kafka Connect's paths, codes and shapes, health, metrics, and `gantry status`.
//!
//! Needs no broker: bridges go from `generate` to `null`, and one has a broker that is not there.

#[path = "../../support/http.rs"]
mod http;
#[path = "../../support/mod.rs"]
mod support;

mod changes;
mod crowd;
mod errors;
mod health;
mod metrics;
mod reads;
mod site;
mod status;

use serde_json::Value as Json;

use http::get;
use support::{SOON, eventually, gantry::Gantry};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Two bridges that work without a broker.
const TWO: &str = r#"
bridges:
  letters: { source: { generate: { rate: 200, size: 100B } }, sink: { "null": {} } }
  numbers: { tasks: 2, source: { generate: { rate: 200, size: 64B } }, sink: { "null": {} } }
"#;

/// One that works, and one whose broker is not there: nothing listens on port 1.
const ONE_AWAY: &str = r#"
bridges:
  near: { source: { generate: { rate: 10 } }, sink: { "null": {} } }
  away: { source: { rabbitmq: { connection: { urls: ["amqp://127.0.0.1:1"] }, queue: orders } }, sink: { "null": {} } }
"#;

async fn two() -> (Gantry, u16) {
    let gantry = Gantry::ready(TWO).await;
    let port = gantry.port();
    (gantry, port)
}

/// Asks for the status until the connector and all its tasks are in these states.
async fn wait_for(port: u16, name: &str, connector: &str, tasks: &[&str]) {
    let what = format!("connector {name} is {connector} and its tasks {tasks:?}");
    let is_so = || {
        let status = get(port, &format!("/connectors/{name}/status")).json();
        let own: Vec<_> = status["tasks"].as_array()?.iter().map(|task| task["state"].as_str().unwrap_or("")).collect();
        (status["connector"]["state"] == connector && own == tasks).then_some(())
    };
    eventually(&what, SOON, async || is_so()).await;
}

/// The connector's state, then its tasks'.
fn states(status: &Json) -> Vec<&str> {
    let tasks = status["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    std::iter::once(&status["connector"]).chain(tasks).map(|own| own["state"].as_str().unwrap_or_default()).collect()
}

/// The value of a series in a fresh scrape.
fn metric(port: u16, series: &str) -> f64 {
    value(&get(port, "/metrics").body, series)
}

/// The value of a series, named with its labels.
fn value(scrape: &str, series: &str) -> f64 {
    let line = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {series} in:\n{scrape}"))
}
