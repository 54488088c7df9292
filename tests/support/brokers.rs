//! Stopping, killing and starting the brokers that the tests use.

use std::{path::Path, process::Command};

/// `scripts/brokers ARGUMENTS`: what was asked for is done when it returns. Its standard output.
///
/// # Panics
/// When the script fails.
pub async fn run(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/brokers");
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

/// Starts the three-node Kafka if it does not run. It goes down with the other brokers.
pub async fn cluster_up() {
    run(&["cluster", "up"]).await;
}
