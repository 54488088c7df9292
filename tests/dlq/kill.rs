//! A replay that is killed loses nothing.

use std::time::Duration;

use crate::{
    bridge,
    command::{count, dlq, start},
    kafka_letters, rabbit_letters,
    support::{SOON, eventually, gantry::Gantry, kafka, oracle, rabbit::Rabbit, unique},
};

const LETTERS: u64 = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_the_middle_repeats_some_and_loses_none() {
    let dead = unique("dead");
    kafka::create_topic(&dead, 1).await;
    kill_three_replays(&kafka_letters(&dead), None).await;
    kafka::delete_topic(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_no_letter_of_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("dead.jsonl");
    kill_three_replays(&format!("{{ file: {{ path: {} }} }}", path.display()), None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_no_letter_of_a_queue() {
    let dead = unique("dead");
    kill_three_replays(&rabbit_letters(&dead), Some(&dead)).await;
    Rabbit::connect().await.delete(&dead).await;
}

/// `held` is a queue of letters: what a replay held is back only when RabbitMQ has noticed its end.
async fn kill_three_replays(letters: &str, held: Option<&str>) {
    let (queue, topic) = (unique("kill"), unique("kill"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish_sequence(&queue, 0, LETTERS, 200).await;
    let gantry = Gantry::start(&bridge(&queue, "", "\"{header.nowhere}\"", letters));
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("b");
    let config = gantry.directory().join("gantry.yaml");
    // Small batches, so that there is a middle.
    let mended = bridge(&queue, "", &topic, letters);
    gantry.configure(&mended.replace("    errors:", "    limits: { batch: 20, in_flight: 40 }\n    errors:"));

    // Each kill waits until some arrived that were not there before.
    let mut arrived = 0;
    for _ in 0..3 {
        let mut replay = start(&config, &["replay", "--yes"]);
        let more = arrived + LETTERS / 20;
        arrived = eventually("some letters are replayed", SOON, async || {
            let ended = replay.try_wait().expect("asking for its end").is_some();
            let end = kafka_end(&topic).await;
            (end >= more || ended).then_some(end)
        })
        .await;
        replay.kill().expect("killing it");
        replay.wait().expect("its end");
        if let Some(dead) = held {
            eventually("what was held is back", SOON, async || {
                // What is not there any more has arrived.
                (u64::from(rabbit.ready(dead).await) + kafka_end(&topic).await >= LETTERS).then_some(())
            })
            .await;
        }
    }
    let left = count(&config);
    assert!(left > 0 && left < LETTERS, "{left} left: the kills were not in the middle");
    let rest = dlq(&config, &["replay", "--yes"]);
    assert_eq!(rest.code, Some(0), "{rest:?}");
    let verdict = oracle::assert_nothing_lost(&kafka::read_all(&topic), LETTERS);
    assert!(verdict.duplicates <= 3 * 40, "more came twice than were in flight: {verdict:?}");
    let again = dlq(&config, &["replay", "--yes"]);
    assert!(again.out.contains("nothing to replay"), "{again:?}");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

/// How many records the topic holds, off this thread.
async fn kafka_end(topic: &str) -> u64 {
    let topic = topic.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        use rdkafka::consumer::{BaseConsumer, Consumer as _};
        let mut config = rdkafka::ClientConfig::new();
        let consumer: BaseConsumer =
            config.set("bootstrap.servers", crate::support::bootstrap_servers()).create().expect("a consumer");
        let ask = || consumer.fetch_watermarks(&topic, 0, Duration::from_secs(10)).ok();
        crate::support::kafka::answer("the topic's ends", ask).1
    });
    u64::try_from(read.await.expect("no panic")).expect("an end")
}
