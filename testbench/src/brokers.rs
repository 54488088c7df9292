//! Stopping, killing and starting the brokers that the tests use.

use std::{path::Path, process::Command};

/// `scripts/brokers ARGUMENTS`: what was asked for is done when it returns. Its standard output.
///
/// # Panics
/// When the script fails.
pub async fn run(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/brokers");
    let what = format!("scripts/brokers {}", arguments.join(" "));
    let mut command = Command::new(script);
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("not cancelled");
    let output = output.expect("scripts/brokers runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {said}");
    // Among the output of a test that fails later, and with --nocapture.
    if said.contains("warning:") {
        eprintln!("{what}: {said}");
    }
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// RabbitMQ's own tool.
pub async fn rabbitmqctl(arguments: &[&str]) {
    run(&[&["rabbitmqctl"], arguments].concat()).await;
}

/// Sets the limit of a message's body; [`usual_max_message_size`] is what it was. RabbitMQ 3 reads the setting when a channel opens,
/// RabbitMQ 4 when it starts, into a persistent term, which counts from then on.
pub async fn max_message_size(bytes: usize) {
    let setting = format!("application:set_env(rabbit, max_message_size, {bytes})");
    rabbitmqctl(&["eval", &format!("{setting}, persistent_term:put(max_message_size, {bytes}).")]).await;
}

/// What RabbitMQ begins with: 128 MiB, and 16 MiB since 4.0.
pub fn usual_max_message_size() -> usize {
    if super::rabbit::major_version() < 4 { 134_217_728 } else { 16_777_216 }
}

/// Starts the three-node Kafka if it does not run. It goes down with the other brokers.
pub async fn cluster_up() {
    run(&["cluster", "up"]).await;
}
