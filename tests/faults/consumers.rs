//! Connections, channels and consumers that end while the brokers stay up.

use lapin::{options::QueueDeleteOptions, types::FieldTable};

use crate::{
    Scene,
    support::{self, SOON, eventually, kafka, rabbit},
};

/// Names of the connections that gantry has open now.
pub(crate) fn connections_of_gantry() -> Vec<String> {
    let connections = rabbit::management("/api/connections").unwrap_or_default();
    let of_gantry = connections.as_array().into_iter().flatten().filter(|connection| {
        connection["client_properties"]["connection_name"].as_str().is_some_and(|name| name.starts_with("gantry"))
    });
    of_gantry.filter_map(|connection| connection["name"].as_str().map(str::to_owned)).collect()
}

pub(crate) fn close_connection(name: &str) {
    let escaped: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let url = format!("{}/api/connections/{escaped}", support::management_url());
    // guest:guest. It may be gone already: then there is nothing to close.
    let _ = ureq::delete(&url).header("Authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=").call();
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_closed_by_the_broker_again_and_again() {
    let scene = Scene::begin(60_000).await;
    for round in 1..=3 {
        let epoch = async || scene.gantry.bridge("b")?["tasks"][0]["epoch"].as_u64();
        let before = epoch().await;
        let names = eventually("gantry's connection is listed", SOON, async || {
            Some(connections_of_gantry()).filter(|names| !names.is_empty())
        })
        .await;
        names.iter().for_each(|name| close_connection(name));
        eventually("a new epoch", SOON, async || (epoch().await > before).then_some(())).await;
        kafka::wait_for_count(&scene.topic, 500 + round * 1_000).await;
    }
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_deleted_and_made_again_while_running() {
    let mut scene = Scene::begin(5_000).await;
    scene.rabbit.wait_until_empty(&scene.queue).await;
    let deleted = scene.rabbit.channel.queue_delete(scene.queue.as_str().into(), QueueDeleteOptions::default()).await;
    deleted.expect("deleting the queue");
    let error = scene.gantry.wait_for_state("b", "failed").await;
    assert!(error.contains(&scene.queue), "{error}");
    scene.rabbit.queue_with(&scene.queue, FieldTable::default()).await;
    scene.rabbit.publish_sequence(&scene.queue, 5_000, 6_000, 200).await;
    scene.messages = 6_000;
    scene.judge().await;
}
