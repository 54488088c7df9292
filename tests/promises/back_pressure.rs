//! What is in flight is bounded, and a pause holds messages back where they are.

use crate::{
    bridge,
    support::{SOON, eventually, gantry::Gantry, kafka, oracle, rabbit::Rabbit, unique, while_it_goes_on},
};

#[tokio::test(flavor = "multi_thread")]
async fn i4_credit_bounds_what_is_in_flight() {
    let (queue, topic) = (unique("credit"), unique("credit"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish_sequence(&queue, 0, 50_000, 200).await;

    let limits = "limits: { in_flight: 300, in_flight_bytes: 100KiB, batch: 100, batch_bytes: 50KiB }";
    let gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), limits));
    let mut highest = 0f64;
    while_it_goes_on("the queue is moved", SOON, 50_000, async || {
        for _ in 0..20 {
            highest = highest.max(gantry.metric("gantry_records_in_flight", "b").unwrap_or(0.0));
        }
        kafka::count(&topic)
    })
    .await;
    assert!(highest > 0.0, "the scrapes saw records in flight");
    assert!(highest <= 300.0, "{highest} records were in flight");
    rabbit.wait_until_empty(&queue).await;
    oracle::assert_nothing_lost(&kafka::read_all(&topic), 50_000);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

/// Pauses, resumes and restarts at whatever moment they come: what was here goes through, so nothing goes back.
#[tokio::test(flavor = "multi_thread")]
async fn pauses_and_restarts_in_full_flow_give_nothing_back() {
    let (queue, topic) = (unique("planned"), unique("planned"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    let gantry = Gantry::ready(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), "")).await;
    let accepted = |method: &str, path: &str| {
        let status = gantry.request(method, path).map(|(status, _)| status);
        assert!(status.is_some_and(|status| (200..300).contains(&status)), "{path}: {status:?}");
    };
    const ROUND: u64 = 5_000;
    for round in 0..6 {
        rabbit.publish_sequence(&queue, round * ROUND, (round + 1) * ROUND, 200).await;
        accepted("PUT", "/connectors/b/pause");
        gantry.wait_for_state("b", "paused").await;
        assert_eq!(gantry.metric("gantry_records_in_flight", "b"), Some(0.0), "a pause holds nothing");
        accepted("PUT", "/connectors/b/resume");
        accepted("POST", "/connectors/b/restart?includeTasks=true");
    }
    rabbit.wait_until_empty(&queue).await;
    let arrived = oracle::assert_nothing_lost(&kafka::read_all(&topic), 6 * ROUND);
    assert_eq!((arrived.duplicates, gantry.metric("gantry_records_returned_total", "b")), (0, Some(0.0)));
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_keeps_messages_and_resume_moves_them() {
    let (queue, topic) = (unique("pause"), unique("pause"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    let gantry = Gantry::ready(&bridge(&format!("queue: {queue}, prefetch: 10"), &format!("topic: {topic}"), "")).await;

    assert_eq!(gantry.request("PUT", "/connectors/b/pause").map(|(status, _)| status), Some(202));
    gantry.wait_for_state("b", "paused").await;
    rabbit.publish_sequence(&queue, 0, 100, 100).await;
    eventually("all wait in the queue", SOON, async || (rabbit.ready(&queue).await == 100).then_some(())).await;
    assert_eq!(kafka::count(&topic), Some(0), "nothing moves while paused");

    assert_eq!(gantry.request("PUT", "/connectors/b/resume").map(|(status, _)| status), Some(202));
    rabbit.wait_until_empty(&queue).await;
    assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&topic), 100).duplicates, 0);

    assert_eq!(gantry.request("PUT", "/connectors/b/stop").map(|(status, _)| status), Some(204));
    gantry.wait_for_state("b", "stopped").await;
    rabbit.publish_sequence(&queue, 100, 110, 100).await;
    eventually("all wait in the queue", SOON, async || (rabbit.ready(&queue).await == 10).then_some(())).await;
    assert_eq!(gantry.request("PUT", "/connectors/b/resume").map(|(status, _)| status), Some(202));
    rabbit.wait_until_empty(&queue).await;
    assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&topic), 110).duplicates, 0);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}
