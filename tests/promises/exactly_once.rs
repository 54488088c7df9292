//! Exactly once: whatever dies, a reader of what is committed sees each record once and in order.

use gantry_testbench::{
    bootstrap_servers,
    feed::{self, Feeder},
    kafka::{self, Cluster, Stored},
    oracle,
};

use crate::support::{SOON, gantry::Gantry, unique, while_it_goes_on};

const PARTITIONS: i32 = 3;
const KILLS: u64 = 20;
/// Records that come for each life.
const A_LIFE: u64 = 3_000;
const MESSAGES: u64 = KILLS * A_LIFE;

fn bridge(name: &str, source: &str, topic: &str) -> String {
    format!(
        r#"connections:
  events: {{ kafka: {{ bootstrap_servers: "{}" }} }}
bridges:
  {name}:
    source: {source}
    sink: {{ kafka: {{ connection: events, topic: {topic} }} }}
    delivery: exactly_once
"#,
        bootstrap_servers(),
    )
}

/// What readers of what is committed see, once it is all there.
async fn all_of(topic: &str) -> Vec<Stored> {
    let mut stored = Vec::new();
    let all = i64::try_from(MESSAGES).expect("few");
    while_it_goes_on("everything is committed", SOON, all, async || {
        stored = kafka::read_committed(topic);
        i64::try_from(stored.len()).ok()
    })
    .await;
    stored
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_copied_once_and_in_order_however_often_gantry_is_killed() {
    let (topic, copy) = (unique("once-origin"), unique("once-copy"));
    kafka::create_topic(&topic, PARTITIONS).await;
    kafka::create_topic(&copy, 1).await;
    let mut feeder = Feeder::new(&Cluster::at(&bootstrap_servers(), 1));
    let source = format!("{{ kafka: {{ connection: events, topics: [{topic}] }} }}");
    let mut gantry = Gantry::start(&bridge(&unique("once"), &source, &copy));
    for life in 0..KILLS {
        let before = kafka::count(&copy).expect("the topic's count");
        feeder.sequence(&topic, PARTITIONS, life * A_LIFE, (life + 1) * A_LIFE, 200).await;
        kafka::wait_for_count(&copy, before + 500).await;
        gantry.kill();
        gantry.start_again();
    }
    let mut stored = all_of(&copy).await;
    assert!(gantry.terminate().await.success());
    for record in &mut stored {
        record.partition = feed::partition_of(oracle::sequence_of(record), PARTITIONS);
    }
    let verdict = oracle::assert_nothing_lost(&stored, MESSAGES);
    assert_eq!(verdict.duplicates, 0, "{KILLS} kills, and none is there twice");
    assert_eq!(kafka::read_committed(&copy).len() as u64, MESSAGES, "nor comes one with a stop that drains");
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&copy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generator_makes_each_record_once_however_often_gantry_is_killed() {
    let topic = unique("once-made");
    kafka::create_topic(&topic, 1).await;
    let source = format!("{{ generate: {{ body: '{{n}}', count: {MESSAGES}, rate: 2000 }} }}");
    let mut gantry = Gantry::start(&bridge(&unique("once"), &source, &topic));
    for _ in 0..KILLS {
        let before = kafka::count(&topic).expect("the topic's count");
        kafka::wait_for_count(&topic, before + 500).await;
        gantry.kill();
        gantry.start_again();
    }
    let stored = all_of(&topic).await;
    assert!(gantry.wait().await.success(), "it ends when all of them are delivered");
    let text = |record: &Stored| String::from_utf8(record.value.clone().expect("a body")).expect("text");
    let numbers: Vec<u64> = stored.iter().map(|record| text(record).parse().expect("a number")).collect();
    let first = numbers[0];
    assert!(numbers.iter().copied().eq(first..first + MESSAGES), "each once and in order: {:?}…", &numbers[..20]);
    kafka::delete_topic(&topic).await;
}
