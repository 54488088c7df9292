//! Exactly once: whatever dies, a reader of what is committed sees each record once and in order.

use gantry_testbench::{
    bootstrap_servers,
    feed::{self, Feeder},
    kafka::{self, Cluster},
    oracle,
};

use crate::support::{SOON, eventually, gantry::Gantry, unique};

const PARTITIONS: i32 = 3;
const KILLS: i64 = 20;

fn bridge(name: &str, tasks: u32, source: &str, sink: &str) -> String {
    format!(
        r#"connections:
  events: {{ kafka: {{ bootstrap_servers: "{}" }} }}
bridges:
  {name}:
    tasks: {tasks}
    source: {source}
    sink: {{ kafka: {{ connection: events, {sink} }} }}
    delivery: exactly_once
"#,
        bootstrap_servers(),
    )
}

/// Kills it in full flow again and again, until it has written so much that is not thrown away.
async fn kill_again_and_again(gantry: &mut Gantry, topic: &str) {
    for _ in 0..KILLS {
        let before = kafka::count(topic).expect("the topic's count");
        kafka::wait_for_count(topic, before + 1_000).await;
        gantry.kill();
        gantry.start_again();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_copied_once_and_in_order_however_often_gantry_is_killed() {
    const MESSAGES: u64 = 100_000;
    let (topic, copy) = (unique("once-origin"), unique("once-copy"));
    kafka::create_topic(&topic, PARTITIONS).await;
    kafka::create_topic(&copy, 1).await;
    Feeder::new(&Cluster::at(&bootstrap_servers(), 1)).sequence(&topic, PARTITIONS, 0, MESSAGES, 200).await;
    let source = format!("{{ kafka: {{ connection: events, topics: [{topic}] }} }}");
    let mut gantry = Gantry::start(&bridge(&unique("once"), 2, &source, &format!("topic: {copy}")));
    kill_again_and_again(&mut gantry, &copy).await;
    let mut stored = eventually("everything is committed", 3 * SOON, async || {
        let stored = kafka::read_committed(&copy);
        (stored.len() as u64 >= MESSAGES).then_some(stored)
    })
    .await;
    assert!(gantry.terminate().await.success());
    for record in &mut stored {
        record.partition = feed::partition_of(oracle::sequence_of(record), PARTITIONS);
    }
    let verdict = oracle::assert_nothing_lost(&stored, MESSAGES);
    assert_eq!(verdict.duplicates, 0, "{KILLS} kills, and none is there twice");
    assert_eq!(kafka::read_committed(&copy).len() as u64, MESSAGES, "nor comes one after a stop that drains");
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&copy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generator_makes_each_record_once_however_often_gantry_is_killed() {
    let topic = unique("once-made");
    kafka::create_topic(&topic, 1).await;
    let source = "{ generate: { body: '{n}', count: 100000 } }";
    let mut gantry = Gantry::start(&bridge(&unique("once"), 1, source, &format!("topic: {topic}")));
    kill_again_and_again(&mut gantry, &topic).await;
    let stored = eventually("everything is committed", 3 * SOON, async || {
        let stored = kafka::read_committed(&topic);
        (stored.len() >= 100_000).then_some(stored)
    })
    .await;
    let numbers: Vec<u64> = stored
        .iter()
        .map(|record| std::str::from_utf8(record.value.as_deref().expect("a value")).expect("text"))
        .map(|text| text.parse().expect("a number"))
        .collect();
    let first = numbers[0];
    assert!(numbers.iter().copied().eq(first..first + 100_000), "each once and in order: {:?}", &numbers[..20]);
    assert!(gantry.terminate().await.success());
    kafka::delete_topic(&topic).await;
}
